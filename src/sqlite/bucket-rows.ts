import { mergeStates, sameState, type AggregateKind, type AggregateState } from "../core/aggregation.ts";
import { diffBuckets, isSameKey, mergeBuckets, type Bucket, type BucketKey } from "../core/usage.ts";
import type { UsageQuery, UsageRevision } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { getMeta, lastSeq } from "./counters.ts";
import { insertRows } from "./multi-row.ts";
import { originalText, storedText } from "./stored-text.ts";

/** Usage with the purged part in it, or the purged part alone. */
type BucketTable = "buckets" | "archive";

type StateRow = readonly [events: number, value: string | null, time: number, arrival: number];
type BucketRow = readonly [
  meter: number,
  company: number,
  start: number,
  labels: number,
  aggregate: AggregateKind,
  ...StateRow,
];

/** Merges new usage into the buckets that are there, and marks their windows. */
export function addUsage(connection: Connection, fresh: readonly Bucket[]): void {
  mergeInto(connection, "buckets", fresh);
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
  return true;
}

/** Every ingest, amendment, purge and meter version changes it: a number of an amendment can come again only after a purge. */
export function usageRevision(connection: Connection): UsageRevision {
  const amendment = connection.sql<number | null>("SELECT max(number) FROM amendments").pluck().get() ?? 0;
  const versions = connection.sql<number | null>("SELECT max(number) FROM meter_versions").pluck().get() ?? 0;
  return { lastSeq: lastSeq(connection), changes: `${getMeta(connection, "purged") ?? 0}/${amendment}/${versions}` };
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
  markDirty(connection, buckets);
}

/** Meters with buckets; each is found by one step in the primary key. */
export function readBucketMeters(connection: Connection): string[] {
  const codes = ["buckets", "archive"].flatMap((table) =>
    connection
      .sql<number>(
        `WITH RECURSIVE found (meter) AS (
           SELECT min(meter) FROM ${table}
           UNION ALL SELECT (SELECT min(meter) FROM ${table} WHERE meter > found.meter) FROM found WHERE meter IS NOT NULL
         ) SELECT meter FROM found WHERE meter IS NOT NULL`,
      )
      .pluck()
      .all(),
  );
  return [...new Set(codes)].map((code) => connection.names.text(code));
}

/** Buckets that touch the query's range. */
export function readBuckets(connection: Connection, table: BucketTable, query: UsageQuery, bucketMs: number): Bucket[] {
  const { names } = connection;
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  const where = (condition: string, parameter: unknown): void => {
    conditions.push(condition);
    parameters.push(parameter);
  };
  // A name without a code has no rows: -1 is nobody's code.
  if (query.meter !== undefined) where("meter = ?", names.find(query.meter) ?? -1);
  if (query.company !== undefined) where("company = ?", names.find(query.company) ?? -1);
  if (query.from !== undefined) where("start > ?", query.from - bucketMs);
  if (query.to !== undefined) where("start < ?", query.to);
  const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const rows = connection
    .sql<BucketRow>(
      `SELECT meter, company, start, labels, aggregate, events, value, time, arrival FROM ${table} ${filter}`,
    )
    .raw()
    .all(...parameters);
  return rows.map(([meter, company, start, labels, aggregate, ...state]) => {
    const members = aggregate === "unique" ? readMembers(connection, table, [meter, company, start, labels]) : null;
    return {
      meter: names.text(meter),
      company: names.text(company),
      group: names.text(labels),
      start,
      aggregate,
      state: stateOf(state, members),
    };
  });
}

function readMembers(connection: Connection, table: BucketTable, key: readonly number[]): Set<string> {
  const stored = connection
    .sql<string>(`SELECT member FROM ${membersOf(table)} WHERE meter = ? AND company = ? AND start = ? AND labels = ?`)
    .pluck()
    .all(...key);
  return new Set(stored.map(originalText));
}

function stateOf([events, value, time, arrival]: StateRow, members: ReadonlySet<string> | null): AggregateState {
  return { events, value: value === null ? null : BigInt(value), time, order: arrival, members };
}

function mergeInto(connection: Connection, table: BucketTable, fresh: readonly Bucket[]): void {
  const { names } = connection;
  const find = connection
    .sql<StateRow>(
      `SELECT events, value, time, arrival FROM ${table} WHERE meter = ? AND company = ? AND start = ? AND labels = ?`,
    )
    .raw();
  const rows: unknown[] = [];
  const members: unknown[] = [];
  for (const { meter, company, start, group, aggregate, state } of fresh) {
    const key = [names.code(meter), names.code(company), start, names.code(group)];
    const known = find.get(...key);
    // Known members stay in their table: only how many events there were is merged here.
    const none = state.members === null ? null : new Set<string>();
    const merged =
      known === undefined ? state : mergeStates(aggregate, stateOf(known, none), { ...state, members: none });
    rows.push(...key, aggregate, merged.events, merged.value?.toString() ?? null, merged.time, merged.order);
    for (const member of state.members ?? []) members.push(...key, storedText(member));
  }
  const update = "events = excluded.events, value = excluded.value, time = excluded.time, arrival = excluded.arrival";
  insertRows(connection, `INSERT INTO ${table} VALUES`, 9, rows, `ON CONFLICT DO UPDATE SET ${update}`);
  insertRows(connection, `INSERT INTO ${membersOf(table)} VALUES`, 5, members, "ON CONFLICT DO NOTHING");
}

function membersOf(table: BucketTable): string {
  return table === "buckets" ? "members" : "archive_members";
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
