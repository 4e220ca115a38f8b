import type { Decimal } from "../core/decimal.ts";

export type OutboxState = "held" | "pending" | "sending" | "accepted" | "dead" | "conflict";

/** A closed window's report on its way to the biller. Customer and identifier are null exactly while `held`. */
export interface OutboxRow {
  readonly rowId: number;
  readonly meter: string;
  readonly reportAs: string;
  readonly company: string;
  readonly customer: string | null;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly sequence: number;
  /** Exact usage that this row covers. Sums of `raw` over rows, and what was closed without one, equal closed usage. */
  readonly raw: Decimal;
  /** What is sent: floor of the running total minus what was sent before, per (meter, company). */
  readonly value: Decimal;
  readonly timestamp: number;
  readonly identifier: string | null;
  readonly state: OutboxState;
  /** Why it is held, dead or in conflict, or the last transient failure. */
  readonly reason: string | null;
  readonly createdAt: number;
  readonly firstAttemptAt: number | null;
  readonly attempts: number;
  readonly nextAttemptAt: number;
  readonly acceptedAt: number | null;
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
  readonly meter: string;
  readonly reportAs: string;
  readonly company: string;
  readonly customer: string | null;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly sequence: number;
  readonly raw: Decimal;
  readonly value: Decimal;
  readonly timestamp: number;
  readonly identifier: string | null;
  readonly state: "held" | "pending" | "accepted";
  readonly reason: string | null;
}

export type AttemptOutcome =
  | { readonly kind: "accepted"; readonly requestId: string | null }
  | {
      readonly kind: "retry";
      readonly reason: string;
      readonly nextAttemptAt: number;
      readonly requestId: string | null;
      /** The next claim has a greater `epoch`. */ readonly freshKey?: boolean;
    }
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
export const FINAL_HOLDS = ["too_old", "too_many_digits"] as const;

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
}

/** Sums for `verify` and `status`, per meter. All in the meter's unit. */
export interface OutboxTotals {
  readonly meter: string;
  readonly state: OutboxState;
  readonly rows: number;
  readonly raw: Decimal;
  readonly value: Decimal;
}

/** The running totals of (meter, company) beside what its rows add up to. */
export interface LaneTotals {
  readonly meter: string;
  readonly company: string;
  readonly raw: Decimal;
  readonly value: Decimal;
  readonly runningRaw: Decimal;
  readonly runningValue: Decimal;
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
