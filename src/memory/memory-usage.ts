import { resultOf, sameState } from "../core/aggregation.ts";
import { fromInteger, type Decimal } from "../core/decimal.ts";
import { DAY_MS, dayBuckets, diffBuckets, isSameKey, mergeBuckets, type Bucket } from "../core/usage.ts";
import type { BucketChange, Replay, UsageQuery } from "../engine/ports.ts";

export interface UsageMark {
  readonly meter: string;
  readonly company: string;
  readonly start: number;
}

/** Buckets: the whole usage, and beside it the part that came from purged events. */
export class MemoryUsage {
  private all: Bucket[] = [];
  archive: Bucket[] = [];
  /** Windows that got usage since they were closed, as [meter, company, bucket start]. */
  private readonly marks = new Map<string, UsageMark>();
  readonly bucketMs: number;

  constructor(bucketMs: number) {
    this.bucketMs = bucketMs;
  }

  /** A copy that does not change with this one: lists of buckets are replaced, never changed. */
  copy(): MemoryUsage {
    const copy = new MemoryUsage(this.bucketMs);
    copy.all = this.all;
    copy.archive = this.archive;
    for (const [key, mark] of this.marks) copy.marks.set(key, mark);
    return copy;
  }

  meters(): string[] {
    return [...new Set([...this.all, ...this.archive].map(({ meter }) => meter))];
  }

  add(buckets: readonly Bucket[]): void {
    this.all = mergeBuckets(this.all, buckets);
    for (const { meter, company, start } of buckets) this.mark(meter, company, start);
  }

  addArchive(buckets: readonly Bucket[]): void {
    this.archive = mergeBuckets(this.archive, buckets);
  }

  replace(buckets: readonly Bucket[]): void {
    const next = mergeBuckets(this.archive, buckets);
    for (const { meter, company, start } of diffBuckets(next, this.all)) this.mark(meter, company, start);
    this.all = next;
  }

  /** Whether a bucket is still as a correction saw it. */
  isAt(change: BucketChange): boolean {
    const state = this.all.find((bucket) => isSameKey(bucket, change))?.state ?? null;
    return state === null || change.seen === null ? state === change.seen : sameState(state, change.seen);
  }

  change(changes: readonly BucketChange[]): void {
    for (const { aggregate, next, seen: _seen, basis: _basis, ...key } of changes) {
      const others = this.all.filter((bucket) => !isSameKey(bucket, key));
      this.all = next === null ? others : [...others, { ...key, aggregate, state: next }];
      this.mark(key.meter, key.company, key.start);
    }
  }

  /** Makes a meter's usage between two bucket starts these buckets. */
  replaceSpan({ meter, from, to, buckets }: Replay): void {
    const isInside = (bucket: Bucket): boolean => bucket.meter === meter && bucket.start >= from && bucket.start < to;
    for (const { company, start } of diffBuckets(buckets, this.all.filter(isInside))) this.mark(meter, company, start);
    this.all = [...this.all.filter((bucket) => !isInside(bucket)), ...buckets];
  }

  page({ meter, company, from, to, grain }: UsageQuery, buckets: readonly Bucket[] = this.all): Bucket[] {
    const [found, widthMs] = grain === "day" ? [dayBuckets(buckets), DAY_MS] : [buckets, this.bucketMs];
    return found.filter(
      (bucket) =>
        (meter === undefined || bucket.meter === meter) &&
        (company === undefined || bucket.company === company) &&
        (from === undefined || bucket.start + widthMs > from) &&
        (to === undefined || bucket.start < to),
    );
  }

  /** Usage of a window over all its groups; 0 when there is none. */
  total(meter: string, company: string, windowStart: number, windowEnd: number): Decimal {
    const inside = this.all.filter(
      (bucket) =>
        bucket.meter === meter && bucket.company === company && bucket.start >= windowStart && bucket.start < windowEnd,
    );
    const [whole] = mergeBuckets(
      inside.map((bucket) => ({ ...bucket, start: windowStart, group: "{}" })),
      [],
    );
    return whole === undefined ? fromInteger(0) : (resultOf(whole.aggregate, whole.state) ?? fromInteger(0));
  }

  dirtyMarks(): UsageMark[] {
    return [...this.marks.values()];
  }

  clearMarks(meter: string, company: string, windowStart: number, windowEnd: number): void {
    for (const [key, mark] of this.marks) {
      if (mark.meter !== meter || mark.company !== company) continue;
      if (mark.start >= windowStart && mark.start < windowEnd) this.marks.delete(key);
    }
  }

  mark(meter: string, company: string, start: number): void {
    this.marks.set(JSON.stringify([meter, company, start]), { meter, company, start });
  }
}
