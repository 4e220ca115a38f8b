import type { Decimal } from "../../core/decimal.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { ownMinute, runningReport, windowParts } from "../../core/usage-record.ts";
import type { WindowSpan } from "../../core/window.ts";
import { boundariesOf, isInvoiceFinal } from "./billing-periods.ts";
import { latePolicyOf, payerOf, type Closing, type Payer } from "./closing.ts";
import { isTooOld } from "./late-usage.ts";
import { limits } from "../limits.ts";
import { knowsWindow, placementOf, type Placeable } from "./placement.ts";
import { NOTHING_TO_SEND, type DirtyWindow, type NewOutboxRow, type OutboxRow } from "../ports.ts";
import { partTotals } from "./window-parts.ts";

export interface ClosedWindow {
  readonly basis: DirtyWindow;
  /** Null = the window has nothing to report, or its meter is not reported: what it has now is closed all the same. */
  readonly row: NewOutboxRow | null;
}

/** Reason of `dead` rows that undo a cancel row that the biller refused: what was not cancelled is still reported. */
const CANCEL_REFUSED = "cancel_refused";

/** A share of a window's usage that becomes one row. */
interface Share {
  readonly span: WindowSpan;
  readonly raw: Decimal;
  /** How many rows its span has already. */
  readonly nth: number;
}

/**
 * The rows that a window's unreported usage becomes, each on the basis that the one before leaves: one, or one for each
 * part where billing periods begin or end inside it. Only parts that ended by `until` are closed. Null = the window cannot
 * be closed now and stays as it is.
 */
export async function windowRows(
  closing: Closing,
  basis: DirtyWindow,
  definition: MeterDefinition,
  until: number = basis.windowEnd,
): Promise<readonly ClosedWindow[] | null> {
  if (basis.total === basis.enqueuedRaw) return [{ basis, row: null }];
  const earlier = basis.nextSequence === 0 ? [] : await earlierRows(closing, basis);
  if (earlier.some(({ kind, state }) => kind === "cancel" && UNDECIDED.includes(state))) return null;
  const closed: ClosedWindow[] = refusedCancels(basis, earlier);
  let next = basisAfter(basis, closed);
  const payer = await payerOfWindow(closing, next, definition);
  const shares = await sharesOf(closing, next, { definition, payer, earlier, until });
  if (shares === null) return null;
  for (const share of shares) {
    const row = await shareRow(closing, next, share, definition, payer);
    if (row === null) return null;
    closed.push({ basis: next, row });
    next = basisAfter(next, closed.slice(-1));
  }
  return closed;
}

const UNDECIDED: readonly OutboxRow["state"][] = ["held", "pending", "sending", "conflict"];

async function earlierRows({ store }: Closing, basis: DirtyWindow): Promise<readonly OutboxRow[]> {
  const { meter, company, windowStart, windowEnd } = basis;
  const query = { meter, company, windowFrom: windowStart, windowTo: windowEnd, limit: limits.heldRowsMax };
  return (await store.outbox(query)).filter((row) => row.windowStart >= windowStart);
}

/** The basis behind rows that were planned on it. */
function basisAfter(basis: DirtyWindow, closed: readonly ClosedWindow[]): DirtyWindow {
  return closed.reduce((before, { row }) => {
    if (row === null) return before;
    return {
      ...before,
      enqueuedRaw: before.enqueuedRaw + row.raw,
      nextSequence: before.nextSequence + 1,
      runningRaw: before.runningRaw + row.raw,
      runningValue: before.runningValue + row.value,
    };
  }, basis);
}

/** A refused cancel row says that the usage is due again, though it is at the biller still: each gets a row that says no. */
function refusedCancels(basis: DirtyWindow, earlier: readonly OutboxRow[]): ClosedWindow[] {
  const undone = earlier.filter(({ kind, reason }) => kind === "usage" && reason === CANCEL_REFUSED);
  const closed: ClosedWindow[] = [];
  for (const cancel of earlier.filter(({ kind, state }) => kind === "cancel" && state === "dead")) {
    const at = undone.findIndex(({ raw, value }) => raw === -cancel.raw && value === -cancel.value);
    if (at >= 0) {
      undone.splice(at, 1);
      continue;
    }
    const { meter, reportAs, company, windowStart, windowEnd, mode, timestamp } = cancel;
    const before = basisAfter(basis, closed);
    const row: NewOutboxRow = {
      kind: "usage",
      cancels: null,
      meter,
      reportAs,
      company,
      windowStart,
      windowEnd,
      sequence: before.nextSequence,
      raw: -cancel.raw,
      value: -cancel.value,
      mode,
      reported: -cancel.value,
      late: null,
      timestamp,
      customer: null,
      identifier: null,
      state: "dead",
      reason: CANCEL_REFUSED,
    };
    closed.push({ basis: before, row });
  }
  return closed;
}

