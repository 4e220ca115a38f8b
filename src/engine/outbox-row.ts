import type { Decimal } from "../core/decimal.ts";
import type { LatePolicy } from "../core/meter.ts";
import { ownMembers, owns } from "../core/own-member.ts";
import { limits } from "./limits.ts";

/**
 * pending → sending (under a lease) → accepted (the biller took it) → settled (its books show it), or held | dead | conflict,
 * each with its reason.
 */
export type OutboxState = "held" | "pending" | "sending" | "accepted" | "settled" | "dead" | "conflict";

export const OUTBOX_STATES = ["held", "pending", "sending", "accepted", "settled", "dead", "conflict"] as const;

/**
 * `usage` reports closed usage. `cancel` takes an earlier report back by the biller's own cancelling: raw and value are the
 * negatives of it, and its usage is due again. `adjust` corrects a surplus at the biller on an operator's word: it covers
 * no usage and is in no running total.
 */
export type RowKind = "usage" | "cancel" | "adjust";

/** `delta`: the biller adds reports up. `set`: it keeps the last one received for each of its own windows. */
type ReportMode = "delta" | "set";

/** Reasons of `accepted` rows that are not at the biller: their value is 0, or it was not called on purpose. */
export const NOTHING_TO_SEND = "nothing to send";
export const SHADOW = "shadow";

/** A closed window's report on its way to the biller. Customer and identifier are null until it is addressed. */
export interface OutboxRow {
  readonly rowId: number;
  readonly kind: RowKind;
  /** The row that a `cancel` takes back; null for the others. */
  readonly cancels: number | null;
  readonly meter: string;
  readonly reportAs: string;
  readonly company: string;
  readonly customer: string | null;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly sequence: number;
  /** Exact usage that this row covers. Sums of `raw` over rows, and what was closed without one, equal closed usage. */
  readonly raw: Decimal;
  /** Its share of what is sent: floor of the running total minus what was sent before, per (meter, company). */
  readonly value: Decimal;
  readonly mode: ReportMode;
  /** The figure in the biller's request: `value`, or in `set` mode the new total of the biller's window. */
  readonly reported: Decimal;
  /** Which policy was applied because it came too late for its own invoice; null = it was in time. */
  readonly late: LatePolicy | null;
  readonly timestamp: number;
  readonly identifier: string | null;
  readonly state: OutboxState;
  /** Why it is held, dead or in conflict, or the last transient failure. */
  readonly reason: string | null;
  readonly createdAt: number;
  readonly firstAttemptAt: number | null;
  readonly lastAttemptAt: number | null;
  /** When it was sent again after the biller's books were read without it; from then on its safe interval counts anew. */
  readonly resentAt: number | null;
  /** The first of the readings, since the last attempt, that did not show it; null = none. */
  readonly absentSince: number | null;
  readonly attempts: number;
  readonly nextAttemptAt: number;
  readonly acceptedAt: number | null;
  readonly settledAt: number | null;
  readonly requestIds: readonly string[];
}

/** A (meter, company, window) that got usage since it was last closed. */
export interface DirtyWindow {
  readonly meter: string;
  readonly company: string;
  readonly windowStart: number;
  /** `windowStart` plus the width that dirtyWindows() was asked for: what enqueue() compares and clears. */
  readonly windowEnd: number;
  /** Total of all buckets of the window now. */
  readonly total: Decimal;
  /** Sum of `raw` of the rows that exist for it, and what of it was closed without a row, on purpose. */
  readonly enqueuedRaw: Decimal;
  readonly nextSequence: number;
  /** Sums of `raw` and `value` over all rows of (meter, company): the running totals. */
  readonly runningRaw: Decimal;
  readonly runningValue: Decimal;
}

export interface NewOutboxRow {
  readonly kind: RowKind;
  readonly cancels: number | null;
  readonly meter: string;
  readonly reportAs: string;
  readonly company: string;
  readonly customer: string | null;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly sequence: number;
  readonly raw: Decimal;
  readonly value: Decimal;
  readonly mode: ReportMode;
  readonly reported: Decimal;
  readonly late: LatePolicy | null;
  readonly timestamp: number;
  readonly identifier: string | null;
  /** `dead` only for usage that is written off. */
  readonly state: "held" | "pending" | "accepted" | "dead";
  readonly reason: string | null;
}

