import {
  absorb,
  accumulate,
  emptyDraft,
  emptyState,
  resultOf,
  sameState,
  type AggregateKind,
  type AggregateState,
  type StateDraft,
} from "./aggregation.ts";
import type { Decimal } from "./decimal.ts";
import { MeterbookError } from "./errors.ts";
import type { MeteredValue } from "./verdict.ts";
import { windowSpan, windowStart, type UsageWindow } from "./window.ts";

/** The identity of one usage bucket: a meter's state for one company, group and span of event time. */
export interface BucketKey {
  readonly meter: string;
  readonly company: string;
  /** Canonical JSON object text of the labels, keys sorted, values strings; `{}` without groupBy. */
  readonly group: string;
  /** Start of the bucket, milliseconds UTC, a multiple of the store's bucket width. */
  readonly start: number;
}

export interface Bucket extends BucketKey {
  readonly aggregate: AggregateKind;
  readonly state: AggregateState;
}

export function isSameKey(a: BucketKey, b: BucketKey): boolean {
  return a.meter === b.meter && a.company === b.company && a.group === b.group && a.start === b.start;
}

/** One meter's share of one event on its way into a bucket. `order` is the event's arrival number. */
export interface CountedValue {
  readonly meter: string;
  readonly aggregate: AggregateKind;
  readonly company: string;
  readonly group: string;
  readonly bucketStart: number;
  readonly value: MeteredValue;
  readonly time: number;
  readonly order: number;
}

/** A bucket in which two accounts of the same usage differ; null = that side has no such bucket. */
export interface BucketDifference extends BucketKey {
  readonly aggregate: AggregateKind;
  readonly expected: AggregateState | null;
  readonly actual: AggregateState | null;
}

/** Which rows to make of buckets. A bucket belongs to the instant at which it starts: `from` and `to` should be bucket starts. */
export interface UsageRowQuery {
  readonly window: UsageWindow;
  /** Half-open [from, to), milliseconds UTC; absent or null = open. */
  readonly from?: number | null;
  readonly to?: number | null;
  /** Labels that stay in the rows; the others are merged away. Absent = all are. */
  readonly groupBy?: readonly string[];
}

/** Usage of one meter by one company in one window and group. */
export interface UsageRow {
  readonly meter: string;
  readonly company: string;
  /** The window, cut at the query's bounds; null where neither sets one. */
  readonly from: number | null;
  readonly to: number | null;
  /** Null when there is no figure, such as the greatest of nothing. */
  readonly value: Decimal | null;
  readonly events: number;
  readonly group: Readonly<Record<string, string>>;
}

/**
 * The label that keeps an event's subject in its group where it is not the payer itself. No meter can have a label of
 * this name, so it is never among those that a question keeps unless it asks for subjects.
 */
export const SUBJECT_LABEL = "$subject";

/** Canonical text of group labels: a JSON object with its keys in code unit order, so that equal labels are equal texts. */
export function groupText(labels: Readonly<Record<string, string>>): string {
  const keys = Object.keys(labels);
  if (keys.length === 0) return "{}";
  if (keys.length > 1) keys.sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(labels[key])}`).join(",")}}`;
}

/** The labels of a canonical group text, each an own property, whatever its name. */
export function groupLabels(group: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = JSON.parse(group);
  return labels;
}

/** Start of the bucket that holds an instant of event time. */
export function bucketStart(time: number, bucketMs: number): number {
  return windowStart(time, bucketMs);
}

/** Width of the days that stores keep beside their buckets, milliseconds. */
export const DAY_MS = 86_400_000;

/** Start of the UTC day that holds an instant. */
export function dayStart(time: number): number {
  return windowStart(time, DAY_MS);
}

/** What buckets add up to by UTC day: a new list that shares no state with the old one. */
export function dayBuckets(buckets: readonly Bucket[]): Bucket[] {
  const table = emptyTable();
  for (const bucket of buckets) absorbBucket(table, bucket, bucket.group, dayStart(bucket.start));
  return table.buckets;
}

/** The buckets of these counts, in order of first appearance. Throws METER_AGGREGATE_CHANGED when one meter has two aggregates. */
export function foldCounts(counts: readonly CountedValue[]): Bucket[] {
  const table = emptyTable();
  for (const count of counts) {
    const { meter, aggregate, company, group, bucketStart: start } = count;
    const draft = draftAt(table, meter, aggregate, company, group, start);
    accumulate(aggregate, draft.state, count.value, count.time, count.order);
  }
  return table.buckets;
}

/** The buckets of both, each key once: a new list that shares no state with the old ones. Throws as foldCounts does. */
export function mergeBuckets(a: readonly Bucket[], b: readonly Bucket[]): Bucket[] {
  const table = emptyTable();
  for (const bucket of a) absorbBucket(table, bucket, bucket.group, bucket.start);
  for (const bucket of b) absorbBucket(table, bucket, bucket.group, bucket.start);
  return table.buckets;
}