/** Nobody is asked for a payer of what is too old for any. */
async function payerOfWindow(closing: Closing, basis: DirtyWindow, definition: MeterDefinition): Promise<Payer> {
  const { windowEnd, company } = basis;
  if (isTooOld(windowEnd, closing.now) && latePolicyOf(definition) !== "carry")
    return { kind: "none", reason: "too_old" };
  return payerOf(closing, { company, reportAs: definition.reportAs });
}

/**
 * How the usage falls into parts. Null = the parts are not the window any more: it changed while they were read; or what
 * bills it could not be learned in this round.
 */
async function sharesOf(
  closing: Closing,
  basis: DirtyWindow,
  context: {
    readonly definition: MeterDefinition;
    readonly payer: Payer;
    readonly earlier: readonly OutboxRow[];
    readonly until: number;
  },
): Promise<readonly Share[] | null> {
  const { definition, payer, earlier, until } = context;
  const window = { from: basis.windowStart, to: basis.windowEnd };
  const whole = { span: window, raw: basis.total - basis.enqueuedRaw, nth: basis.nextSequence };
  // Where the last report stays, parts would overwrite each other.
  const canCut = payer.kind === "found" && payer.keepsLast === null;
  const lane = payer.kind === "found" ? { customer: payer.customer, reportAs: definition.reportAs } : null;
  // Asked before the periods are read: a subscription that is minutes old cuts the window too.
  if (lane !== null && !(await knowsWindow(closing, lane, window.from, Math.min(until, window.to)))) return null;
  const periods = lane === null ? [] : await closing.coverage.periods(lane);
  const parts = canCut ? windowParts(window, boundariesOf(periods)) : [window];
  if (parts.length === 1) return until < window.to || whole.raw === 0n ? [] : [whole];
  const totals = await partTotals(closing.store, closing.catalog, basis, parts);
  if (totals === null) return null;
  const isFinal = ({ from }: WindowSpan): boolean => isInvoiceFinal(periods, from, closing.now, closing.report.graceMs);
  const shares = parts.map((span, at) => {
    const rows = earlier.filter(({ timestamp }) => span.from <= timestamp && timestamp < span.to);
    const covered = rows.reduce((sum, row) => (row.kind === "adjust" ? sum : sum + row.raw), 0n);
    return { span, raw: (totals[at] ?? 0n) - covered, nth: rows.length };
  });
  const settled = settleFinal(shares, isFinal, carriedRaw(basis, shares, totals));
  return settled.filter(({ span, raw }) => raw !== 0n && span.to <= until);
}

/** What rows cover that are stated outside the window: usage that was carried, or closed without a report. */
function carriedRaw(basis: DirtyWindow, shares: readonly Share[], totals: readonly Decimal[]): Decimal {
  const usage = totals.reduce((sum, total) => sum + total, 0n);
  const coveredInside = usage - shares.reduce((sum, { raw }) => sum + raw, 0n);
  return basis.enqueuedRaw - coveredInside;
}

/**
 * Takes what was covered elsewhere, and what final invoices have beyond their parts, from the parts in order: usage that
 * was billed before a boundary was known is not billed again behind it.
 */
function settleFinal(
  shares: readonly Share[],
  isFinal: (span: WindowSpan) => boolean,
  elsewhere: Decimal,
): readonly Share[] {
  let surplus = elsewhere;
  return shares.map((share, at) => {
    const covered = at === shares.length - 1 ? surplus : towards(share.raw, surplus);
    const raw = share.raw - covered;
    surplus -= covered;
    if (at === shares.length - 1 || raw >= 0n || !isFinal(share.span)) return { ...share, raw };
    surplus -= raw;
    return { ...share, raw: 0n };
  });
}

/** As much of an amount as another one of its sign has room for. */
function towards(room: Decimal, amount: Decimal): Decimal {
  if (room > 0n && amount > 0n) return room < amount ? room : amount;
  if (room < 0n && amount < 0n) return room > amount ? room : amount;
  return 0n;
}

async function shareRow(
  closing: Closing,
  basis: DirtyWindow,
  { span, raw, nth }: Share,
  definition: MeterDefinition,
  payer: Payer,
): Promise<NewOutboxRow | null> {
  const { meter, company, windowStart, windowEnd, runningRaw, runningValue, nextSequence: sequence } = basis;
  const { fractionDigits } = closing.report;
  const { value } = runningReport({ runningRaw, runningValue, delta: raw, fractionDigits });
  const timestamp = ownMinute(span.from, span.to, nth);
  const { reportAs } = definition;
  const facts: Placeable = { meter, reportAs, company, windowStart, windowEnd, sequence, raw, value, timestamp };
  const row = { ...facts, kind: "usage", cancels: null } as const;
  if (value !== 0n) {
    const placement = await placementOf(closing, facts, payer, latePolicyOf(definition));
    return placement === null ? null : { ...row, ...placement };
  }
  const nowhere = { customer: null, identifier: null, mode: "delta", reported: value, late: null } as const;
  return { ...row, ...nowhere, state: "accepted", reason: NOTHING_TO_SEND };
}
