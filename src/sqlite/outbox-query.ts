import { ownMembers } from "../core/own-member.ts";
import {
  NOTHING_TO_SEND,
  SHADOW,
  type BillerLane,
  type LaneTotals,
  type OutboxRow,
  type OutboxState,
  type OutboxTotals,
  type Store,
} from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { NOT_FINAL } from "./held-rows.ts";

/** A row of the table. */
export interface Row {
  readonly row_id: number;
  readonly kind: OutboxRow["kind"];
  readonly cancels: number | null;
  readonly meter: number;
  readonly report_as: number;
  readonly company: number;
  readonly customer: number | null;
  readonly window_start: number;
  readonly window_end: number;
  readonly sequence: number;
  readonly raw: string;
  readonly value: string;
  readonly mode: OutboxRow["mode"];
  readonly reported: string;
  readonly late: OutboxRow["late"];
  readonly timestamp: number;
  readonly identifier: string | null;
  readonly state: OutboxState;
  readonly reason: string | null;
  readonly created_at: number;
  readonly first_attempt_at: number | null;
  readonly last_attempt_at: number | null;
  readonly resent_at: number | null;
  readonly absent_since: number | null;
  readonly attempts: number;
  readonly next_attempt_at: number;
  readonly accepted_at: number | null;
  readonly settled_at: number | null;
  readonly epoch: number;
}

/** A page of rows, oldest window first. Bounds select windows that touch [windowFrom, windowTo). */
export function readOutbox(connection: Connection, asked: Parameters<Store["outbox"]>[0]): OutboxRow[] {
  const query = ownMembers(asked);
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  const where = (condition: string, parameter: unknown): void => {
    conditions.push(condition);
    parameters.push(parameter);
  };
  // Literals: a partial index serves a query only when its condition stands in the query's text.
  if (query.state !== undefined) conditions.push(STATE_IS[query.state]);
  if (query.rowId !== undefined) where("row_id = ?", query.rowId);
  if (query.identifier !== undefined) where("identifier = ?", query.identifier);
  if (query.customer !== undefined) where("customer = ?", connection.names.find(query.customer) ?? -1);
  if (query.timestampFrom !== undefined) where("timestamp >= ?", query.timestampFrom);
  if (query.timestampTo !== undefined) where("timestamp < ?", query.timestampTo);
  if (query.meter !== undefined) where("meter = ?", connection.names.find(query.meter) ?? -1);
  if (query.company !== undefined) where("company = ?", connection.names.find(query.company) ?? -1);
  if (query.reportAs !== undefined) where("report_as = ?", connection.names.find(query.reportAs) ?? -1);
  if (query.final !== undefined)
    conditions.push(query.final ? `(state = 'held' AND NOT (${NOT_FINAL}))` : `state = 'held' AND ${NOT_FINAL}`);
  if (query.windowFrom !== undefined) where("window_end > ?", query.windowFrom);
  if (query.windowTo !== undefined) where("window_start < ?", query.windowTo);
  const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const rows = connection
    .sql<Row>(`SELECT * FROM outbox ${filter} ORDER BY window_start, sequence, row_id LIMIT ?`)
    .all(...parameters, query.limit);
  return rows.map((row) => outboxRow(connection, row));
}

/** The condition of the index outbox_state. */
const NOT_DONE = "state <> 'accepted' AND state <> 'settled'";

const STATE_IS: Readonly<Record<OutboxState, string>> = {
  held: `state = 'held' AND ${NOT_DONE}`,
  pending: `state = 'pending' AND ${NOT_DONE}`,
  sending: `state = 'sending' AND ${NOT_DONE}`,
  dead: `state = 'dead' AND ${NOT_DONE}`,
  conflict: `state = 'conflict' AND ${NOT_DONE}`,
  accepted: "state = 'accepted'",
  settled: "state = 'settled'",
};

/** The row with this number; null when there is none. */
export function readRow(connection: Connection, rowId: number): OutboxRow | null {
  const row = connection.sql<Row>("SELECT * FROM outbox WHERE row_id = ?").get(rowId);
  return row === undefined ? null : outboxRow(connection, row);
}

/** Rows whose raw and value are in sums; the others correct the biller's books alone. */
export const COVERS_USAGE = "kind <> 'adjust'";

