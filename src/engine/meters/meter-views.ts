import type { MeterVersion } from "../../core/meter.ts";
import type { RegisterEntry, StoreView } from "../ports.ts";
import { notFound } from "../registry/refusals.ts";
import { meterEntries, notesOf } from "./meter-entry.ts";
import { FIRST_INSTANT, meterLives, type MeterLife } from "./meter-life.ts";
import type { MeterView } from "./meter-view.ts";

type MetersView = Pick<StoreView, "meterVersions" | "listEntries">;

/** All meters in the order in which their keys were first used, those of the file included. */
export async function listMeters(
  { store }: { readonly store: MetersView },
  { includeDeleted }: { readonly includeDeleted: boolean },
): Promise<readonly MeterView[]> {
  const views = await allViews(store);
  return includeDeleted ? views : views.filter(({ deletedAt }) => deletedAt === null);
}

/** A living meter by key or id, or a deleted one by id. METER_NOT_FOUND. */
export async function getMeter(
  { store }: { readonly store: MetersView },
  { idOrKey }: { readonly idOrKey: string },
): Promise<MeterView> {
  const views = await allViews(store);
  const found =
    views.find(({ key, deletedAt }) => key === idOrKey && deletedAt === null) ?? views.find(({ id }) => id === idOrKey);
  if (found === undefined) throw notFound("meter", idOrKey);
  return found;
}

/** What the API shows of a meter; `entry` is what is written beside it. */
export function viewOf({ newest, first, from, endedAt }: MeterLife, entry: RegisterEntry | null): MeterView {
  const { definition, version } = newest;
  const { key, name, unit, eventType, match, aggregate, value, groupBy, report } = definition;
  const notes = entry === null ? null : notesOf(entry);
  const isOfApi = newest.origin === "api";
  return {
    id: entry?.id ?? key,
    key,
    name,
    description: notes?.description ?? null,
    unit,
    eventType,
    match,
    aggregate,
    value,
    groupBy,
    // A meter of a file that was there from the start has no bound either.
    eventFrom: from <= FIRST_INSTANT || (!isOfApi && from === 0) ? null : from,
    report,
    metadata: notes?.metadata ?? {},
    origin: newest.origin ?? "file",
    version,
    createdAt: entry?.createdAt ?? madeAt(first),
    updatedAt: entry?.updatedAt ?? madeAt(newest),
    deletedAt: endedAt === null ? null : (entry?.deletedAt ?? endedAt),
  };
}

async function allViews(store: MetersView): Promise<readonly MeterView[]> {
  const lives = meterLives(await store.meterVersions());
  // The last entry of a key is that of its last life.
  const entries = new Map((await meterEntries(store)).map((entry) => [notesOf(entry).key, entry]));
  return [...lives].map(([key, life]) => {
    const entry = entries.get(key) ?? null;
    const isOwn = life.newest.origin === "api" && (life.endedAt !== null || entry?.deletedAt === null);
    return viewOf(life, isOwn ? entry : null);
  });
}

function madeAt({ replayed, effectiveFrom }: MeterVersion): number {
  return replayed?.at ?? Math.max(effectiveFrom, 0);
}
