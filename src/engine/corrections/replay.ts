import { bucketFold, type BucketFold } from "../../core/bucket-fold.ts";
import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { replayVersions, type ReplayChange } from "../../core/meter-timeline.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { bucketStart } from "../../core/usage.ts";
import { holdsOf, settle, type SettledEvent } from "../ingest/amended-event.ts";
import { storedCatalog } from "../ingest/catalog-versions.ts";
import { limits } from "../limits.ts";
import type { Hold, Replay, Store, StoredEvent, StoreView, UsageRevision } from "../ports.ts";
import { countedValues, eventPages, spanPages, type OnProgress } from "../ingest/refold.ts";
import { replayedCompanies, type ReplayedCompany } from "./replay-figures.ts";
import { withSnapshot } from "../books/snapshot.ts";

export interface ReplayOrder {
  readonly store: Store;
  readonly meter: string;
  /** Events from this instant on, and before `to` when it is given, are judged by the meter's newest version. */
  readonly from: number;
  readonly to: number | null;
  /** `operator:<name>`, and why; both are kept with the version. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** Shows what would change, and changes nothing. */
  readonly dryRun: boolean;
  readonly onProgress?: OnProgress;
}

export interface ReplaySummary {
  readonly meter: string;
  /** The instants between which events are judged otherwise, milliseconds UTC, half-open. */
  readonly from: number;
  readonly to: number;
  /** Number of the version that judges them from now on. */
  readonly version: number;
  /** Events that were judged again, and of how many the meter holds its share, before and after. */
  readonly events: number;
  readonly held: { readonly before: number; readonly after: number };
  /** Only companies whose usage of the meter is not as before. */
  readonly companies: readonly ReplayedCompany[];
  readonly applied: boolean;
}

/**
 * Judges stored events of the past by the newest version of a meter instead of the versions of their time. Nothing is
 * rewritten: a version is added that begins in the past, with author and cause, and windows that were reported get
 * corrections when they are closed again. Throws METER_UNKNOWN_METER; METER_CORRECTION_REFUSED when nothing can be judged
 * otherwise, or events of that time are deleted; METER_STORE_BUSY when usage arrives faster than it can be caught up with.
 */
export async function replayMeter(order: ReplayOrder): Promise<ReplaySummary> {
  const { store, dryRun } = order;
  let known: Judged | null = null;
  for (let tries = 0; tries < limits.rebuildTriesMax; tries++) {
    const { judged, replay, summary } = await withSnapshot(store, (view) => computed(view, order, known));
    known = judged;
    if (dryRun) return { ...summary, applied: false };
    if (await store.replay(replay)) return { ...summary, applied: true };
  }
  throw new MeterbookError("METER_STORE_BUSY", "Usage kept arriving while it was judged again; nothing was changed.", {
    remedy: "Replay when there is less traffic, or while the app is stopped.",
  });
}

/** Events judged so far; with the same `changes` only those that arrived since are to be added. */
interface Judged {
  readonly usage: UsageRevision;
  readonly fold: BucketFold;
  readonly holds: Map<number, readonly Hold[]>;
  events: number;
  heldBefore: number;
  heldAfter: number;
}

async function computed(view: StoreView, order: ReplayOrder, known: Judged | null) {
  const { meter, author, cause, now } = order;
  const stored = await view.meterVersions();
  const change = replayVersions(stored, meter, order, { author, cause, at: now });
  if (change === null) throw nothingToReplay(stored, order);
  const { bucketMs } = view;
  const from = bucketStart(change.from, bucketMs);
  const to = bucketStart(change.until - 1, bucketMs) + bucketMs;
  await assertKept(view, from);
  const usage = await view.usageRevision();
  const [old, next] = [storedCatalog(stored), storedCatalog([...stored, ...change.add])];
  const isGrown = known !== null && known.usage.changes === usage.changes;
  const judged: Judged = isGrown
    ? { ...known, usage }
    : { usage, fold: bucketFold(), holds: new Map(), events: 0, heldBefore: 0, heldAfter: 0 };
  const pages = isGrown ? eventPages(view, { from, to, afterSeq: known.usage.lastSeq }) : spanPages(view, { from, to });
  for await (const page of pages) {
    for (const each of page) judge(judged, each, meter, { old, next, change, bucketMs });
    order.onProgress?.(judged.events);
  }
  const touching = await view.buckets({ meter, from, to });
  const before = touching.filter((bucket) => bucket.start >= from);
  const after = judged.fold.buckets();
  const replay: Replay = {
    meter,
    versions: change.add,
    meters: stored.length,
    usage,
    from,
    to,
    buckets: after,
    holds: [...judged.holds].map(([seq, holds]) => ({ seq, holds })),
  };
  const summary: Omit<ReplaySummary, "applied"> = {
    meter,
    from: change.from,
    to: change.until,
    version: change.add[0]?.version ?? 0,
    events: judged.events,
    held: { before: judged.heldBefore, after: judged.heldAfter },
    companies: await replayedCompanies(view, next, meter, { from, to, before, after }),
  };
  return { judged, replay, summary };
}

