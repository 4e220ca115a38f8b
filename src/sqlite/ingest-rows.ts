import type { UsageEvent } from "../core/event.ts";
import { canonicalEvent, isSameContent } from "../core/event-rules.ts";
import { MeterbookError } from "../core/errors.ts";
import { foldCounts, type Bucket, type CountedValue } from "../core/usage.ts";
import type { AmendStatus, Count, Hold, IngestEntry, IngestStatus, StoredAmendment } from "../engine/ports.ts";
import { addArchive, addUsage } from "./bucket-rows.ts";
import type { Connection } from "./connection.ts";
import { addCounter, countEvents, getMeta, lastSeq } from "./counters.ts";
import { EVENT_COLUMN_COUNT, EVENT_COLUMNS, eventOfRow, pushEventColumns, type EventRow } from "./event-row.ts";
import { insertRows } from "./multi-row.ts";
import { storedText } from "./stored-text.ts";

/** Rows that are tried at once; a chunk with a known identity in it is done again row by row. */
const CHUNK = 64;
const INSERT = `INSERT INTO events (${EVENT_COLUMNS}) VALUES`;
const ONCE = "ON CONFLICT (id, source) DO NOTHING";

/** Stores new events with their usage and holds; tells duplicates and conflicts apart. Runs inside a write transaction. */
export function ingestEntries(
  connection: Connection,
  bucketMs: number,
  entries: readonly IngestEntry[],
  recordedAt: number,
): IngestStatus[] {
  if (getMeta(connection, "bucket_ms") !== bucketMs) {
    throw new MeterbookError("METER_STORE_BUCKETS", "Another process gave the empty database other usage buckets.", {
      remedy: "Use one configuration for all processes of a database, and restart this one.",
    });
  }
  const intake = new Intake(connection, recordedAt);
  for (let at = 0; at < entries.length; at += CHUNK) intake.take(entries.slice(at, at + CHUNK));
  return intake.finish();
}

class Intake {
  private readonly connection: Connection;
  private readonly recordedAt: number;
  private nextSeq: number;
  private readonly statuses: IngestStatus[] = [];
  private readonly counted: CountedValue[] = [];
  private readonly holdRows: unknown[] = [];
  private duplicates = 0;

  constructor(connection: Connection, recordedAt: number) {
    this.connection = connection;
    this.recordedAt = recordedAt;
    this.nextSeq = lastSeq(connection) + 1;
  }

  take(entries: readonly IngestEntry[]): void {
    const { connection } = this;
    const parameters: unknown[] = [];
    for (const [place, { event }] of entries.entries()) {
      pushEventColumns(parameters, connection.names, this.nextSeq + place, event);
    }
    if (insertRows(connection, INSERT, EVENT_COLUMN_COUNT, parameters, ONCE) === entries.length) {
      for (const entry of entries) this.accept(entry);
      return;
    }
    // Something was known. Taking the chunk back keeps arrival numbers without gaps and shows which rows are new.
    connection.sql("DELETE FROM events WHERE seq >= ?").run(this.nextSeq);
    for (const entry of entries) this.takeOne(entry);
  }

  finish(): IngestStatus[] {
    const { connection } = this;
    addUsage(connection, foldCounts(this.counted));
    insertHoldRows(connection, this.holdRows);
    if (this.duplicates > 0) addCounter(connection, "duplicates", this.duplicates);
    const stored = this.statuses.filter((status) => status === "stored").length;
    if (stored > 0) countEvents(connection, stored);
    return this.statuses;
  }

  private takeOne(entry: IngestEntry): void {
    const parameters: unknown[] = [];
    pushEventColumns(parameters, this.connection.names, this.nextSeq, entry.event);
    if (insertRows(this.connection, INSERT, EVENT_COLUMN_COUNT, parameters, ONCE) === 1) this.accept(entry);
    else this.refuse(entry.event);
  }

  private accept({ event, counts, holds }: IngestEntry): void {
    const seq = this.nextSeq;
    this.nextSeq += 1;
    this.statuses.push("stored");
    pushCounted(this.counted, counts, event.time, seq);
    pushHoldRows(this.holdRows, this.connection, seq, holds);
  }

  private refuse(event: UsageEvent): void {
    const { connection } = this;
    const known = findBySource(connection, event.source, event.id);
    if (known !== null && isSameContent(eventOfRow(known, connection.names), event)) {
      this.duplicates += 1;
      this.statuses.push("duplicate");
      return;
    }
    connection
      .sql("INSERT INTO conflicts (id, source, refused, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .run(
        storedText(event.id),
        connection.names.code(event.source),
        storedText(canonicalEvent(event)),
        this.recordedAt,
      );
    this.statuses.push("conflict");
  }
}