export type AttemptOutcome =
  /** `reason`: how it is known, where it was not plainly answered: `read_back`, `shadow`. */
  | { readonly kind: "accepted"; readonly requestId: string | null; readonly reason?: string }
  | {
      readonly kind: "retry";
      readonly reason: string;
      readonly nextAttemptAt: number;
      readonly requestId: string | null;
      /** The next claim has a greater `epoch`. */ readonly freshKey?: boolean;
    }
  /** Not an attempt: the biller's books were read and do not show it. The first such reading is kept as `absentSince`. */
  | { readonly kind: "absent"; readonly reason: string; readonly nextAttemptAt: number }
  /** Not an attempt: nothing could be decided; looked at again later. */
  | { readonly kind: "wait"; readonly reason: string; readonly nextAttemptAt: number }
  /** Never tried, and not to be sent as it is: held again, so that it may be addressed anew. */
  | { readonly kind: "held"; readonly reason: string }
  /** Not an attempt: nothing was counted against the row (401, 403). */
  | { readonly kind: "stopped"; readonly reason: string }
  | { readonly kind: "dead"; readonly reason: string; readonly requestId: string | null }
  | { readonly kind: "conflict"; readonly reason: string; readonly requestId: string | null };

export interface Claim {
  readonly row: OutboxRow;
  /** Fencing token: `settle` with another token changes nothing. */
  readonly token: string;
  /** Attempt epoch for the Idempotency-Key: grows when a stored server error must not be replayed. */
  readonly epoch: number;
}

/** Why a held row can never be sent, whatever becomes of customers and meters: it is not looked at again. */
export const FINAL_HOLDS = ["too_old", "too_many_digits", "late_usage"] as const;

/** The held rows of a company on one of the biller's meters, those with a final reason left out. */
export interface HeldLane {
  readonly company: string;
  readonly reportAs: string;
  readonly rows: number;
  /** The reason that all of them have; null when they differ. */
  readonly reason: string | null;
}

/** Held rows without a final reason: one, a lane's, or all with a timestamp before an instant. */
export type HeldSelection =
  | { readonly rowId: number }
  | Pick<HeldLane, "company" | "reportAs">
  | { readonly timestampBefore: number };

/** What a held row needs to be sent. */
export interface Release {
  readonly rowId: number;
  readonly customer: string;
  readonly identifier: string;
  readonly timestamp: number;
  readonly mode: ReportMode;
  readonly reported: Decimal;
  readonly late: LatePolicy | null;
}

/** A change of a row's state outside delivery: by the biller's books or its later word, or by an operator. Kept for ever. */
export interface RowChange {
  readonly rowId: number;
  readonly from: OutboxState;
  readonly to: OutboxState;
  readonly reason: string;
  /** The reason that the row had when this was decided: with another one by now it may not change so. Left out: any. */
  readonly seenReason?: string | null;
  /** Who: `reconcile`, `webhook`, `operator:<name>`; `reporter` for holds and releases. */
  readonly author: string;
  /** To `pending` only: the biller's books were read without it, so it goes out once more under a fresh key. */
  readonly resend?: boolean;
  /** To `held` only: what an operator wants of usage that came too late, whatever its meter's policy. */
  readonly late?: "carry";
}

/** One line of a row's history, oldest first: attempts, and changes by others or (by `reporter`) without a call. */
export interface RowHistory {
  readonly at: number;
  readonly what: "attempt" | "change";
  /** What it became; null for an attempt that never was settled. */
  readonly to: string | null;
  readonly reason: string | null;
  /** Null for attempts: delivery made them. */
  readonly author: string | null;
  readonly requestId: string | null;
}

/** A customer's usage on one of the biller's meters. */
export interface BillerLane {
  readonly customer: string;
  readonly reportAs: string;
}

/** Where the biller's books and ours differ, for one window of event time. */
export interface Drift extends BillerLane {
  readonly from: number;
  readonly to: number;
  readonly ours: Decimal;
  readonly theirs: Decimal;
  /** `missing`: they have less; `surplus`: they have more than we sent; `inexact`: equal as far as their doubles can tell. */
  readonly verdict: "missing" | "surplus" | "inexact";
  /** The rows in whose own minute the difference lies; empty when no row of ours is there. */
  readonly rowIds: readonly number[];
  readonly foundAt: number;
}

