import type { OutboxState, StoreCounts } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/** Whole numbers about the file itself. */
export type MetaName =
  | "days_stale"
  | "days_events"
  | "bucket_ms"
  | "purged_seq"
  | "purged_until"
  | "purged"
  | "newest_event"
  | "fence"
  | "events"
  | "duplicates";

export function getMeta(connection: Connection, name: MetaName): number | null {
  const value = connection.sql("SELECT value FROM meta WHERE name = ?").pluck().get(name);
  return typeof value === "number" ? value : null;
}

export function putMeta(connection: Connection, name: MetaName, value: number): void {
  connection.sql("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(name, value);
}

/** Adds to a counter that is read far more often than counting the rows would allow. */
export function addCounter(connection: Connection, name: MetaName, difference: number): void {
  connection
    .sql("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value")
    .run(name, difference);
}

/**
 * Counts stored or purged events. The second counter is for the days: a process of an older release counts only with the
 * first, and writes buckets without days.
 */
export function countEvents(connection: Connection, difference: number): void {
  addCounter(connection, "events", difference);
  addCounter(connection, "days_events", difference);
}

/** The greatest arrival number that was given out, purged events included; 0 = none. */
export function lastSeq(connection: Connection): number {
  const stored = connection.sql<number | null>("SELECT max(seq) FROM events").pluck().get();
  return Math.max(stored ?? 0, getMeta(connection, "purged_seq") ?? 0);
}

/** Figures for `status`. */
export function readCounts(connection: Connection): StoreCounts {
  const none = { held: 0, pending: 0, sending: 0, accepted: 0, settled: 0, dead: 0, conflict: 0 };
  const outbox: Record<OutboxState, number> = none;
  const states = connection.sql<[OutboxState, number]>("SELECT state, count(*) FROM outbox GROUP BY state").raw().all();
  for (const [state, rows] of states) outbox[state] = rows;
  const lastEventAt = connection.sql("SELECT time FROM events ORDER BY seq DESC LIMIT 1").pluck().get();
  return {
    events: getMeta(connection, "events") ?? 0,
    heldEvents: Number(connection.sql("SELECT count(*) FROM holds WHERE place = 0").pluck().get()),
    duplicates: getMeta(connection, "duplicates") ?? 0,
    conflicts: Number(connection.sql("SELECT count(*) FROM conflicts").pluck().get()),
    outbox,
    lastEventAt: typeof lastEventAt === "number" ? lastEventAt : null,
  };
}
