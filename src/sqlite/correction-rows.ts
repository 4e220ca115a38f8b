import { diffBuckets } from "../core/usage.ts";
import type { BucketChange, Correction, CorrectionStatus, Replay } from "../engine/ports.ts";
import { readBuckets } from "./bucket-query.ts";
import { isBucketAt, isUsageAt, putBuckets } from "./bucket-rows.ts";
import type { Connection } from "./connection.ts";
import { findBySource, ingestEntries, replaceHolds } from "./ingest-rows.ts";
import { insertVersions, metersRevision } from "./meter-version-rows.ts";

/** Voids an event once, and stores what counts instead. Runs inside a write transaction; only `done` changed something. */
export function correctEvent(
  connection: Connection,
  bucketMs: number,
  { voiding, seen, buckets, replacement }: Correction,
  now: number,
): CorrectionStatus {
  const seq = findBySource(connection, voiding.source, voiding.id)?.[0];
  if (seq === undefined) return "no_event";
  const facts = connection.sql<string>("SELECT fact FROM amendments WHERE seq = ?").pluck().all(seq);
  if (facts.length !== seen || facts.includes(VOID)) return "stale";
  const isSame = (change: BucketChange): boolean =>
    isBucketAt(connection, change, change.seen) && isBasis(connection, bucketMs, change);
  if (!buckets.every(isSame)) return "stale";
  if (replacement !== null) {
    const { source, id } = replacement.event;
    if (findBySource(connection, source, id) !== null) return "taken";
  }
  putBuckets(
    connection,
    buckets.map(({ next, ...bucket }) => ({ ...bucket, state: next })),
  );
  const { source: _source, id: _id, ...fact } = voiding;
  connection
    .sql("INSERT INTO amendments (seq, fact, amendment, counted) VALUES (?, ?, ?, '[]')")
    .run(seq, VOID, JSON.stringify(fact));
  replaceHolds(connection, seq, []);
  if (replacement !== null) ingestEntries(connection, bucketMs, [replacement], now);
  return "done";
}

/** What makes a voiding the same as another: an event becomes void once. */
const VOID = JSON.stringify(["void"]);

/** Whether the events of a recomputed bucket's span are still those that it was computed from. */
function isBasis(connection: Connection, bucketMs: number, { basis, start }: BucketChange): boolean {
  if (basis === null) return true;
  const [found] = connection
    .sql<[number, number]>(
      `SELECT count(*), ifnull(sum((SELECT count(*) FROM amendments WHERE amendments.seq = events.seq)), 0)
       FROM events INDEXED BY events_time WHERE time >= ? AND time < ?`,
    )
    .raw()
    .all(start, start + bucketMs);
  return found !== undefined && found[0] === basis.events && found[1] === basis.amendments;
}

/** Judges a meter's past by other versions; false and nothing changed when meters or usage moved. Runs inside a write transaction. */
export function replayMeter(connection: Connection, replay: Replay): boolean {
  const { meter, versions, meters, usage, from, to, buckets, holds } = replay;
  if (metersRevision(connection) !== meters || !isUsageAt(connection, usage)) return false;
  // A width of 1 ms: a bucket belongs where it starts.
  const before = readBuckets(connection, "buckets", { meter, from, to }, 1);
  const changed = diffBuckets(buckets, before).map(({ expected, actual: _actual, ...key }) => {
    return { ...key, state: expected };
  });
  putBuckets(connection, changed);
  // What an amendment counted was said by other versions; the event's verdicts now are in the buckets.
  connection
    .sql(
      `UPDATE amendments SET counted = '[]' WHERE counted <> '[]'
       AND seq IN (SELECT seq FROM events INDEXED BY events_time WHERE time >= ? AND time < ?)`,
    )
    .run(from, to);
  for (const each of holds) replaceHolds(connection, each.seq, each.holds);
  insertVersions(connection, versions);
  return true;
}