/** Running totals of every (meter, company) beside the sums of its rows. */
export function readLaneTotals(connection: Connection): LaneTotals[] {
  const { names } = connection;
  const rows = connection
    .sql<[meter: number, company: number, raw: string, value: string, cancels: number, isRunning: number]>(
      `SELECT meter, company, sum_scaled(raw), sum_scaled(value), count(cancels), 0 FROM outbox
         WHERE ${COVERS_USAGE} GROUP BY meter, company
       UNION ALL SELECT meter, company, raw, value, 0, 1 FROM running`,
    )
    .raw()
    .all();
  const lanes = new Map<string, LaneTotals>();
  for (const [meter, company, raw, value, cancels, isRunning] of rows) {
    const key = `${meter}/${company}`;
    const none = { raw: 0n, value: 0n, runningRaw: 0n, runningValue: 0n, cancels: 0 };
    const known = lanes.get(key) ?? { meter: names.text(meter), company: names.text(company), ...none };
    const sums = { raw: BigInt(raw), value: BigInt(value) };
    const part = isRunning === 1 ? { runningRaw: sums.raw, runningValue: sums.value } : { ...sums, cancels };
    lanes.set(key, { ...known, ...part });
  }
  return [...lanes.values()];
}

/** Sums per meter and state; `adjust` rows are only counted. */
export function readOutboxTotals(connection: Connection): OutboxTotals[] {
  const rows = connection
    .sql<[number, OutboxState, number, string, string, string]>(
      `SELECT meter, state, count(*), sum_scaled(raw) FILTER (WHERE ${COVERS_USAGE}),
         sum_scaled(value) FILTER (WHERE ${COVERS_USAGE}),
         sum_scaled(raw) FILTER (WHERE ${COVERS_USAGE} AND reason = ?) FROM outbox GROUP BY meter, state`,
    )
    .raw()
    .all(SHADOW);
  return rows.map(([meter, state, count, raw, value, shadow]) => {
    const sums = { raw: BigInt(raw), value: BigInt(value), shadow: BigInt(shadow) };
    return { meter: connection.names.text(meter), state, rows: count, ...sums };
  });
}

/** Lanes with rows that are at the biller and stated in [from, to). Goes from lane to lane, whatever their number of rows. */
export function reportedLanes(
  connection: Connection,
  { from, to }: Parameters<Store["reportedLanes"]>[0],
): BillerLane[] {
  const next = connection
    .sql<[customer: number, reportAs: number]>(
      `SELECT customer, report_as FROM outbox WHERE customer IS NOT NULL AND (customer, report_as) > (?, ?)
       ORDER BY customer, report_as LIMIT 1`,
    )
    .raw();
  const isReported = connection
    .sql<1>(
      `SELECT 1 FROM outbox WHERE customer = ? AND report_as = ? AND timestamp >= ? AND timestamp < ?
         AND state IN ('accepted', 'settled') AND reason IS NOT ? AND reason IS NOT ? LIMIT 1`,
    )
    .pluck();
  const lanes: BillerLane[] = [];
  for (let lane = next.get(-1, -1); lane !== undefined; lane = next.get(...lane)) {
    if (isReported.get(...lane, from, to, NOTHING_TO_SEND, SHADOW) === undefined) continue;
    const [customer, reportAs] = lane;
    lanes.push({ customer: connection.names.text(customer), reportAs: connection.names.text(reportAs) });
  }
  return lanes;
}

/** A row as the port has it. */
export function outboxRow(connection: Connection, row: Row): OutboxRow {
  const { names } = connection;
  const requestIds = connection
    .sql<string>("SELECT request_id FROM outbox_attempts WHERE row_id = ? AND request_id IS NOT NULL ORDER BY number")
    .pluck()
    .all(row.row_id);
  return {
    rowId: row.row_id,
    kind: row.kind,
    cancels: row.cancels,
    meter: names.text(row.meter),
    reportAs: names.text(row.report_as),
    company: names.text(row.company),
    customer: row.customer === null ? null : names.text(row.customer),
    windowStart: row.window_start,
    windowEnd: row.window_end,
    sequence: row.sequence,
    raw: BigInt(row.raw),
    value: BigInt(row.value),
    mode: row.mode,
    reported: BigInt(row.reported),
    late: row.late,
    timestamp: row.timestamp,
    identifier: row.identifier,
    state: row.state,
    reason: row.reason,
    createdAt: row.created_at,
    firstAttemptAt: row.first_attempt_at,
    lastAttemptAt: row.last_attempt_at,
    resentAt: row.resent_at,
    absentSince: row.absent_since,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    acceptedAt: row.accepted_at,
    settledAt: row.settled_at,
    requestIds,
  };
}