interface Judging {
  readonly old: Catalog;
  readonly next: Catalog;
  readonly change: ReplayChange;
  readonly bucketMs: number;
}

function judge(judged: Judged, stored: StoredEvent, meter: string, { old, next, change, bucketMs }: Judging): void {
  const after = settle(next, stored);
  judged.fold.add(countedValues(after, stored.seq, next, bucketMs).filter((value) => value.meter === meter));
  const { time } = stored.event;
  // The rest of the outer buckets is counted with them, and judged as before.
  if (time < change.from || time >= change.until) return;
  judged.events += 1;
  const [was, is] = [holdOf(settle(old, stored), meter), holdOf(after, meter)];
  if (was !== null) judged.heldBefore += 1;
  if (is !== null) judged.heldAfter += 1;
  if (was !== is) judged.holds.set(stored.seq, holdsOf(after));
  if (judged.holds.size > limits.replayHoldsMax)
    throw refusal(
      `More than ${limits.replayHoldsMax} events would be held, or not any more.`,
      "Replay a shorter span with --to.",
    );
}

/** A meter's open hold as one text. */
function holdOf(settled: SettledEvent, meter: string): string | null {
  const hold = holdsOf(settled).find((each) => each.meter === meter);
  if (hold === undefined) return null;
  const value = typeof hold.value === "bigint" ? formatDecimal(hold.value) : hold.value;
  return JSON.stringify([hold.reason, hold.detail, value]);
}

/** Usage of deleted events cannot be judged again. */
async function assertKept(view: StoreView, from: number): Promise<void> {
  const archived = (await view.archivedBuckets({ from })).map(({ start }) => start + view.bucketMs);
  const until = archived.reduce((latest, end) => Math.max(latest, end), (await view.purgedUntil()) ?? -Infinity);
  if (until <= from) return;
  // From the next whole bucket on.
  const kept = bucketStart(until - 1, view.bucketMs) + view.bucketMs;
  throw refusal(
    `Events of before ${new Date(until).toISOString()} are deleted (storage.keepEvents); only their usage is kept, and it cannot be judged again.`,
    `Replay --from ${new Date(kept).toISOString()} or later.`,
  );
}

function nothingToReplay(stored: readonly MeterVersion[], { meter, from }: ReplayOrder): MeterbookError {
  const versions = stored.filter(({ definition }) => definition.key === meter);
  const newest = versions.toSorted((a, b) => b.version - a.version)[0];
  if (newest === undefined)
    return new MeterbookError("METER_UNKNOWN_METER", `There is no meter ${JSON.stringify(meter)}.`, {
      remedy: `Known: ${[...new Set(stored.map(({ definition }) => definition.key))].join(", ")}.`,
    });
  if (ownMembers(newest).ended === true)
    return refusal(`${meter} has left the configuration and counts nothing.`, "Put it back first.");
  return refusal(
    `The newest version of ${meter} counts from ${instantOf(newest.effectiveFrom)} on already, so nothing from ${instantOf(from)} on would change.`,
    "Edits of the configuration take effect when the app starts; replay after that.",
  );
}

/** Readable also where it is no date. */
function instantOf(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}

function refusal(message: string, remedy: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, { remedy });
}
