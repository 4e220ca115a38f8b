import { sameState, type AggregateKind, type AggregateState } from "../core/aggregation.ts";
import { diffBuckets, isSameKey, mergeBuckets, type Bucket, type BucketKey } from "../core/usage.ts";
import type { UsageRevision } from "../engine/ports.ts";
import { mergeInto } from "./bucket-merge.ts";
import { readBuckets } from "./bucket-query.ts";
import type { Connection } from "./connection.ts";
import { getMeta, lastSeq } from "./counters.ts";
import { addDays, recomputeDays, replaceDays } from "./day-rows.ts";
import { insertRows } from "./multi-row.ts";

/** Merges new usage into the buckets that are there, and marks their windows. */
export function addUsage(connection: Connection, fresh: readonly Bucket[]): void {
  mergeInto(connection, "buckets", fresh);
  addDays(connection, fresh);
  markDirty(connection, fresh);
}

/** Adds the usage of events that are about to be deleted to the archive; the usage table has it already. */
export function addArchive(connection: Connection, fresh: readonly Bucket[]): void {
  mergeInto(connection, "archive", mergeBuckets(fresh, []));
}

/** Makes usage = these buckets + archive, and marks the windows in which something changed; false when usage moved since. */
export function replaceUsage(connection: Connection, buckets: readonly Bucket[], revision: UsageRevision): boolean {
  if (!isUsageAt(connection, revision)) return false;
  const next = mergeBuckets(readBuckets(connection, "archive", {}, 0), buckets);
  markDirty(connection, diffBuckets(next, readBuckets(connection, "buckets", {}, 0)));
  connection.sql("DELETE FROM buckets").run();
  connection.sql("DELETE FROM members").run();
  mergeInto(connection, "buckets", next);
  replaceDays(connection, next);
  return true;
}

/** Every ingest, amendment, purge and meter version changes it: a number of an amendment can come again only after a purge. */
export function usageRevision(connection: Connection): UsageRevision {
  const amendment = connection.sql<number | null>("SELECT max(number) FROM amendments").pluck().get() ?? 0;
  const versions = connection.sql<number | null>("SELECT max(number) FROM meter_versions").pluck().get() ?? 0;
  const purged = getMeta(connection, "purged") ?? 0;
  const texts = { changes: `${purged}/${amendment}/${versions}`, settled: `${purged}/${versions}` };
  return { lastSeq: lastSeq(connection), amendments: amendment, ...texts };
}

export function isUsageAt(connection: Connection, { lastSeq: seq, changes }: UsageRevision): boolean {
  const now = usageRevision(connection);
  return now.lastSeq === seq && now.changes === changes;
}

/** Whether a bucket is still as it was seen; null = there was none. */
export function isBucketAt(connection: Connection, key: BucketKey, seen: AggregateState | null): boolean {
  const { meter, company, start } = key;
  // A width of 1 ms: only the buckets that start here.
  const found = readBuckets(connection, "buckets", { meter, company, from: start, to: start + 1 }, 1);
  const state = found.find((bucket) => isSameKey(bucket, key))?.state ?? null;
  return state === null || seen === null ? state === seen : sameState(state, seen);
}

/** Writes these buckets over what is there, null = none, and marks their windows. */
export function putBuckets(
  connection: Connection,
  buckets: readonly (BucketKey & { readonly aggregate: AggregateKind; readonly state: AggregateState | null })[],
): void {
  const { names } = connection;
  for (const { meter, company, start, group } of buckets) {
    const key = [names.code(meter), names.code(company), start, names.code(group)];
    for (const table of ["buckets", "members"])
      connection.sql(`DELETE FROM ${table} WHERE meter = ? AND company = ? AND start = ? AND labels = ?`).run(...key);
  }
  mergeInto(
    connection,
    "buckets",
    buckets.flatMap(({ state, ...bucket }) => (state === null ? [] : [{ ...bucket, state }])),
  );
  recomputeDays(connection, buckets);
  markDirty(connection, buckets);
}

interface Marked {
  readonly meter: string;
  readonly company: string;
  readonly start: number;
}

/** Marks windows as having usage to close. */
export function markDirty(connection: Connection, marks: readonly Marked[]): void {
  const { names } = connection;
  const rows = marks.flatMap(({ meter, company, start }) => [start, names.code(meter), names.code(company)]);
  insertRows(connection, "INSERT INTO dirty VALUES", 3, rows, "ON CONFLICT DO NOTHING");
}
