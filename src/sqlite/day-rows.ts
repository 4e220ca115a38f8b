import { ownMembers } from "../core/own-member.ts";
import { dayBuckets, dayStart, DAY_MS, type Bucket, type BucketKey } from "../core/usage.ts";
import type { UsageQuery } from "../engine/ports.ts";
import { mergeInto } from "./bucket-merge.ts";
import { aggregateIn, readBuckets, visitBuckets } from "./bucket-query.ts";
import type { Connection } from "./connection.ts";
import { getMeta, putMeta } from "./counters.ts";

/**
 * Usage by UTC day: what the buckets of a day add up to, written in the transactions that change them. Not for `unique`,
 * whose members would be there twice: its days are added up when they are asked for.
 */
export function addDays(connection: Connection, fresh: readonly Bucket[]): void {
  mergeInto(connection, "days", dayBuckets(fresh.filter(isKept)));
}

/** Makes the days of these changed buckets what their buckets add up to now. */
export function recomputeDays(connection: Connection, changed: readonly BucketKey[]): void {
  const done = new Set<string>();
  const { names } = connection;
  for (const { meter, company, start } of changed) {
    const from = dayStart(start);
    const key = [names.code(meter), names.code(company), from];
    const text = key.join(" ");
    if (done.has(text)) continue;
    done.add(text);
    connection.sql("DELETE FROM days WHERE meter = ? AND company = ? AND start = ?").run(...key);
    // A width of 1 ms: a bucket belongs where it starts.
    addDays(connection, readBuckets(connection, "buckets", { meter, company, from, to: from + DAY_MS }, 1));
  }
}

/** Makes all days what these buckets, which are all that there are, add up to. */
export function replaceDays(connection: Connection, all: readonly Bucket[]): void {
  connection.sql("DELETE FROM days").run();
  addDays(connection, all);
  settleDays(connection);
}

/** The days that touch the query's range. */
export function readDays(connection: Connection, query: UsageQuery): Bucket[] {
  const { meter } = ownMembers(query);
  if (!areSettled(connection)) return addedUp(connection, query);
  if (meter === undefined) {
    const unique = addedUp(connection, query).filter(({ aggregate }) => aggregate === "unique");
    return [...readBuckets(connection, "days", query, DAY_MS), ...unique];
  }
  const aggregate = aggregateIn(connection, "buckets", meter);
  if (aggregate === null) return [];
  if (aggregate === "unique") return addedUp(connection, query);
  return readBuckets(connection, "days", query, DAY_MS);
}

/** Calls `visit` with each bucket, or day, of one meter that touches the query's range. */
export function visitUsage(
  connection: Connection,
  query: UsageQuery & { readonly meter: string },
  bucketMs: number,
  visit: (bucket: Bucket) => void,
): void {
  const isDaily = query.grain === "day";
  if (aggregateIn(connection, "buckets", query.meter) === "unique" || (isDaily && !areSettled(connection))) {
    const buckets = isDaily ? readDays(connection, query) : readBuckets(connection, "buckets", query, bucketMs);
    for (const bucket of buckets) visit(bucket);
  } else if (isDaily) visitBuckets(connection, "days", query, DAY_MS, visit);
  else visitBuckets(connection, "buckets", query, bucketMs, visit);
}

/** Adds up the buckets that an older release wrote, one company's after another's. Runs inside a write transaction. */
export function rollUp(connection: Connection): void {
  if (areSettled(connection)) return;
  connection.sql("DELETE FROM days").run();
  const pairs = connection.sql<[number, number]>("SELECT DISTINCT meter, company FROM buckets").raw().all();
  for (const [meter, company] of pairs) {
    const query = { meter: connection.names.text(meter), company: connection.names.text(company) };
    if (aggregateIn(connection, "buckets", query.meter) !== "unique")
      addDays(connection, readBuckets(connection, "buckets", query, 1));
  }
  settleDays(connection);
}

/** Whether the days are what the buckets add up to: not before the first adding up, nor when an older release stored events since. */
function areSettled(connection: Connection): boolean {
  if (getMeta(connection, "days_stale") !== null) return false;
  return getMeta(connection, "events") === getMeta(connection, "days_events");
}

function settleDays(connection: Connection): void {
  connection.sql("DELETE FROM meta WHERE name = 'days_stale'").run();
  const events = getMeta(connection, "events");
  if (events !== null) putMeta(connection, "days_events", events);
}

function addedUp(connection: Connection, query: UsageQuery): Bucket[] {
  const { from, to } = ownMembers(query);
  // Whole days, with a width of 1 ms: a bucket belongs where it starts.
  const whole = {
    ...(from === undefined ? {} : { from: dayStart(from) }),
    ...(to === undefined ? {} : { to: dayStart(to - 1) + DAY_MS }),
  };
  return dayBuckets(readBuckets(connection, "buckets", { ...query, ...whole }, 1));
}

function isKept({ aggregate }: Bucket): boolean {
  return aggregate !== "unique";
}