/** When a lane was last compared with the biller's books, and up to which event time all of it agreed. */
export interface Reconciliation extends BillerLane {
  readonly checkedAt: number;
  readonly agreedUntil: number;
}

/**
 * A billing period of a customer's subscription item on one of the biller's meters: half-open, milliseconds UTC. Its
 * lane, item and start name it: several items of a lane may begin in one second.
 */
export interface BilledPeriod extends BillerLane {
  /** The biller's name of the subscription item; where left out, the lane is taken to have one item. */
  readonly item?: string;
  readonly from: number;
  readonly to: number;
  /** False = nothing is billed after `to`: the subscription ends there. */
  readonly renews: boolean;
}

/** Sums for `verify` and `status`, per meter. All in the meter's unit. */
export interface OutboxTotals {
  readonly meter: string;
  readonly state: OutboxState;
  readonly rows: number;
  readonly raw: Decimal;
  readonly value: Decimal;
  /** The part of `raw` in rows that were not sent on purpose (SHADOW). */
  readonly shadow: Decimal;
}

/** The running totals of (meter, company) beside what its rows add up to. */
export interface LaneTotals {
  readonly meter: string;
  readonly company: string;
  readonly raw: Decimal;
  readonly value: Decimal;
  readonly runningRaw: Decimal;
  readonly runningValue: Decimal;
  /** How many of the rows are a `cancel`. */
  readonly cancels: number;
}

/**
 * Whether a row may change so outside delivery. A row under a lease is its holder's; what is on its way, at the biller or
 * perhaps there has an identifier. What is held has none yet, or one under which it was never sent.
 */
export function canChange(row: Pick<OutboxRow, "state" | "identifier" | "reason">, change: RowChange): boolean {
  const { from, to } = change;
  if (row.state !== from || from === "sending" || to === "sending") return false;
  if (owns(change, "seenReason") && change.seenReason !== row.reason) return false;
  return to === "dead" || (from === "held" && to === "held") || (row.identifier === null) === (to === "held");
}

/** Whether a `cancel` row takes back just what the other row reported. That it is the only one is the store's matter. */
export function canCancel(original: OutboxRow, row: Omit<NewOutboxRow, "sequence">): boolean {
  return (
    original.kind === "usage" &&
    (original.state === "accepted" || original.state === "settled") &&
    original.identifier !== null &&
    original.meter === row.meter &&
    original.company === row.company &&
    original.windowStart === row.windowStart &&
    original.raw === -row.raw &&
    original.value === -row.value
  );
}

/**
 * Whether a pending row lets later ones of its lane pass: its books at the biller must be read before it may go again, which
 * takes hours and needs a later report beside it. Differences may arrive in any order; totals may not.
 */
export function letsOthersPass(row: OutboxRow, now: number): boolean {
  const { mode, state, nextAttemptAt, absentSince, resentAt, firstAttemptAt } = row;
  const isWaiting = nextAttemptAt > now && nextAttemptAt <= now + limits.retryAfterMaxMs;
  if (mode === "set" || state !== "pending" || !isWaiting || firstAttemptAt === null) return false;
  const age = now - (resentAt ?? firstAttemptAt);
  return absentSince !== null || age < 0 || age >= limits.resendSafeMs;
}

/** Whether a row was at the biller before an instant and nothing is to be done about it: what its history may be forgotten by. */
export function isDoneBefore({ state, acceptedAt, settledAt }: OutboxRow, before: number): boolean {
  const doneAt = settledAt ?? acceptedAt;
  return (state === "accepted" || state === "settled") && doneAt !== null && doneAt < before;
}

/** Whether a person ordered what is written under this author: that is never forgotten, and decides later readings. */
export function isOperators(author: string | null): boolean {
  return author?.startsWith("operator:") === true;
}

/** The subscription item of a period; empty where the biller named none. */
export function itemOf(period: BilledPeriod): string {
  return ownMembers(period).item ?? "";
}

/** Whether a window is still as it was read: the condition under which every Store may enqueue a row made from it. */
export function sameBasis(a: DirtyWindow, b: DirtyWindow): boolean {
  return (
    a.total === b.total &&
    a.enqueuedRaw === b.enqueuedRaw &&
    a.nextSequence === b.nextSequence &&
    a.runningRaw === b.runningRaw &&
    a.runningValue === b.runningValue
  );
}