/** Where two accounts of the same usage differ, by meter, company, start, group. A bucket without events equals none. */
export function diffBuckets(expected: readonly Bucket[], actual: readonly Bucket[]): BucketDifference[] {
  const wanted = keyed(expected);
  const found = keyed(actual);
  const differences: BucketDifference[] = [];
  for (const [key, { meter, company, group, start, aggregate }] of new Map([...found, ...wanted])) {
    const left = wanted.get(key);
    const right = found.get(key);
    if (sameUsage(aggregate, left, right)) continue;
    const states = { expected: left?.state ?? null, actual: right?.state ?? null };
    differences.push({ meter, company, group, start, aggregate, ...states });
  }
  return differences.toSorted(byKey);
}

/** Usage per meter, company, window and kept labels, in this order by code unit; windows without usage have no row. */
export function usageRows(buckets: readonly Bucket[], query: UsageRowQuery): UsageRow[] {
  const { window, from = null, to = null, groupBy = [] } = query;
  const table = emptyTable();
  const keptGroups = new Map<string, string>();
  for (const bucket of buckets) {
    if ((from !== null && bucket.start < from) || (to !== null && bucket.start >= to)) continue;
    const start = window === null ? 0 : windowSpan(bucket.start, window).from;
    absorbBucket(table, bucket, keptGroup(keptGroups, bucket.group, groupBy), start);
  }
  return table.buckets.toSorted(byKey).map(({ meter, company, group, start, aggregate, state }) => ({
    meter,
    company,
    from: window === null ? from : Math.max(start, from ?? start),
    to: window === null ? to : earlier(windowSpan(start, window).to, to),
    value: resultOf(aggregate, state),
    events: state.events,
    group: groupLabels(group),
  }));
}

/** A bucket of a table. */
interface BucketDraft extends Bucket {
  readonly state: StateDraft;
}

/** Buckets by key, one map per part of it: no text is glued, so no two keys can meet, and nothing is built to look one up. */
export interface BucketTable {
  readonly meters: Map<string, Map<string, Map<string, Map<number, BucketDraft>>>>;
  readonly buckets: BucketDraft[];
}

export function emptyTable(): BucketTable {
  return { meters: new Map(), buckets: [] };
}

/** The bucket of this key, if the table has it. */
export function findBucket(table: BucketTable, { meter, company, group, start }: BucketKey): Bucket | undefined {
  return table.meters.get(meter)?.get(company)?.get(group)?.get(start);
}

/** The bucket of this key to build on, new when the table has none. Throws METER_AGGREGATE_CHANGED. */
export function draftAt(
  table: BucketTable,
  meter: string,
  aggregate: AggregateKind,
  company: string,
  group: string,
  start: number,
): BucketDraft {
  const starts = branch(branch(branch(table.meters, meter), company), group);
  let draft = starts.get(start);
  if (draft === undefined) {
    draft = { meter, company, group, start, aggregate, state: emptyDraft(aggregate) };
    starts.set(start, draft);
    table.buckets.push(draft);
  } else if (draft.aggregate !== aggregate) {
    throw new MeterbookError(
      "METER_AGGREGATE_CHANGED",
      `Meter ${meter} has usage by ${draft.aggregate} and by ${aggregate}.`,
    );
  }
  return draft;
}

function branch<K, V>(tree: Map<string, Map<K, V>>, name: string): Map<K, V> {
  let found = tree.get(name);
  if (found === undefined) {
    found = new Map();
    tree.set(name, found);
  }
  return found;
}

/** Merges a bucket into the table under the given group and start. */
export function absorbBucket(table: BucketTable, bucket: Bucket, group: string, start: number): void {
  absorb(
    bucket.aggregate,
    draftAt(table, bucket.meter, bucket.aggregate, bucket.company, group, start).state,
    bucket.state,
  );
}

function keyed(buckets: readonly Bucket[]): Map<string, Bucket> {
  // Merged first, since one account may bring a key in several parts, such as live and archived usage.
  return new Map(
    mergeBuckets(buckets, []).map((bucket) => [
      JSON.stringify([bucket.meter, bucket.company, bucket.group, bucket.start]),
      bucket,
    ]),
  );
}

function sameUsage(aggregate: AggregateKind, a: Bucket | undefined, b: Bucket | undefined): boolean {
  if (a !== undefined && b !== undefined && a.aggregate !== b.aggregate) return false;
  const none = emptyState(aggregate);
  return sameState(a?.state ?? none, b?.state ?? none);
}

function keptGroup(known: Map<string, string>, group: string, labels: readonly string[]): string {
  let kept = known.get(group);
  if (kept === undefined) {
    const entries = Object.entries(groupLabels(group)).filter(([label]) => labels.includes(label));
    kept = groupText(Object.fromEntries(entries));
    known.set(group, kept);
  }
  return kept;
}

function earlier(time: number, bound: number | null): number {
  return bound === null ? time : Math.min(time, bound);
}

/** The order of buckets: meter, company, start, group. */
export function byKey(a: BucketKey, b: BucketKey): number {
  return (
    byCodeUnit(a.meter, b.meter) ||
    byCodeUnit(a.company, b.company) ||
    a.start - b.start ||
    byCodeUnit(a.group, b.group)
  );
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
