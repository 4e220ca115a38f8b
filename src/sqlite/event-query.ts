import type { HoldReason } from "../core/event.ts";
import type { Decimal } from "../core/decimal.ts";
import { ownMember, ownMembers } from "../core/own-member.ts";
import type { EventQuery, HeldRow, SpanQuery, StoredEvent, StoredFact } from "../engine/ports.ts";
import { RUN_SQL, seqRuns, type SeqRun } from "./company-runs.ts";
import type { Connection } from "./connection.ts";
import { EVENT_COLUMNS, eventOfRow, type EventRow } from "./event-row.ts";
import { originalText, storedText } from "./stored-text.ts";

/** The events of all sources that have this id, in order of arrival. */
export function findEvents(connection: Connection, id: string): StoredEvent[] {
  const rows = connection
    .sql<EventRow>(`SELECT ${EVENT_COLUMNS} FROM events WHERE id = ? ORDER BY seq`)
    .raw()
    .all(storedText(id));
  return rows.map((row) => storedEvent(connection, row));
}

/** A page of events by arrival. */
export function readEvents(connection: Connection, query: EventQuery): StoredEvent[] {
  const rows = connection
    .sql<EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM events WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq ${direction(query)}`,
    )
    .raw()
    .all(JSON.stringify(pageSeqs(connection, query)));
  return rows.map((row) => storedEvent(connection, row));
}

/** A company's events are found run by run: see company-runs. */
function pageSeqs(connection: Connection, query: EventQuery): readonly number[] {
  if (query.company === undefined) return seqsOf(connection, query, ALL);
  const found: number[] = [];
  if (connection.names.find(query.company) === null) return found;
  for (const run of seqRuns(connection, query)) {
    found.push(...seqsOf(connection, { ...query, limit: query.limit - found.length }, { ...ALL, run }));
    if (found.length >= query.limit) break;
  }
  return found;
}

function seqsOf(connection: Connection, query: EventQuery, source: PageSource): number[] {
  const { text, parameters } = seqQuery(connection, query, source);
  return connection
    .sql<number>(text)
    .pluck()
    .all(...parameters);
}

/** A page of events by event time, from the index of times: events outside the span are not touched. */
export function readSpan(connection: Connection, { from, to, after, type, unheld, limit }: SpanQuery): StoredEvent[] {
  const conditions: string[] = [];
  const bounds: number[] = [];
  const where = (condition: string, ...values: readonly number[]): void => {
    conditions.push(condition);
    bounds.push(...values);
  };
  if (from !== undefined) where("time >= ?", from);
  if (to !== undefined) where("time < ?", to);
  if (after !== undefined) where("(time, seq) > (?, ?)", after.time, after.seq);
  if (type !== undefined) where("type = ?", connection.names.find(type) ?? -1);
  if (unheld === true) where("NOT EXISTS (SELECT 1 FROM holds WHERE holds.seq = events.seq)");
  const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const rows = connection
    .sql<EventRow>(`SELECT ${EVENT_COLUMNS} FROM events INDEXED BY events_time ${filter} ORDER BY time, seq LIMIT ?`)
    .raw()
    .all(...bounds, limit);
  return rows.map((row) => storedEvent(connection, row));
}

type HoldRow = readonly [
  seq: number,
  source: number,
  id: string,
  time: number,
  meter: number,
  reason: HoldReason,
  detail: string,
  amount: string | null,
  member: string | null,
];

/** Open holds of a page of events; `limit` counts events, so that no event's holds are torn apart between pages. */
export function readHeld(connection: Connection, query: EventQuery): HeldRow[] {
  const { text, parameters } = seqQuery(connection, query, HELD);
  const rows = connection
    .sql<HoldRow>(
      `SELECT seq, source, id, time, meter, reason, detail, amount, member
       FROM (${text}) AS page JOIN events USING (seq) JOIN holds USING (seq) ORDER BY seq ${direction(query)}, place`,
    )
    .raw()
    .all(...parameters);
  const { names } = connection;
  return rows.map(([seq, source, id, time, meter, reason, detail, amount, member]) => ({
    seq,
    source: names.text(source),
    id: originalText(id),
    time,
    meter: names.text(meter),
    reason,
    detail: originalText(detail),
    value: amount === null ? (member === null ? null : originalText(member)) : BigInt(amount),
  }));
}

/** Open holds per meter. */
export function readHoldTotals(connection: Connection): { meter: string; holds: number; value: Decimal }[] {
  const rows = connection
    .sql<[number, number, string]>("SELECT meter, count(*), sum_scaled(ifnull(amount, '0')) FROM holds GROUP BY meter")
    .raw()
    .all();
  return rows.map(([meter, holds, value]) => ({ meter: connection.names.text(meter), holds, value: BigInt(value) }));
}

/** A row as an event with its later facts. */
export function storedEvent(connection: Connection, row: EventRow): StoredEvent {
  const event = eventOfRow(row, connection.names);
  const texts = connection
    .sql<string>("SELECT amendment FROM amendments WHERE seq = ? ORDER BY number")
    .pluck()
    .all(row[0]);
  const { source, id } = event;
  const amendments = texts.map((text) => {
    const fact: StoredFact = { source, id, ...JSON.parse(text) };
    return ownMembers(fact);
  });
  return { seq: row[0], event, amendments };
}

function direction({ order }: EventQuery): string {
  return order === "newest" ? "DESC" : "ASC";
}

/** Where a page's arrival numbers come from, in order. */
interface PageSource {
  readonly from: string;
  readonly seq: string;
  readonly conditions: readonly string[];
  /** Only events of this run; for a query of one company. */
  readonly run?: SeqRun;
}

const ALL: PageSource = { from: "events", seq: "events.seq", conditions: [] };
/** Few events are held: walked from the holds (CROSS keeps that order), each event at its first one. */
const HELD: PageSource = {
  from: "holds CROSS JOIN events ON events.seq = holds.seq",
  seq: "holds.seq",
  conditions: ["holds.place = 0"],
};

/** The arrival numbers of a page. An assigned event belongs to its new company; each branch walks an index in order. */
function seqQuery(
  connection: Connection,
  query: EventQuery,
  source: PageSource,
): { text: string; parameters: unknown[] } {
  const conditions = [...source.conditions];
  const bounds: unknown[] = [];
  const where = (condition: string, bound: unknown): void => {
    conditions.push(condition);
    bounds.push(bound);
  };
  if (query.from !== undefined) where("events.time >= ?", query.from);
  if (query.to !== undefined) where("events.time < ?", query.to);
  if (query.type !== undefined) where("events.type = ?", connection.names.find(query.type) ?? -1);
  if (query.afterSeq !== undefined) where(`${source.seq} > ?`, query.afterSeq);
  if (query.beforeSeq !== undefined) where(`${source.seq} < ?`, query.beforeSeq);
  const end = `ORDER BY seq ${direction(query)} LIMIT ?`;
  const filter = conditions.join(" AND ");
  if (query.company === undefined) {
    const text = `SELECT ${source.seq} AS seq FROM ${source.from} ${filter === "" ? "" : `WHERE ${filter}`} ${end}`;
    return { text, parameters: [...bounds, query.limit] };
  }
  const and = filter === "" ? "" : `AND ${filter}`;
  const code = connection.names.find(query.company) ?? -1;
  const run = ownMember(source, "run");
  const [ofRun, runNumber, assignedInRun, runBounds] =
    run === undefined
      ? ["", [], "", []]
      : [
          `INDEXED BY events_company WHERE ${RUN_SQL} = ? AND`,
          [run.run],
          "AND assigned.seq >= ? AND assigned.seq < ?",
          [run.from, run.to],
        ];
  const text = `
    SELECT ${source.seq} AS seq FROM ${source.from} ${ofRun === "" ? "WHERE" : ofRun}
      events.company = ? AND NOT EXISTS (SELECT 1 FROM assigned WHERE assigned.seq = events.seq) ${and}
    UNION ALL
    SELECT ${source.seq} AS seq FROM ${source.from} JOIN assigned ON assigned.seq = events.seq
      WHERE assigned.company = ? ${assignedInRun} ${and}
    ${end}`;
  return { text, parameters: [...runNumber, code, ...bounds, code, ...runBounds, ...bounds, query.limit] };
}
