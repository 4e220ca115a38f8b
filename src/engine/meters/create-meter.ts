import type { MeterDefinition, MeterVersion, ReplayNote } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { deletedUntil } from "../corrections/rejudge.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";
import { entryId } from "../registry/entry-id.ts";
import { conflict } from "../registry/refusals.ts";
import type { RegistryTools } from "../registry/registry-tools.ts";
import { backfill, type BackfillOptions } from "./backfill.ts";
import { writeNewNotes } from "./meter-entry.ts";
import { FIRST_INSTANT, meterLife, meterLives } from "./meter-life.ts";
import { definitionOf } from "./meter-rules.ts";
import type { MeterDraft, MeterEffect, MeterView } from "./meter-view.ts";
import { viewOf } from "./meter-views.ts";

/** A new meter, and what it made of the past. */
export interface CreatedMeter {
  readonly meter: MeterView;
  readonly effect: MeterEffect;
}

/**
 * What creating a meter would do to the past; nothing is stored. METER_REQUEST_INVALID; METER_CONFLICT where its key is
 * taken.
 */
export function previewNewMeter(
  { store, clock }: Pick<RegistryTools, "store" | "clock">,
  draft: MeterDraft,
  options: BackfillOptions = {},
): Promise<MeterEffect> {
  const now = clock.now();
  return putIntoForce(store, draft, { author: "preview", cause: "preview", at: now }, null, options);
}

/**
 * Makes a meter that counts the stored events of its type too, from `eventFrom` on, and everything that comes. Throws as
 * previewNewMeter does; METER_STORE_BUSY when events arrive faster than they can be counted.
 */
export async function createMeter(
  tools: RegistryTools,
  { draft, author }: { readonly draft: MeterDraft; readonly author: string },
  options: BackfillOptions = {},
): Promise<CreatedMeter> {
  const { store, clock } = tools;
  const definition = definitionOf(draft);
  const now = clock.now();
  const made = { author, cause: "made over the API", at: now };
  const effect = await putIntoForce(store, draft, made, entryId(now, tools.random), options);
  const { description = null, metadata = {} } = ownMembers(draft);
  const notes = { key: definition.key, description, metadata: { ...metadata } };
  const entry = await writeNewNotes(tools, notes, definition, author);
  const life = meterLife(await store.meterVersions(), definition.key);
  if (life === null) throw conflict(`The meter ${definition.key} was deleted meanwhile.`);
  return { meter: viewOf(life, entry), effect };
}

function putIntoForce(
  store: Store,
  draft: MeterDraft,
  made: ReplayNote,
  turn: string | null,
  options: BackfillOptions,
): Promise<MeterEffect> {
  const definition = definitionOf(draft);
  const { eventFrom } = ownMembers(draft);
  return backfill({
    store,
    meter: definition.key,
    eventType: definition.eventType,
    now: made.at,
    turn: turn ?? "",
    dryRun: turn === null,
    options,
    versionOf: (stored) => ({
      definition,
      version: nextNumber(stored, definition),
      effectiveFrom: 0,
      fields: {},
      unknownIdentity: "hold",
      replayed: made,
      origin: "api",
    }),
    fromOf: (_stored, view) => keptFrom(view, definition.key, eventFrom ?? FIRST_INSTANT),
  });
}

/** Where the past of a meter can be counted from: usage of events that were deleted stays as it was counted. */
export async function keptFrom(view: StoreView, meter: string, from: number): Promise<number> {
  return (await deletedUntil(view, from, meter)) ?? from;
}

const PLACES = { api: "", guide: " of a guide", file: " in the configuration file" } as const;

/** The number of a new meter's first version. METER_CONFLICT where the meter cannot be. */
function nextNumber(stored: readonly MeterVersion[], definition: MeterDefinition): number {
  const { key, aggregate } = definition;
  const lives = meterLives(stored);
  const living = [...lives.values()].filter(({ endedAt }) => endedAt === null).map(({ newest }) => newest);
  const own = lives.get(key);
  if (own !== undefined && own.endedAt === null) {
    const where = PLACES[own.newest.origin ?? "file"];
    throw conflict(`There is a meter ${key}${where} already.`, "Choose another key.");
  }
  if (own !== undefined && own.newest.definition.aggregate !== aggregate) {
    const was = own.newest.definition.aggregate;
    const message = `A meter ${key} was deleted that was a ${was}, and its usage is kept; figures of two aggregates cannot be added.`;
    throw conflict(message, `Choose another key, or the aggregate ${was}.`);
  }
  const rival = living.find((version) => version.definition.report && version.definition.reportAs === key);
  if (definition.report && rival !== undefined)
    throw conflict(
      `The meter ${rival.definition.key} is reported as ${key}; the biller would add them up.`,
      "Choose another key.",
    );
  if (living.filter(({ origin }) => origin === "api").length >= limits.apiMetersMax)
    throw conflict(`There are ${limits.apiMetersMax} meters made over the API, and no more can be.`, "Delete one.");
  return (own?.newest.version ?? 0) + 1;
}
