import { bucketFold, type BucketFold } from "../../core/bucket-fold.ts";
import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { ReplayChange } from "../../core/meter-timeline.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { bucketStart, type Bucket } from "../../core/usage.ts";
import { withSnapshot } from "../books/snapshot.ts";
import { holdsOf, settle, type SettledEvent } from "../ingest/amended-event.ts";
import { storedCatalog } from "../ingest/catalog-versions.ts";
import { countedValues, eventPages, spanPages } from "../ingest/refold.ts";
import { limits } from "../limits.ts";
import type { Hold, Replay, Store, StoredEvent, StoreView, TimeRange, UsageRevision } from "../ports.ts";

/** How far the events are read. */
interface RejudgeProgress {
  /** Events that were judged again. */
  readonly events: number;
  /** Buckets of the meter so far, all of them in memory. */
  readonly buckets: number;
}

/** A meter's past to be judged by other versions. */
export interface RejudgeOrder<Summary> {
  readonly store: Store;
  readonly meter: string;
  /** Which versions judge which past from now on, by what is stored; throws what cannot be. */
  readonly changeOf: (stored: readonly MeterVersion[], view: StoreView) => Promise<ReplayChange>;
  /** Only events of this type can count; where left out, all are read. */
  readonly type?: string;
  /** What is to be said of it, from the same state of the store. */
  readonly summaryOf: (rejudged: Rejudged, view: StoreView) => Promise<Summary>;
  /** Computes everything, and changes nothing. */
  readonly dryRun: boolean;
  readonly onProgress?: (progress: RejudgeProgress) => void;
}

/** What another judgement makes of a meter's past. */
interface Rejudged {
  readonly change: ReplayChange;
  /** The meter's catalog with the new versions. */
  readonly catalog: Catalog;
  /** Bucket starts, half-open, and the meter's usage between them. */
  readonly from: number;
  readonly to: number;
  readonly before: readonly Bucket[];
  readonly after: readonly Bucket[];
  /** Events that were judged again; those that count now; of how many the meter held its share, and holds it now. */
  readonly events: number;
  readonly counted: number;
  readonly heldBefore: number;
  readonly heldAfter: number;
  /** Event time of the first and the last one that counts; null when none does. */
  readonly first: number | null;
  readonly last: number | null;
}

/**
 * Judges a meter's past by other versions, and puts them into force with the usage that they give, all at once. Events
 * that arrive meanwhile are judged too. METER_STORE_BUSY when usage arrives faster than it can be caught up with.
 */
export async function rejudge<Summary>(order: RejudgeOrder<Summary>): Promise<Summary> {
  let known: Judged | null = null;
  for (let tries = 0; tries < limits.rebuildTriesMax; tries++) {
    const { judged, replay, summary } = await withSnapshot(order.store, (view) => computed(view, order, known));
    known = judged;
    if (order.dryRun || (await order.store.replay(replay))) return summary;
  }
  throw new MeterbookError("METER_STORE_BUSY", "Usage kept arriving while it was judged again; nothing was changed.", {
    remedy: "Do it when there is less traffic, or while the app is stopped.",
  });
}

/** Events judged so far; while nothing but new events came, only those are to be added. */
interface Judged {
  readonly usage: UsageRevision;
  readonly fold: BucketFold;
  readonly holds: Map<number, readonly Hold[]>;
  events: number;
  counted: number;
  heldBefore: number;
  heldAfter: number;
  first: number | null;
  last: number | null;
}

async function computed<Summary>(view: StoreView, order: RejudgeOrder<Summary>, known: Judged | null) {
  const { meter, type, onProgress } = ownMembers(order);
  const stored = await view.meterVersions();
  const change = await order.changeOf(stored, view);
  const { bucketMs } = view;
  const from = bucketStart(change.from, bucketMs);
  const to = bucketStart(change.until - 1, bucketMs) + bucketMs;
  const usage = await view.usageRevision();
  const judging = judgingOf(stored, change, meter, bucketMs);
  const wanted = { from, to, ...(type === undefined ? {} : { type }) };
  const isGrown = known !== null && (await hasOnlyGrown(view, known.usage, usage, wanted));
  const judged: Judged = isGrown ? { ...known, usage } : nothingJudged(usage);
  const pages = isGrown ? eventPages(view, { ...wanted, afterSeq: known.usage.lastSeq }) : spanPages(view, wanted);
  for await (const page of pages) {
    for (const each of page) judge(judged, each, judging);
    onProgress?.({ events: judged.events, buckets: judged.fold.buckets().length });
  }
  const touching = await view.buckets({ meter, from, to });
  const buckets = judged.fold.buckets();
  const { fold: _fold, holds, usage: _usage, ...numbers } = judged;
  const rejudged: Rejudged = {
    change,
    catalog: judging.next,
    from,
    to,
    before: touching.filter((bucket) => bucket.start >= from),
    after: buckets,
    ...numbers,
  };
  const changedHolds = [...holds].map(([seq, each]) => ({ seq, holds: each }));
  const replay: Replay = {
    meter,
    versions: change.add,
    meters: stored.length,
    usage,
    from,
    to,
    buckets,
    holds: changedHolds,
  };
  return { judged, replay, summary: await order.summaryOf(rejudged, view) };
}

