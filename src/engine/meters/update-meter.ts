import type { MeterVersion, ReplayNote } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import { entryId } from "../registry/entry-id.ts";
import { changedMeanwhile, conflict, notFound } from "../registry/refusals.ts";
import type { RegistryTools } from "../registry/registry-tools.ts";
import { keptFrom } from "./create-meter.ts";
import { backfill, type BackfillOptions } from "./backfill.ts";
import { changeNotes } from "./meter-entry.ts";
import { meterLife, type MeterLife } from "./meter-life.ts";
import { readPending } from "./pending-past.ts";
import { assertPatch } from "./meter-rules.ts";
import type { MeterEffect, MeterPatch, MeterView } from "./meter-view.ts";
import { getMeter, viewOf } from "./meter-views.ts";

/** Something that needs a meter, or labels of it: a feature, a meter type. */
interface MeterUse {
  /** For people: `the feature "tokens"`. */
  readonly what: string;
  readonly labels: readonly string[];
}

/** Who uses a meter. */
export type UsesOf = (meter: string) => Promise<readonly MeterUse[]>;

/** A changed meter, and what the change did to the past: null where it is not counted anew. */
export interface UpdatedMeter {
  readonly meter: MeterView;
  readonly effect: MeterEffect | null;
}

/**
 * Changes a meter of the API. Other labels group the past anew too. METER_NOT_FOUND, METER_REQUEST_INVALID;
 * METER_CONFLICT for a meter of the file, and where a label that goes is in use.
 */
export async function updateMeter(
  tools: RegistryTools,
  order: { readonly idOrKey: string; readonly patch: MeterPatch; readonly author: string },
  usesOf: UsesOf = async () => [],
  options: BackfillOptions = {},
): Promise<UpdatedMeter> {
  const { store, clock } = tools;
  const { patch, author } = order;
  const view = await changeableMeter(tools, order.idOrKey);
  assertPatch(patch, view.value);
  const { name = view.name, groupBy = view.groupBy, description, metadata } = ownMembers(patch);
  const removed = Object.keys(view.groupBy).filter((label) => !Object.hasOwn(groupBy, label));
  for (const use of await usesOf(view.key)) {
    const needed = removed.find((label) => use.labels.includes(label));
    if (needed !== undefined) throw conflict(`The label ${needed} of ${view.key} is used by ${use.what}.`);
  }
  const isRegrouped = canonical(groupBy) !== canonical(view.groupBy);
  const made = { author, cause: "labels changed over the API", at: clock.now() };
  const effect = isRegrouped ? await regroup(tools, view, { name, groupBy }, made, options) : null;
  if (!isRegrouped && name !== view.name) await rename(tools, view.key, name);
  const life = meterLife(await store.meterVersions(), view.key);
  if (life === null || life.endedAt !== null) throw notFound("meter", order.idOrKey);
  const entry = await changeNotes(
    tools,
    (before) => ({
      key: view.key,
      description: description === undefined ? (before?.description ?? null) : description,
      metadata: metadata === undefined ? (before?.metadata ?? {}) : { ...metadata },
    }),
    life.newest.definition,
    author,
  );
  return { meter: viewOf(life, entry), effect };
}

/** A living meter that the API may change. METER_NOT_FOUND, METER_CONFLICT. */
export async function changeableMeter({ store }: Pick<RegistryTools, "store">, idOrKey: string): Promise<MeterView> {
  const view = await getMeter({ store }, { idOrKey });
  if (view.deletedAt !== null) throw notFound("meter", idOrKey);
  if (view.origin === "file")
    throw conflict(`The meter ${view.key} is in the configuration file.`, "Change it in the file.");
  if (view.origin === "guide")
    throw conflict(`The meter ${view.key} counts the records of a guide.`, "Change the guide, and provision it again.");
  return view;
}

/** Adds a version from now on that differs by what `next` says; tried again while others add versions. */
export async function addVersion(
  { store, clock }: Pick<RegistryTools, "store" | "clock">,
  key: string,
  next: (life: MeterLife) => Pick<MeterVersion, "definition" | "ended">,
): Promise<void> {
  for (let tries = 0; tries < limits.meterReloadsMax; tries++) {
    const stored = await store.meterVersions();
    const life = meterLife(stored, key);
    if (life === null || life.endedAt !== null) throw notFound("meter", key);
    const { replayed: _replayed, ...last } = life.newest;
    const effectiveFrom = Math.max(clock.now(), last.effectiveFrom + 1);
    const version: MeterVersion = { ...last, ...next(life), version: last.version + 1, effectiveFrom };
    if (await store.addMeterVersions([version], stored.length)) return;
  }
  throw changedMeanwhile("meter");
}

function rename(tools: RegistryTools, key: string, name: string): Promise<void> {
  return addVersion(tools, key, ({ newest }) => ({ definition: { ...newest.definition, name } }));
}

/** One version with the new labels over the whole time of the meter, as far as its events are kept. */
function regroup(
  { store, random }: RegistryTools,
  { key, eventType }: MeterView,
  change: { readonly name: string; readonly groupBy: Readonly<Record<string, string>> },
  replayed: ReplayNote,
  options: BackfillOptions,
): Promise<MeterEffect> {
  const { name, groupBy } = change;
  const living = (stored: readonly MeterVersion[]): MeterLife => {
    const life = meterLife(stored, key);
    if (life === null || life.endedAt !== null) throw notFound("meter", key);
    return life;
  };
  return backfill({
    store,
    meter: key,
    eventType,
    now: replayed.at,
    turn: entryId(replayed.at, random),
    dryRun: false,
    options,
    versionOf: (stored) => {
      const { definition, version, ...rest } = living(stored).newest;
      const next = { ...definition, name, groupBy: { ...groupBy } };
      return { ...rest, definition: next, version: version + 1, replayed };
    },
    fromOf: async (stored, view) => {
      const pending = await readPending(view, key);
      return keptFrom(view, key, Math.min(living(stored).from, pending?.from ?? Infinity));
    },
  });
}

function canonical(groupBy: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(groupBy).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