/** Adds a later fact to an event once: a replayed journal brings it again. Runs inside a write transaction. */
export function amendEvent(
  connection: Connection,
  amendment: StoredAmendment,
  counts: readonly Count[],
  holds: readonly Hold[],
  seen: number,
): AmendStatus {
  const row = findBySource(connection, amendment.source, amendment.id);
  if (row === null) return "no_event";
  const seq = row[0];
  const fact = factText(amendment);
  const facts = connection.sql<string>("SELECT fact FROM amendments WHERE seq = ?").pluck().all(seq);
  if (facts.includes(fact)) return "done";
  if (facts.length !== seen) return "stale";
  // An event's share of a meter is counted once, also when two amendments race.
  const counted = new Set(
    connection
      .sql<string>("SELECT counted FROM amendments WHERE seq = ?")
      .pluck()
      .all(seq)
      .flatMap((text): string[] => JSON.parse(text)),
  );
  const fresh = counts.filter(({ meter }) => !counted.has(meter));
  connection
    .sql("INSERT INTO amendments (seq, fact, amendment, counted) VALUES (?, ?, ?, ?)")
    .run(seq, fact, amendmentText(amendment), JSON.stringify([...new Set(fresh.map(({ meter }) => meter))]));
  // A payer who is known stays: the event's own, else the first that was assigned.
  if (amendment.company !== undefined && row[6] === null) {
    connection
      .sql("INSERT INTO assigned (seq, company) VALUES (?, ?) ON CONFLICT DO NOTHING")
      .run(seq, connection.names.code(amendment.company));
  }
  replaceHolds(connection, seq, holds);
  const values: CountedValue[] = [];
  pushCounted(values, fresh, row[4], seq);
  addUsage(connection, foldCounts(values));
  return "done";
}

/**
 * Deletes exactly these events with their later facts, and adds their usage to the archive; answers how many. 0 and
 * nothing changed unless all are there, with this many amendments in all. Runs inside a write transaction.
 */
export function purgeEvents(
  connection: Connection,
  seqs: readonly number[],
  archive: readonly Bucket[],
  seen: number,
): number {
  const asked = [...new Set(seqs)];
  const timeOf = connection.sql<number>("SELECT time FROM events WHERE seq = ?").pluck();
  const facts = connection.sql<number>("SELECT count(*) FROM amendments WHERE seq = ?").pluck();
  let amendments = 0;
  let until = -Infinity;
  for (const seq of asked) {
    const time = timeOf.get(seq);
    if (time === undefined) return 0;
    until = Math.max(until, time + 1);
    amendments += facts.get(seq) ?? 0;
  }
  if (amendments !== seen || asked.length === 0) return 0;
  addArchive(connection, archive);
  // A later event must not get the arrival number of a deleted one.
  connection
    .sql("INSERT INTO meta VALUES ('purged_seq', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)")
    .run(lastSeq(connection));
  connection
    .sql("INSERT INTO meta VALUES ('purged_until', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)")
    .run(until);
  const remove = connection.sql("DELETE FROM events WHERE seq = ?");
  for (const seq of asked) remove.run(seq);
  countEvents(connection, -asked.length);
  addCounter(connection, "purged", asked.length);
  return asked.length;
}

/** The row of the event with this identity. */
export function findBySource(connection: Connection, source: string, id: string): EventRow | null {
  const code = connection.names.find(source);
  if (code === null) return null;
  const row = connection
    .sql<EventRow>(`SELECT ${EVENT_COLUMNS} FROM events WHERE id = ? AND source = ?`)
    .raw()
    .get(storedText(id), code);
  return row ?? null;
}

function pushCounted(values: CountedValue[], counts: readonly Count[], time: number, order: number): void {
  for (const { meter, aggregate, company, group, bucketStart, value } of counts) {
    values.push({ meter, aggregate, company, group, bucketStart, value, time, order });
  }
}

function pushHoldRows(rows: unknown[], connection: Connection, seq: number, holds: readonly Hold[]): void {
  for (const [place, { meter, reason, detail, value }] of holds.entries()) {
    const amount = typeof value === "bigint" ? value.toString() : null;
    const member = typeof value === "string" ? storedText(value) : null;
    rows.push(seq, place, connection.names.code(meter), reason, storedText(detail), amount, member);
  }
}

/** Makes these the open holds of an event. */
export function replaceHolds(connection: Connection, seq: number, holds: readonly Hold[]): void {
  connection.sql("DELETE FROM holds WHERE seq = ?").run(seq);
  const rows: unknown[] = [];
  pushHoldRows(rows, connection, seq, holds);
  insertHoldRows(connection, rows);
}

function insertHoldRows(connection: Connection, rows: readonly unknown[]): void {
  insertRows(connection, "INSERT INTO holds VALUES", 7, rows, "");
}

/** What makes an amendment the same as another: all but the time at which it came. */
function factText({ closes, company, user, aborted, faults, author }: StoredAmendment): string {
  const sorted = Object.entries(faults ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([closes, company ?? null, user ?? null, aborted ?? null, sorted, author]);
}

function amendmentText({ source: _source, id: _id, ...fact }: StoredAmendment): string {
  return JSON.stringify(fact);
}