/** Whether what was judged is as it was, so that only later events are to be added. */
async function hasOnlyGrown(
  view: StoreView,
  known: UsageRevision,
  now: UsageRevision,
  wanted: Required<TimeRange> & { readonly type?: string },
): Promise<boolean> {
  if (known.settled !== now.settled) return false;
  const { lastSeq, amendments: after } = known;
  return after === now.amendments || !(await view.wereAmended({ ...wanted, lastSeq, after }));
}

function nothingJudged(usage: UsageRevision): Judged {
  const numbers = { events: 0, counted: 0, heldBefore: 0, heldAfter: 0, first: null, last: null };
  return { usage, fold: bucketFold(), holds: new Map(), ...numbers };
}

interface Judging {
  readonly meter: string;
  readonly change: ReplayChange;
  readonly bucketMs: number;
  /** The meter alone, as it counted and as it will. */
  readonly old: Catalog;
  readonly next: Catalog;
  /** All meters, for events of which another share may be held too. */
  readonly all: () => Catalog;
}

function judgingOf(stored: readonly MeterVersion[], change: ReplayChange, meter: string, bucketMs: number): Judging {
  const own = stored.filter(({ definition }) => definition.key === meter);
  let all: Catalog | null = null;
  return {
    meter,
    change,
    bucketMs,
    old: storedCatalog(own),
    next: storedCatalog([...own, ...change.add]),
    all: () => (all ??= storedCatalog([...stored, ...change.add])),
  };
}

function judge(judged: Judged, stored: StoredEvent, { meter, change, bucketMs, old, next, all }: Judging): void {
  const after = settle(next, stored);
  const values = countedValues(after, stored.seq, next, bucketMs);
  judged.fold.add(values);
  const { time } = stored.event;
  // The rest of the outer buckets is counted with them, and judged as before.
  if (time < change.from || time >= change.until) return;
  judged.events += 1;
  if (values.length > 0) {
    judged.counted += 1;
    judged.first = Math.min(judged.first ?? time, time);
    judged.last = Math.max(judged.last ?? time, time);
  }
  const [was, is] = [holdOf(settle(old, stored), meter), holdOf(after, meter)];
  if (was !== null) judged.heldBefore += 1;
  if (is !== null) judged.heldAfter += 1;
  if (was !== is) judged.holds.set(stored.seq, holdsOf(settle(all(), stored)));
  if (judged.holds.size > limits.replayHoldsMax)
    throw new MeterbookError(
      "METER_CORRECTION_REFUSED",
      `More than ${limits.replayHoldsMax} events would be held, or not any more.`,
      { remedy: "Judge a shorter span again: --to, or a later eventFrom." },
    );
}

/** A meter's open hold as one text. */
function holdOf(settled: SettledEvent, meter: string): string | null {
  const hold = holdsOf(settled).find((each) => each.meter === meter);
  if (hold === undefined) return null;
  const value = typeof hold.value === "bigint" ? formatDecimal(hold.value) : hold.value;
  return JSON.stringify([hold.reason, hold.detail, value]);
}

/** Event time up to which events were deleted, so that their usage cannot be judged again; null = none were. */
export async function deletedUntil(view: StoreView, from: number, meter?: string): Promise<number | null> {
  const own = meter === undefined ? {} : { meter };
  const ends = (await view.archivedBuckets({ from, ...own })).map(({ start }) => start + view.bucketMs);
  const purged = meter === undefined ? await view.purgedUntil() : null;
  const until = ends.reduce((latest, end) => Math.max(latest, end), purged ?? -Infinity);
  return until <= from ? null : until;
}
