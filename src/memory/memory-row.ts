import { waitsForSubscription } from "../core/no-subscription.ts";
import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import {
  canChange,
  FINAL_HOLDS,
  type AttemptOutcome,
  type HeldSelection,
  type NewOutboxRow,
  type OutboxRow,
  type OutboxState,
  type Release,
  type RowChange,
  type RowHistory,
} from "../engine/ports.ts";

export type Draft<Row> = { -readonly [Key in keyof Row]: Row[Key] };

type Before = Pick<OutboxRow, "firstAttemptAt" | "lastAttemptAt" | "resentAt" | "absentSince" | "attempts">;

/** A row with its lease and its history. */
export interface KeptRow {
  readonly row: Draft<OutboxRow>;
  readonly history: RowHistory[];
  token: string | null;
  leaseUntil: number;
  /** The attempt that was begun under the present lease: its line of history, and what the row had before it. */
  attempt: { readonly line: number; readonly before: Before } | null;
  epoch: number;
}

/** A row as it is enqueued. */
export function newRow(row: NewOutboxRow, rowId: number, at: number): KeptRow {
  const attempted = { firstAttemptAt: null, lastAttemptAt: null, resentAt: null, absentSince: null, attempts: 0 };
  const acceptedAt = row.state === "accepted" ? at : null;
  const times = { createdAt: at, ...attempted, nextAttemptAt: 0, acceptedAt, settledAt: null };
  return {
    row: { ...row, rowId, ...times, requestIds: [] },
    history: [],
    token: null,
    leaseUntil: 0,
    attempt: null,
    epoch: 0,
  };
}

/** A row that does not change with the other. */
export function copyRow(kept: KeptRow): KeptRow {
  return { ...kept, row: { ...kept.row }, history: [...kept.history] };
}

/** Writes a line of history for a change that is not an attempt. */
export function addLine({ history }: KeptRow, at: number, to: OutboxState, reason: string, author: string): void {
  history.push({ at, what: "change", to, reason, author, requestId: null });
}

export function begin(kept: KeptRow, now: number, resend: boolean): void {
  const { row, history } = kept;
  const { firstAttemptAt, lastAttemptAt, resentAt, absentSince, attempts } = row;
  kept.attempt = {
    line: history.length,
    before: { firstAttemptAt, lastAttemptAt, resentAt, absentSince, attempts },
  };
  history.push({ at: now, what: "attempt", to: null, reason: null, author: null, requestId: null });
  row.attempts += 1;
  row.firstAttemptAt ??= now;
  row.lastAttemptAt = now;
  row.absentSince = null;
  if (!resend) return;
  row.resentAt = now;
  kept.epoch += 1;
}

export function settle(kept: KeptRow, outcome: AttemptOutcome, now: number): void {
  const { row } = kept;
  row.reason = outcome.reason ?? null;
  row.state = "pending";
  switch (outcome.kind) {
    case "accepted":
      row.state = "accepted";
      row.acceptedAt = now;
      break;
    case "retry":
      row.nextAttemptAt = outcome.nextAttemptAt;
      if (outcome.freshKey === true) kept.epoch += 1;
      break;
    case "absent":
      row.absentSince ??= now;
      row.nextAttemptAt = outcome.nextAttemptAt;
      break;
    case "wait":
      row.nextAttemptAt = outcome.nextAttemptAt;
      break;
    case "stopped":
      // A refused key says nothing about the row.
      if (kept.attempt !== null) Object.assign(row, kept.attempt.before);
      break;
    case "dead":
    case "conflict":
    case "held":
      row.state = outcome.kind;
      break;
  }
  const requestId = owns(outcome, "requestId") ? outcome.requestId : null;
  if (requestId !== null) row.requestIds = [...row.requestIds, requestId];
  noteOutcome(kept, outcome, requestId, now);
  kept.token = null;
  kept.attempt = null;
}

/** The attempt's line, or a change's where no call was made; none where nothing was found out either. */
function noteOutcome(kept: KeptRow, outcome: AttemptOutcome, requestId: string | null, now: number): void {
  const { attempt, history, row } = kept;
  const { kind, reason } = outcome;
  const result = { what: "attempt", to: kind, reason: reason ?? null, author: null, requestId } as const;
  const begun = attempt === null ? undefined : history[attempt.line];
  if (attempt !== null && begun !== undefined) history[attempt.line] = { ...result, at: begun.at };
  else if (requestId !== null) history.push({ ...result, at: now });
  else if (kind !== "wait" && kind !== "stopped") addLine(kept, now, row.state, reason ?? kind, "reporter");
}

export function release(kept: KeptRow, asked: Release, now: number): void {
  addLine(kept, now, "pending", `for ${asked.customer}`, "reporter");
  const { customer, identifier, timestamp, mode, reported, late } = asked;
  const address = { customer, identifier, timestamp, mode, reported, late };
  Object.assign(kept.row, { ...address, state: "pending", reason: null, nextAttemptAt: 0 });
}

/** One change outside delivery; false when the row may not change so. */
export function change(kept: KeptRow, asked: RowChange, now: number): boolean {
  const { row } = kept;
  const { to, reason, author, resend } = asked;
  if (!canChange(row, asked)) return false;
  addLine(kept, now, to, reason, author);
  row.state = to;
  row.reason = reason;
  row.absentSince = null;
  row.acceptedAt = to === "accepted" || to === "settled" ? (row.acceptedAt ?? now) : null;
  row.settledAt = to === "settled" ? now : null;
  if (to === "held" && asked.late !== undefined) row.late = asked.late;
  if (to !== "pending") return true;
  row.nextAttemptAt = 0;
  if (resend !== true) return true;
  row.resentAt = now;
  kept.epoch += 1;
  return true;
}

/** A lease that ends too far ahead was taken under a wrong clock. */
export function isLeaseOver({ leaseUntil }: KeptRow, now: number): boolean {
  return leaseUntil <= now || leaseUntil > now + limits.leaseMs;
}

export function isFinal({ reason }: OutboxRow): boolean {
  return FINAL_HOLDS.some((final) => final === reason);
}

export function isSelected(row: OutboxRow, selection: HeldSelection): boolean {
  if (owns(selection, "rowId")) return row.rowId === selection.rowId;
  if (owns(selection, "timestampBefore")) return row.timestamp < selection.timestampBefore;
  const { company, reportAs } = selection;
  return row.company === company && row.reportAs === reportAs && !waitsForSubscription(row);
}

export function byWindow(a: KeptRow, b: KeptRow): number {
  return a.row.windowStart - b.row.windowStart || a.row.sequence - b.row.sequence || a.row.rowId - b.row.rowId;
}

export function isSameReport(a: OutboxRow, b: NewOutboxRow): boolean {
  return a.meter === b.meter && a.company === b.company && a.windowStart === b.windowStart && a.sequence === b.sequence;
}
