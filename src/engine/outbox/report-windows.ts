import type { Decimal } from "../../core/decimal.ts";
import { limits } from "../limits.ts";
import type { DirtyWindow, Store, StoreView, WindowPlace } from "../ports.ts";

/** From which event time on usage is reported in windows of which width, milliseconds UTC. */
export interface ReportEra {
  readonly from: number;
  readonly windowMs: number;
}

const NOTE = "report.windows";
const DAY_MS = 86_400_000;

/** The widths used so far, oldest first; null while nothing was ever reported. */
export async function reportEras(store: Pick<StoreView, "getNote">): Promise<readonly ReportEra[] | null> {
  const note = await store.getNote(NOTE);
  if (note === null) return null;
  const eras: readonly ReportEra[] = JSON.parse(note);
  return eras;
}

/**
 * Takes the configured width into account. Another width than before begins at the next day (UTC): usage that was
 * reported in windows of the old width would otherwise be cut anew, and its late part reported twice.
 */
export async function nextEras(store: Store, windowMs: number, now: number): Promise<readonly ReportEra[]> {
  const known = await reportEras(store);
  const begun = (known ?? []).filter(({ from }, at) => at === 0 || from <= now);
  const last = begun.at(-1);
  if (last === undefined) return [{ from: -Infinity, windowMs }].map(storable);
  if (last.windowMs === windowMs) return begun;
  const planned = known?.at(-1);
  if (planned !== undefined && planned.windowMs === windowMs) return known ?? begun;
  const from = Math.ceil((now + limits.futureMs + 1) / DAY_MS) * DAY_MS;
  return [...begun, { from, windowMs }];
}

export async function keepEras(store: Store, eras: readonly ReportEra[]): Promise<void> {
  const note = JSON.stringify(eras);
  if ((await store.getNote(NOTE)) !== note) await store.putNote(NOTE, note);
}

// JSON has no infinity; no event is older than this.
function storable(era: ReportEra): ReportEra {
  return { ...era, from: Math.max(era.from, Number.MIN_SAFE_INTEGER) };
}

/**
 * Windows with unreported usage that ended at least `latenessMs` ago, oldest first, each of its own era's width; only those
 * behind `after`.
 */
export async function closableWindows(
  store: StoreView,
  eras: readonly ReportEra[],
  now: number,
  latenessMs: number,
  limit: number = limits.closeWindowsMax,
  after?: WindowPlace,
): Promise<readonly DirtyWindow[]> {
  const found: DirtyWindow[] = [];
  for (const [at, { from, windowMs }] of eras.entries()) {
    const until = eras[at + 1]?.from ?? Number.MAX_SAFE_INTEGER;
    if (found.length >= limit) break;
    if (after !== undefined && until <= after.windowStart) continue;
    const query = { windowMs, from, before: Math.min(now - latenessMs, until), limit: limit - found.length };
    found.push(...(await store.dirtyWindows(after === undefined ? query : { ...query, after })));
  }
  return found;
}

/** Windows with unreported usage that ended before `now`, by the widths in use. */
export async function openUsage(store: StoreView, now: number, limit: number): Promise<readonly DirtyWindow[]> {
  const eras = await reportEras(store);
  return eras === null ? [] : closableWindows(store, eras, now, 0, limit);
}

/** Counted and not yet in the outbox, per meter, open windows included. */
export async function dueByMeter(store: StoreView): Promise<ReadonlyMap<string, Decimal>> {
  const eras = (await reportEras(store)) ?? [{ from: 0, windowMs: store.bucketMs }];
  const due = new Map<string, Decimal>();
  const add = (meter: string, value: Decimal): void => void due.set(meter, (due.get(meter) ?? 0n) + value);
  const [only] = eras;
  if (only !== undefined && eras.length === 1) {
    for (const { meter, value } of await store.dueTotals(only.windowMs)) add(meter, value);
    return due;
  }
  const windows = await closableWindows(store, eras, Number.MAX_SAFE_INTEGER, 0, limits.heldRowsMax);
  for (const { meter, total, enqueuedRaw } of windows) add(meter, total - enqueuedRaw);
  return due;
}
