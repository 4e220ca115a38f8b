import { limits } from "../engine/limits.ts";
import type {
  AttemptOutcome,
  Claim,
  LaneTotals,
  OutboxRow,
  OutboxState,
  OutboxTotals,
  Release,
  Store,
} from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { getMeta, putMeta } from "./counters.ts";
import { NOT_FINAL } from "./held-rows.ts";

interface Row {
  readonly row_id: number;
  readonly meter: number;
  readonly report_as: number;
  readonly company: number;
  readonly customer: number | null;
  readonly window_start: number;
  readonly window_end: number;
  readonly sequence: number;
  readonly raw: string;
  readonly value: string;
  readonly timestamp: number;
  readonly identifier: string | null;
  readonly state: OutboxState;
  readonly reason: string | null;
  readonly created_at: number;
  readonly first_attempt_at: number | null;
  readonly attempts: number;
  readonly next_attempt_at: number;
  readonly accepted_at: number | null;
  readonly epoch: number;
}

/** A page of rows, oldest window first. Bounds select windows that touch [windowFrom, windowTo). */
export function readOutbox(connection: Connection, query: Parameters<Store["outbox"]>[0]): OutboxRow[] {
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  const where = (condition: string, parameter: unknown): void => {
    conditions.push(condition);
    parameters.push(parameter);
  };
  // Literals: a partial index serves a query only when its condition stands in the query's text.
  if (query.state !== undefined) conditions.push(STATE_IS[query.state]);
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

const STATE_IS: Readonly<Record<OutboxState, string>> = {
  held: "state = 'held' AND state <> 'accepted'",
  pending: "state = 'pending' AND state <> 'accepted'",
  sending: "state = 'sending' AND state <> 'accepted'",
  dead: "state = 'dead' AND state <> 'accepted'",
  conflict: "state = 'conflict' AND state <> 'accepted'",
  accepted: "state = 'accepted'",
};

/** Running totals of every (meter, company) beside the sums of its rows. */
export function readLaneTotals(connection: Connection): LaneTotals[] {
  const { names } = connection;
  const rows = connection
    .sql<[meter: number, company: number, raw: string, value: string, isRunning: number]>(
      `SELECT meter, company, sum_scaled(raw), sum_scaled(value), 0 FROM outbox GROUP BY meter, company
       UNION ALL SELECT meter, company, raw, value, 1 FROM running`,
    )
    .raw()
    .all();
  const lanes = new Map<string, LaneTotals>();
  for (const [meter, company, raw, value, isRunning] of rows) {
    const key = `${meter}/${company}`;
    const none = { raw: 0n, value: 0n, runningRaw: 0n, runningValue: 0n };
    const known = lanes.get(key) ?? { meter: names.text(meter), company: names.text(company), ...none };
    const sums = { raw: BigInt(raw), value: BigInt(value) };
    const part = isRunning === 1 ? { runningRaw: sums.raw, runningValue: sums.value } : sums;
    lanes.set(key, { ...known, ...part });
  }
  return [...lanes.values()];
}

/** Sums per meter and state. */
export function readOutboxTotals(connection: Connection): OutboxTotals[] {
  const rows = connection
    .sql<[number, OutboxState, number, string, string]>(
      "SELECT meter, state, count(*), sum_scaled(raw), sum_scaled(value) FROM outbox GROUP BY meter, state",
    )
    .raw()
    .all();
  return rows.map(([meter, state, count, raw, value]) => {
    return { meter: connection.names.text(meter), state, rows: count, raw: BigInt(raw), value: BigInt(value) };
  });
}

/**
 * Takes due rows under a lease. A lane is one (customer, meter): a row that is being sent, or an earlier pending one, blocks
 * the others in it, because Stripe takes one call per customer and meter at a time. Runs inside a write transaction.
 */
export function claimRows(
  connection: Connection,
  { now, leaseMs, holder, limit }: Parameters<Store["claim"]>[0],
): Claim[] {
  const due = connection
    .sql<Row>(
      `SELECT * FROM outbox AS due
       WHERE state IN ('pending', 'sending') AND CASE state
         WHEN 'sending' THEN lease_until <= :now OR lease_until > :now + :leaseMax
         ELSE (next_attempt_at <= :now OR next_attempt_at > :now + :waitMax)
           AND NOT EXISTS (SELECT 1 FROM outbox AS other
             WHERE other.state = 'sending' AND other.customer = due.customer AND other.meter = due.meter)
           AND NOT EXISTS (SELECT 1 FROM outbox AS other
             WHERE other.state = 'pending' AND other.customer = due.customer AND other.meter = due.meter
               AND (other.window_start, other.sequence, other.row_id) < (due.window_start, due.sequence, due.row_id))
         END
       ORDER BY window_start, sequence, row_id LIMIT :limit`,
    )
    .all({ now, limit, leaseMax: limits.leaseMs, waitMax: limits.retryAfterMaxMs });
  let fence = getMeta(connection, "fence") ?? 0;
  const claims = due.map((row) => {
    fence += 1;
    const token = `${holder}#${fence}`;
    connection
      .sql("UPDATE outbox SET state = 'sending', token = ?, lease_until = ?, attempt = NULL WHERE row_id = ?")
      .run(token, now + leaseMs, row.row_id);
    return { row: { ...outboxRow(connection, row), state: "sending" as const }, token, epoch: row.epoch };
  });
  if (claims.length > 0) putMeta(connection, "fence", fence);
  return claims;
}

/** Counts the attempt before the call is made. A lease that ran out is lost, though nobody else took the row yet. */
export function beginAttempt(connection: Connection, rowId: number, token: string, now: number): boolean {
  const attempts = connection
    .sql(
      `SELECT attempts FROM outbox
       WHERE row_id = ? AND token = ? AND state = 'sending' AND lease_until > ? AND lease_until <= ?`,
    )
    .pluck()
    .get(rowId, token, now, now + limits.leaseMs);
  if (typeof attempts !== "number") return false;
  const { lastInsertRowid } = connection
    .sql("INSERT INTO outbox_attempts (row_id, attempt, at) VALUES (?, ?, ?)")
    .run(rowId, attempts + 1, now);
  connection
    .sql(
      `UPDATE outbox SET attempts = attempts + 1, attempt = ?, first_attempt_at = ifnull(first_attempt_at, ?)
       WHERE row_id = ?`,
    )
    .run(lastInsertRowid, now, rowId);
  return true;
}

/** Writes down how an attempt ended; only the holder of the row's token can. */
export function settleRow(
  connection: Connection,
  rowId: number,
  token: string,
  outcome: AttemptOutcome,
  now: number,
): boolean {
  const row = connection
    .sql<SendingRow>(
      "SELECT attempts, attempt, first_attempt_at, next_attempt_at, epoch FROM outbox WHERE row_id = ? AND token = ? AND state = 'sending'",
    )
    .get(rowId, token);
  if (row === undefined) return false;
  writeOutcome(connection, rowId, row, outcome, now);
  const isBack = outcome.kind === "retry" || outcome.kind === "stopped";
  // A refused key says nothing about the row: the attempt is taken back, and with it the start of its 24 hours.
  const attempts = row.attempts - (outcome.kind === "stopped" && row.attempt !== null ? 1 : 0);
  connection
    .sql(
      `UPDATE outbox SET state = ?, reason = ?, attempts = ?, first_attempt_at = ?, next_attempt_at = ?, accepted_at = ?,
         epoch = ?, token = NULL, lease_until = NULL, attempt = NULL WHERE row_id = ?`,
    )
    .run(
      isBack ? "pending" : outcome.kind,
      outcome.kind === "accepted" ? null : outcome.reason,
      attempts,
      outcome.kind === "stopped" && attempts === 0 ? null : row.first_attempt_at,
      outcome.kind === "retry" ? outcome.nextAttemptAt : row.next_attempt_at,
      outcome.kind === "accepted" ? now : null,
      row.epoch + (outcome.kind === "retry" && outcome.freshKey === true ? 1 : 0),
      rowId,
    );
  return true;
}

/** Makes held rows pending; answers how many were still held. */
export function releaseRows(connection: Connection, releases: readonly Release[]): number {
  const release = connection.sql(
    `UPDATE outbox SET customer = ?, identifier = ?, state = 'pending', reason = NULL, next_attempt_at = 0
     WHERE row_id = ? AND state = 'held'`,
  );
  let released = 0;
  for (const { rowId, customer, identifier } of releases)
    released += release.run(connection.names.code(customer), identifier, rowId).changes;
  return released;
}

interface SendingRow {
  readonly attempts: number;
  readonly attempt: number | null;
  readonly first_attempt_at: number | null;
  readonly next_attempt_at: number;
  readonly epoch: number;
}

function writeOutcome(
  connection: Connection,
  rowId: number,
  row: SendingRow,
  outcome: AttemptOutcome,
  now: number,
): void {
  let number: number | bigint | null = row.attempt;
  number ??= connection
    .sql("INSERT INTO outbox_attempts (row_id, attempt, at) VALUES (?, ?, ?)")
    .run(rowId, row.attempts, now).lastInsertRowid;
  connection
    .sql("UPDATE outbox_attempts SET outcome = ?, settled_at = ?, request_id = ?, reason = ? WHERE number = ?")
    .run(
      outcome.kind,
      now,
      outcome.kind === "stopped" ? null : outcome.requestId,
      outcome.kind === "accepted" ? null : outcome.reason,
      number,
    );
}

function outboxRow(connection: Connection, row: Row): OutboxRow {
  const { names } = connection;
  const requestIds = connection
    .sql<string>("SELECT request_id FROM outbox_attempts WHERE row_id = ? AND request_id IS NOT NULL ORDER BY number")
    .pluck()
    .all(row.row_id);
  return {
    rowId: row.row_id,
    meter: names.text(row.meter),
    reportAs: names.text(row.report_as),
    company: names.text(row.company),
    customer: row.customer === null ? null : names.text(row.customer),
    windowStart: row.window_start,
    windowEnd: row.window_end,
    sequence: row.sequence,
    raw: BigInt(row.raw),
    value: BigInt(row.value),
    timestamp: row.timestamp,
    identifier: row.identifier,
    state: row.state,
    reason: row.reason,
    createdAt: row.created_at,
    firstAttemptAt: row.first_attempt_at,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    acceptedAt: row.accepted_at,
    requestIds,
  };
}
