import type { LatePolicy } from "../../core/meter.ts";
import { ownMinute, tooManyDigits, windowParts } from "../../core/usage-record.ts";
import { boundariesOf, periodsAt } from "./billing-periods.ts";
import type { Closing, HeldReason, Payer } from "./closing.ts";
import { noSubscriptionReason, waitsForSubscription } from "./coverage.ts";
import { carriedMinute, isTooOld, latenessOf, WRITTEN_OFF } from "./late-usage.ts";
import type { BilledPeriod, BillerLane, NewOutboxRow, OutboxRow } from "../ports.ts";
import { recordIdentifier } from "./record-identifier.ts";
import { setTimestamp, setTotal, setWindow } from "./set-mode.ts";

/** What a row reports and for whom; which place it gets at the biller is decided from it. */
export type Placeable = Pick<
  NewOutboxRow,
  "meter" | "reportAs" | "company" | "windowStart" | "windowEnd" | "sequence" | "raw" | "value" | "timestamp"
>;

/** Where a row goes at the biller, or why it does not go there. */
export type Placement = Pick<
  NewOutboxRow,
  "customer" | "identifier" | "state" | "reason" | "timestamp" | "mode" | "reported" | "late"
>;

/**
 * Customer, event time, figure and identifier of a row, or why it cannot have them: its state is then held or dead. Usage
 * that comes too late for its invoice goes by the meter's policy; what nothing bills is held. Null = it cannot be said yet,
 * because an earlier row of the same window at the biller is on its way, or the biller is to be asked in the next round:
 * the window stays as it is. `carryUnbilled`: what nothing bills at its own time goes into the present period too.
 */
export async function placementOf(
  closing: Closing,
  row: Placeable,
  payer: Payer,
  policy: LatePolicy,
  carryUnbilled = false,
): Promise<Placement | null> {
  const { now } = closing;
  if (isTooOld(row.timestamp, now) && policy !== "carry") return tooLate(row, "too_old", policy);
  if (tooManyDigits(row.value)) return held(row, "too_many_digits");
  if (payer.kind === "none") return held(row, payer.reason);
  const lane = { customer: payer.customer, reportAs: row.reportAs };
  // Asked first: what is learnt of a new subscription decides about time and lateness too.
  await closing.coverage.answer(lane, row.timestamp);
  const periods = await closing.coverage.periods(lane);
  const { keepsLast } = payer;
  const stated = keepsLast === null ? row.timestamp : setTimestamp(closing, row, keepsLast, periods);
  if (stated === null) return null;
  const isCarriedUnbilled = carryUnbilled && (await closing.coverage.answer(lane, stated)) === "none";
  const lateness = latenessOf(closing, periods, stated) ?? (isCarriedUnbilled ? "late_usage" : null);
  if (lateness !== null && policy !== "carry") return tooLate(row, lateness, policy);
  const timestamp = lateness === null ? stated : await carriedMinute(closing, lane, periods);
  if (timestamp === null)
    return isCarriedUnbilled ? held(row, noSubscriptionReason(lane), "carry") : tooLate(row, "late_usage", "hold");
  const late = lateness === null ? null : "carry";
  const covered = await closing.coverage.answer(lane, timestamp);
  if (covered === "unasked") return null;
  if (covered === "none") return held(row, noSubscriptionReason(lane), late);
  if (keepsLast === null)
    return addressed(closing, row, payer.customer, { timestamp, late, mode: "delta", reported: row.value });
  const whole = setWindow(timestamp, keepsLast);
  const place = JSON.stringify([payer.customer, row.reportAs, whole.from, keepsLast]);
  if (closing.taken.has(place)) return null;
  const isShadow = closing.shadow.covers({ windowStart: row.windowStart, firstAttemptAt: null });
  const total = await setTotal(closing, lane, whole, isShadow);
  if (total === null) return null;
  closing.taken.add(place);
  return addressed(closing, row, payer.customer, { timestamp, late, mode: "set", reported: total + row.value });
}

function addressed(
  { store, account }: Closing,
  row: Placeable,
  customer: string,
  place: Pick<Placement, "timestamp" | "late" | "mode" | "reported">,
): Placement {
  if (tooManyDigits(place.reported)) return held(row, "too_many_digits");
  // The figure of the request: another total can never hide behind an identifier that was used.
  const identifier = recordIdentifier({ ...row, value: place.reported, customer, account, store: store.id });
  return { ...place, customer, identifier, state: "pending", reason: null };
}

function held({ timestamp, value }: Placeable, reason: HeldReason, late: LatePolicy | null = null): Placement {
  return { customer: null, identifier: null, state: "held", reason, timestamp, mode: "delta", reported: value, late };
}

function tooLate(row: Placeable, reason: "too_old" | "late_usage", policy: "hold" | "write_off"): Placement {
  const placement = held(row, reason, policy);
  return policy === "hold" ? placement : { ...placement, state: "dead", reason: WRITTEN_OFF };
}

/**
 * The event time that a row which was held states once its customer is known: its own, or where a billing period begins or
 * ends inside its window, that of a part whose invoice is open. It was closed as one, so it cannot be cut any more. What
 * waits for a subscription was cut where one began: it is usage of before, and stays there. Null = only the biller could say
 * what bills its window, and is to be asked in the next round.
 */
export async function releaseTimestamp(closing: Closing, row: OutboxRow, payer: Payer): Promise<number | null> {
  if (payer.kind === "none" || payer.keepsLast !== null || waitsForSubscription(row)) return row.timestamp;
  const lane = { customer: payer.customer, reportAs: row.reportAs };
  if (!(await knowsWindow(closing, lane, row.windowStart, row.windowEnd))) return null;
  const periods = await closing.coverage.periods(lane);
  if (isOpen(closing, periods, row.timestamp)) return row.timestamp;
  const parts = windowParts({ from: row.windowStart, to: row.windowEnd }, boundariesOf(periods));
  const part = parts.findLast(({ from }) => isOpen(closing, periods, from));
  return part === undefined ? row.timestamp : ownMinute(part.from, part.to, row.sequence);
}

/**
 * Asks what bills a window at its first and at its last instant, so that its periods hold what there is to know before it is
 * cut by them. False = that could not be learned in this round.
 */
export async function knowsWindow(
  { coverage }: Pick<Closing, "coverage">,
  lane: BillerLane,
  from: number,
  to: number,
): Promise<boolean> {
  const first = await coverage.answer(lane, from);
  return first !== "unasked" && (await coverage.answer(lane, to - 1)) !== "unasked";
}

function isOpen(closing: Closing, periods: readonly BilledPeriod[], timestamp: number): boolean {
  return periodsAt(periods, timestamp).length > 0 && latenessOf(closing, periods, timestamp) === null;
}
