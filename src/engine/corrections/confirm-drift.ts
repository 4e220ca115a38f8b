import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { tooManyDigits } from "../../core/usage-record.ts";
import { isInvoiceFinal } from "../outbox/billing-periods.ts";
import { cancelReport } from "./cancel.ts";
import { limits } from "../limits.ts";
import { isOvertaken } from "../reconciliation/missing-reports.ts";
import type { Drift, NewOutboxRow, OutboxRow, RowChange, Store } from "../ports.ts";
import { adjustIdentifier } from "../outbox/record-identifier.ts";

export interface DriftConfirmation {
  readonly store: Store;
  /** Account and mode of the biller. */
  readonly account: string;
  readonly drift: Drift;
  /** `operator:<name>`, and why; both stay in the history. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** How long after a period's end its invoice is final. */
  readonly graceMs: number;
  /** Shows what would be done, and does nothing. */
  readonly dryRun: boolean;
}

/**
 * How a surplus is corrected: `cancel`: one of our reports stands there twice, and the biller takes it back; `adjust`: a
 * report of the negative difference; `resend`: the last total of a meter that keeps it goes out again.
 */
export interface ConfirmedDrift {
  readonly drift: Drift;
  readonly by: "cancel" | "adjust" | "resend";
  /** The row that does it; null for a dry run. */
  readonly row: OutboxRow | null;
}

const MINUTE_MS = 60_000;

/**
 * Corrects a surplus in the biller's books, which only an operator's word can call one. Throws METER_CORRECTION_REFUSED for
 * what is no surplus, was corrected already, or has a final invoice.
 */
export async function confirmDrift(confirmation: DriftConfirmation): Promise<ConfirmedDrift> {
  const { store, drift, author, cause, now, dryRun } = confirmation;
  if (drift.verdict !== "surplus") throw refusal(`It is no surplus, but ${drift.verdict}.`, drift);
  const rows: OutboxRow[] = [];
  for (const rowId of drift.rowIds) rows.push(...(await store.outbox({ rowId, limit: 1 })));
  const [row] = rows;
  if (row?.mode === "set") return resendTotal(confirmation, row);
  if (row !== undefined && rows.length === 1 && isDoubled(drift, row) && isCancellable(row, now)) {
    const { cancel } = await cancelReport({ store, report: String(row.rowId), author, cause, now, dryRun });
    return { drift, by: "cancel", row: cancel };
  }
  return adjust(confirmation, row ?? null);
}

async function resendTotal(
  { store, drift, author, cause, now, dryRun }: DriftConfirmation,
  row: OutboxRow,
): Promise<ConfirmedDrift> {
  if (dryRun) return { drift, by: "resend", row: null };
  const change: RowChange = { rowId: row.rowId, from: row.state, to: "pending", reason: cause, author, resend: true };
  const isAtBiller = row.state === "accepted" || row.state === "settled";
  if (!isAtBiller || (await isOvertaken(store, drift, [row])) || !(await store.changeRow(change, now)))
    throw refusal(`Row ${row.rowId} is on its way already.`, drift);
  return { drift, by: "resend", row };
}

function isDoubled({ ours, theirs }: Drift, { reported, kind }: OutboxRow): boolean {
  return kind === "usage" && theirs - ours === reported;
}

/** Young enough that the cancelling arrives in time. */
function isCancellable({ firstAttemptAt, state }: OutboxRow, now: number): boolean {
  const ageMs = firstAttemptAt === null ? Number.POSITIVE_INFINITY : Math.abs(now - firstAttemptAt);
  return (state === "accepted" || state === "settled") && ageMs < limits.cancelOrderMs;
}

async function adjust(confirmation: DriftConfirmation, named: OutboxRow | null): Promise<ConfirmedDrift> {
  const { store, account, drift, author, cause, now, graceMs, dryRun } = confirmation;
  const { customer, reportAs, ours, theirs } = drift;
  const value = ours - theirs;
  if (tooManyDigits(value)) throw refusal(`Stripe takes no value as long as ${formatDecimal(value)}.`, drift);
  const inHour = await store.outbox({
    customer,
    reportAs,
    timestampFrom: drift.from,
    timestampTo: drift.to,
    limit: limits.heldRowsMax,
  });
  const timestamp = named === null ? freeMinute(drift, inHour, now) : drift.from;
  if (timestamp === null || now - timestamp > limits.reportAgeMaxMs)
    throw refusal("Stripe takes usage of the last 35 days only.", drift);
  if (isInvoiceFinal(await store.periods({ customer, reportAs }), timestamp, now, graceMs))
    throw refusal("Its invoice is final; a credit note or a credit grant corrects it.", drift);
  const near = named ?? inHour[0] ?? (await store.outbox({ customer, reportAs, limit: 1 }))[0];
  if (near === undefined) throw refusal("No company of ours is known for this customer.", drift);
  const identifier = adjustIdentifier({ store: store.id, account, drift });
  const [earlier] = await store.outbox({ identifier, limit: 1 });
  if (earlier !== undefined) throw refusal(`Row ${earlier.rowId} corrects it already; the books are behind.`, drift);
  const asked: Omit<NewOutboxRow, "sequence"> = {
    kind: "adjust",
    cancels: null,
    meter: near.meter,
    reportAs,
    company: near.company,
    customer,
    ...windowAround(drift, near),
    raw: 0n,
    value,
    mode: "delta",
    reported: value,
    late: null,
    timestamp,
    identifier,
    state: "pending",
    reason: null,
  };
  if (dryRun) return { drift, by: "adjust", row: null };
  const row = await store.addRow(asked, author, cause, now);
  if (row === null) throw refusal("The row could not be added.", drift);
  return { drift, by: "adjust", row };
}

/** The window of a report of ours that holds the difference, or the difference's own span. */
function windowAround(drift: Drift, near: OutboxRow): Pick<OutboxRow, "windowStart" | "windowEnd"> {
  const { windowStart, windowEnd } = near;
  const isInside = windowStart <= drift.from && drift.from < windowEnd;
  return isInside ? { windowStart, windowEnd } : { windowStart: drift.from, windowEnd: drift.to };
}

/** The last minute without a report of ours, so that ours can still be read alone. */
function freeMinute({ from, to }: Drift, rows: readonly OutboxRow[], now: number): number | null {
  const used = new Set(rows.map(({ timestamp }) => Math.floor(timestamp / MINUTE_MS)));
  for (let minute = Math.floor(Math.min(to - 1, now) / MINUTE_MS); minute * MINUTE_MS >= from; minute--)
    if (!used.has(minute)) return minute * MINUTE_MS;
  return null;
}

function refusal(message: string, { customer, reportAs, from }: Drift): MeterbookError {
  return new MeterbookError(
    "METER_CORRECTION_REFUSED",
    `The difference for ${customer} on ${reportAs} at ${new Date(from).toISOString()} cannot be corrected: ${message}`,
  );
}
