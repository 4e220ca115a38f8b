import { accumulate, emptyState, mergeStates, sameState, type AggregateState } from "./aggregation.ts";
import {
  absorbBucket,
  byKey,
  draftAt,
  emptyTable,
  findBucket,
  type Bucket,
  type BucketDifference,
  type CountedValue,
} from "./usage.ts";

/** Usage that grows in place, event by event: one copy of it, however many values come. */
export interface BucketFold {
  /** Throws METER_AGGREGATE_CHANGED when one meter has two aggregates. */
  add(values: readonly CountedValue[]): void;
  /** All buckets in order of first appearance. They go on growing with the fold. */
  buckets(): readonly Bucket[];
  meters(): readonly string[];
  /**
   * Where the stored buckets of one meter, each key once, differ from what was added plus the archive, by company, start,
   * group. Nothing is copied but what differs.
   */
  differences(meter: string, archive: readonly Bucket[], stored: readonly Bucket[]): readonly BucketDifference[];
}

export function bucketFold(): BucketFold {
  const table = emptyTable();
  return {
    add: (values) => {
      for (const { meter, aggregate, company, group, bucketStart, value, time, order } of values)
        accumulate(aggregate, draftAt(table, meter, aggregate, company, group, bucketStart).state, value, time, order);
    },
    buckets: () => table.buckets,
    meters: () => [...table.meters.keys()],
    differences: (meter, archive, stored) => {
      const past = emptyTable();
      for (const bucket of archive) absorbBucket(past, bucket, bucket.group, bucket.start);
      const seen = new Set<Bucket>();
      const found: BucketDifference[] = [];
      const compare = (key: Bucket, actual: Bucket | null): void => {
        const live = findBucket(table, key);
        const old = findBucket(past, key);
        for (const part of [live, old]) if (part !== undefined) seen.add(part);
        const expected = bothOf(live, old);
        if (sameUsage(expected, actual)) return;
        const { company, group, start, aggregate } = key;
        const states = { expected: expected?.state ?? null, actual: actual?.state ?? null };
        found.push({ meter, company, group, start, aggregate, ...states });
      };
      for (const bucket of stored) compare(bucket, bucket);
      for (const bucket of table.buckets) if (bucket.meter === meter && !seen.has(bucket)) compare(bucket, null);
      for (const bucket of past.buckets) if (!seen.has(bucket)) compare(bucket, null);
      return found.toSorted(byKey);
    },
  };
}

/**
 * The archived buckets that the stored ones, each key once, cannot contain: usage of deleted events that is not in the
 * usage any more, or an archive that has it twice.
 */
export function uncovered(archive: readonly Bucket[], stored: readonly Bucket[]): readonly Bucket[] {
  if (archive.length === 0) return [];
  const table = emptyTable();
  for (const bucket of archive) absorbBucket(table, bucket, bucket.group, bucket.start);
  const covered = new Set<Bucket>();
  for (const whole of stored) {
    const part = findBucket(table, whole);
    if (part !== undefined && contains(whole, part)) covered.add(part);
  }
  return table.buckets.filter((bucket) => !covered.has(bucket) && bucket.state.events > 0);
}

function contains(whole: Bucket, part: Bucket): boolean {
  if (whole.aggregate !== part.aggregate || whole.state.events < part.state.events) return false;
  // Without other events the figures are those of the archive; with others, a sum may be anything.
  if (whole.state.events === part.state.events) return sameState(whole.state, part.state);
  if (whole.aggregate === "sum" || whole.aggregate === "avg" || whole.aggregate === "count") return true;
  const merged = mergeStates(whole.aggregate, whole.state, part.state);
  return sameState({ ...merged, events: whole.state.events }, whole.state);
}

interface Side {
  readonly aggregate: Bucket["aggregate"];
  readonly state: AggregateState;
}

function bothOf(live: Bucket | undefined, old: Bucket | undefined): Side | null {
  if (live === undefined || old === undefined) return live ?? old ?? null;
  return { aggregate: live.aggregate, state: mergeStates(live.aggregate, live.state, old.state) };
}

/** A bucket without events equals none. */
function sameUsage(expected: Side | null, actual: Side | null): boolean {
  if (expected === null || actual === null) {
    const only = expected ?? actual;
    return only === null || sameState(only.state, emptyState(only.aggregate));
  }
  return expected.aggregate === actual.aggregate && sameState(expected.state, actual.state);
}
