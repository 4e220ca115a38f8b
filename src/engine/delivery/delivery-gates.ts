import { isInvoiceFinal } from "../outbox/billing-periods.ts";
import { noSubscriptionReason, type Coverage, type NoSubscription } from "../outbox/coverage.ts";
import { isTooOld } from "../outbox/late-usage.ts";
import { limits } from "../limits.ts";
import type { MeterStanding } from "../outbox/meter-modes.ts";
import type { MayResend } from "./read-back.ts";
import { isStillTotal } from "../outbox/set-mode.ts";
import { SHADOW, type AttemptOutcome, type OutboxRow, type Store } from "../ports.ts";
import type { Shadow } from "../outbox/shadow.ts";

/** What decides, before any call, whether a row may be sent. */
export interface Gates {
  readonly store: Store;
  readonly shadow: Shadow;
  readonly coverage: Coverage;
  readonly graceMs: number;
  readonly standing: (reportAs: string) => Promise<MeterStanding>;
}

/** `readBack`: it was tried, and may be sent again only if the biller's books do not show it, or not at all (MayResend). */
export type Gate =
  | { readonly kind: "open" }
  | { readonly kind: "cancel"; readonly original: OutboxRow }
  | { readonly kind: "readBack"; readonly mayResend: MayResend }
  | { readonly kind: "closed"; readonly outcome: AttemptOutcome };

const OPEN: Gate = { kind: "open" };

/** Reason of rows that are held because their invoice became final while they waited to be sent. */
export const LATE_AT_GATE = "late: its invoice became final before it was sent";

/** Asks everything that may stand against sending a row, beginning with what needs no question. */
export async function gateFor(gates: Gates, row: OutboxRow, now: number): Promise<Gate> {
  if (row.kind === "cancel") return cancelGate(gates, row, now);
  if (gates.shadow.covers(row)) return closed({ kind: "accepted", requestId: null, reason: SHADOW });
  if (gates.shadow.isOn) return closed(waiting("shadow is on: nothing is sent", now));
  const standing = await gates.standing(row.reportAs);
  if (standing.kind === "mismatch" && !isTooOld(row.timestamp, now))
    return closed(waiting(`stripe_meter_mismatch: ${standing.reason}`, now));
  if (!fits(row, standing)) return closed(ended(row, OTHER_MODE));
  return row.firstAttemptAt === null ? firstGate(gates, row, standing, now) : againGate(gates, row, now);
}

/** Nothing is sent under its identifier yet, so it may be held again. */
async function firstGate(gates: Gates, row: OutboxRow, standing: MeterStanding, now: number): Promise<Gate> {
  if (isTooOld(row.timestamp, now)) return closed(ended(row, "too_old: Stripe takes usage of the last 35 days only"));
  // Asked first: what is learnt of a subscription decides about lateness too.
  const billing = await billingOf(gates, row);
  // Its meter's policy for late usage decides, as for any other.
  if (await isLate(gates, row, now)) return closed({ kind: "held", reason: LATE_AT_GATE });
  if (billing.answer === "unasked") return closed(unasked(now));
  // Its subscription ended while it waited.
  if (billing.answer === "none") return closed({ kind: "held", reason: billing.reason });
  const isTotal = await isTotalStill(gates, row, standing);
  return isTotal ? OPEN : closed({ kind: "held", reason: "total: what its window holds changed before it was sent" });
}

async function againGate(gates: Gates, row: OutboxRow, now: number): Promise<Gate> {
  const isOld = isTooOld(row.timestamp, now);
  // A total may be sent again at any age: it only replaces itself.
  if (row.mode === "set") return isOld ? closed(ended(row, "too_old, and its outcome is not known")) : OPEN;
  if (isOld) return { kind: "readBack", mayResend: "too_old" };
  const { answer } = await billingOf(gates, row);
  if (await isLate(gates, row, now)) return { kind: "readBack", mayResend: "invoice_final" };
  if (answer === "unasked") return closed(unasked(now));
  if (answer === "none") return { kind: "readBack", mayResend: "no_subscription" };
  return isResendSafe(row, now) ? OPEN : { kind: "readBack", mayResend: "yes" };
}

/** A report that its total includes may have been refused since: its usage is to be billed by that report, or by none. */
async function isTotalStill({ store }: Gates, row: OutboxRow, standing: MeterStanding): Promise<boolean> {
  if (row.mode === "delta" || standing.kind !== "ready" || standing.keepsLast === null) return true;
  return isStillTotal(store, row, standing.keepsLast);
}

