import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { AttemptOutcome, Claim, OutboxState, Store } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { getMeta, putMeta } from "./counters.ts";
import { outboxRow, type Row } from "./outbox-query.ts";
import { addChanges } from "./row-history.ts";

/** `letsOthersPass` of the port, of a pending row. */
const LETS_OTHERS_PASS = `other.mode = 'delta' AND other.first_attempt_at IS NOT NULL
  AND other.next_attempt_at > :now AND other.next_attempt_at <= :now + :waitMax
  AND (other.absent_since IS NOT NULL OR ifnull(other.resent_at, other.first_attempt_at) NOT BETWEEN :now - :safe + 1 AND :now)`;

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
               AND (other.window_start, other.sequence, other.row_id) < (due.window_start, due.sequence, due.row_id)
               AND NOT (${LETS_OTHERS_PASS}))
         END
       ORDER BY window_start, sequence, row_id LIMIT :limit`,
    )
    .all({ now, limit, leaseMax: limits.leaseMs, waitMax: limits.retryAfterMaxMs, safe: limits.resendSafeMs });
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

/**
 * Counts the attempt before the call is made. A lease that ran out is lost, though nobody else took the row yet. What the
 * attempt changes of the row is kept with it, for one that is taken back.
 */
export function beginAttempt(
  connection: Connection,
  rowId: number,
  token: string,
  now: number,
  resend: boolean,
): boolean {
  const { lastInsertRowid, changes } = connection
    .sql(
      `INSERT INTO outbox_attempts (row_id, attempt, at, last_attempt_before, resent_before, absent_before)
       SELECT row_id, attempts + 1, ?, last_attempt_at, resent_at, absent_since FROM outbox
       WHERE row_id = ? AND token = ? AND state = 'sending' AND lease_until > ? AND lease_until <= ?`,
    )
    .run(now, rowId, token, now, now + limits.leaseMs);
  if (changes === 0) return false;
  connection
    .sql(
      `UPDATE outbox SET attempts = attempts + 1, attempt = :attempt, first_attempt_at = ifnull(first_attempt_at, :now),
         last_attempt_at = :now, absent_since = NULL, resent_at = iif(:resend, :now, resent_at), epoch = epoch + :resend
       WHERE row_id = :rowId`,
    )
    .run({ attempt: lastInsertRowid, now, rowId, resend: resend ? 1 : 0 });
  return true;
}

/** Writes down how an attempt, or a reading of the biller's books, ended; only the holder of the row's token can. */
export function settleRow(
  connection: Connection,
  rowId: number,
  token: string,
  outcome: AttemptOutcome,
  now: number,
): boolean {
  const row = connection
    .sql<SendingRow>(
      `SELECT attempts, attempt, first_attempt_at, last_attempt_at, resent_at, absent_since, next_attempt_at, epoch
       FROM outbox WHERE row_id = ? AND token = ? AND state = 'sending'`,
    )
    .get(rowId, token);
  if (row === undefined) return false;
  writeOutcome(connection, rowId, row, outcome, now);
  const times = outcome.kind === "stopped" ? takenBack(connection, row) : row;
  const isWaiting = outcome.kind === "retry" || outcome.kind === "absent" || outcome.kind === "wait";
  connection
    .sql(
      `UPDATE outbox SET state = ?, reason = ?, attempts = ?, first_attempt_at = ?, last_attempt_at = ?, resent_at = ?,
         absent_since = ?, next_attempt_at = ?, accepted_at = ?, epoch = ?, token = NULL, lease_until = NULL, attempt = NULL
       WHERE row_id = ?`,
    )
    .run(
      stateAfter(outcome),
      outcome.reason ?? null,
      times.attempts,
      times.first_attempt_at,
      times.last_attempt_at,
      times.resent_at,
      outcome.kind === "absent" ? (times.absent_since ?? now) : times.absent_since,
      isWaiting ? outcome.nextAttemptAt : row.next_attempt_at,
      outcome.kind === "accepted" ? now : null,
      row.epoch + (outcome.kind === "retry" && outcome.freshKey === true ? 1 : 0),
      rowId,
    );
  return true;
}

interface SendingRow {
  readonly attempts: number;
  /** The number of the attempt that was begun under the present lease. */
  readonly attempt: number | null;
  readonly first_attempt_at: number | null;
  readonly last_attempt_at: number | null;
  readonly resent_at: number | null;
  readonly absent_since: number | null;
  readonly next_attempt_at: number;
  readonly epoch: number;
}

function stateAfter(outcome: AttemptOutcome): OutboxState {
  return isPutBack(outcome) ? "pending" : outcome.kind;
}

type PutBack = Exclude<AttemptOutcome, { readonly kind: "accepted" | "dead" | "conflict" | "held" }>;

/** Whether the row waits for its next turn. */
function isPutBack(outcome: AttemptOutcome): outcome is PutBack {
  const { kind } = outcome;
  return kind !== "accepted" && kind !== "dead" && kind !== "conflict" && kind !== "held";
}

type Times = Pick<SendingRow, "attempts" | "first_attempt_at" | "last_attempt_at" | "resent_at" | "absent_since">;

/** A refused key says nothing about the row: the attempt is taken back, and with it the start of its 24 hours. */
function takenBack(connection: Connection, row: SendingRow): Times {
  if (row.attempt === null) return row;
  const attempts = row.attempts - 1;
  const before = connection
    .sql<Pick<Times, "last_attempt_at" | "resent_at" | "absent_since">>(
      `SELECT last_attempt_before AS last_attempt_at, resent_before AS resent_at, absent_before AS absent_since
       FROM outbox_attempts WHERE number = ?`,
    )
    .get(row.attempt);
  return { ...row, ...before, attempts, first_attempt_at: attempts === 0 ? null : row.first_attempt_at };
}

/** The attempt's line, or a change's where no call was made; none where nothing was found out either. */
function writeOutcome(
  connection: Connection,
  rowId: number,
  row: SendingRow,
  outcome: AttemptOutcome,
  now: number,
): void {
  const requestId = owns(outcome, "requestId") ? outcome.requestId : null;
  const reason = outcome.reason ?? null;
  let number: number | bigint | null = row.attempt;
  if (number === null && requestId === null) {
    if (outcome.kind === "wait" || outcome.kind === "stopped") return;
    const line = { to: stateAfter(outcome), reason: reason ?? outcome.kind, author: "reporter" };
    addChanges(connection, { where: "row_id = ?", parameters: [rowId], ...line }, now);
    return;
  }
  number ??= connection
    .sql("INSERT INTO outbox_attempts (row_id, attempt, at) VALUES (?, ?, ?)")
    .run(rowId, row.attempts, now).lastInsertRowid;
  connection
    .sql("UPDATE outbox_attempts SET outcome = ?, settled_at = ?, request_id = ?, reason = ? WHERE number = ?")
    .run(outcome.kind, now, requestId, reason, number);
}