/** Whether the biller surely remembers the identifier. An attempt that lies ahead was written under a wrong clock: it is old. */
function isResendSafe({ firstAttemptAt, resentAt }: OutboxRow, now: number): boolean {
  const age = now - (resentAt ?? firstAttemptAt ?? now);
  return age >= 0 && age < limits.resendSafeMs;
}

/** A cancellation may be repeated at any time, until the biller takes none of that report any more. */
async function cancelGate({ store, shadow }: Gates, row: OutboxRow, now: number): Promise<Gate> {
  const [original] = row.cancels === null ? [] : await store.outbox({ rowId: row.cancels, limit: 1 });
  if (original === undefined) return closed(conflict("the report that it cancels is not there"));
  if (original.reason === SHADOW) return closed({ kind: "accepted", requestId: null, reason: SHADOW });
  if (shadow.isOn) return closed(waiting("shadow is on: nothing is sent", now));
  const obstacle = uncancellable(original, now);
  if (obstacle !== null) return closed(obstacle);
  const acceptedAt = original.acceptedAt ?? 0;
  if (now - acceptedAt < limits.cancelMs) return { kind: "cancel", original };
  const late = "too_late: the biller cancels only what it received in the last 24 hours";
  return closed(ended(row, late));
}

/** What became of a report after its cancelling was ordered; null when it is at the biller still. */
function uncancellable({ rowId, state, reason }: OutboxRow, now: number): AttemptOutcome | null {
  if (state === "accepted" || state === "settled") return null;
  if (state === "conflict") return conflict(`row ${rowId}, which it cancels, is in conflict: decide about that first`);
  if (state !== "dead") return waiting(`waits for row ${rowId}, which it cancels: ${state}`, now);
  // Whatever an earlier call of the cancelling did: nobody is billed for the report.
  const why = reason === null ? "" : ` (${reason})`;
  return { kind: "dead", reason: `nothing_to_cancel: row ${rowId} is not at the biller: dead${why}`, requestId: null };
}

/** Whether a row is what the biller's meter takes: a difference where it adds up, a total where it keeps the last report. */
function fits({ mode }: OutboxRow, standing: MeterStanding): boolean {
  if (standing.kind === "mismatch") return false;
  return standing.kind !== "ready" || (standing.keepsLast !== null) === (mode === "set");
}

const OTHER_MODE = "stripe_meter_mismatch: the biller's meter adds up otherwise than when this report was made";

async function isLate({ coverage, graceMs }: Gates, row: OutboxRow, now: number): Promise<boolean> {
  const { customer, reportAs, timestamp, kind } = row;
  if (customer === null || kind === "adjust") return false;
  return isInvoiceFinal(await coverage.periods({ customer, reportAs }), timestamp, now, graceMs);
}

/** Whether the biller would put a row on an invoice, or why not. What an operator ordered goes out in any case. */
async function billingOf({ coverage }: Gates, row: OutboxRow): Promise<Billing> {
  const { customer, reportAs, timestamp, kind } = row;
  if (customer === null || kind === "adjust") return { answer: "billed" };
  const lane = { customer, reportAs };
  const answer = await coverage.answer(lane, timestamp);
  return answer === "none" ? { answer, reason: noSubscriptionReason(lane) } : { answer };
}

type Billing = { readonly answer: "billed" | "unasked" } | { readonly answer: "none"; readonly reason: NoSubscription };

/** A question that was left for the next round is no answer: nothing is held, sent or read for it. */
function unasked(now: number): AttemptOutcome {
  const reason = "waits until the biller can be asked whether a subscription bills it";
  return { kind: "wait", reason, nextAttemptAt: now + limits.unaskedWaitMs };
}

function closed(outcome: AttemptOutcome): Gate {
  return { kind: "closed", outcome };
}

function waiting(reason: string, now: number): AttemptOutcome {
  return { kind: "wait", reason, nextAttemptAt: now + limits.readBackWitnessMs };
}

/** What was never tried is refused; what was tried may be at the biller, which a person has to find out. */
function ended({ firstAttemptAt }: OutboxRow, reason: string): AttemptOutcome {
  return { kind: firstAttemptAt === null ? "dead" : "conflict", reason, requestId: null };
}

function conflict(reason: string): AttemptOutcome {
  return { kind: "conflict", reason, requestId: null };
}
