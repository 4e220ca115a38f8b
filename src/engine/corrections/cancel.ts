import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { limits } from "../limits.ts";
import { SHADOW, type NewOutboxRow, type OutboxRow, type Store } from "../ports.ts";

export interface Cancellation {
  readonly store: Store;
  /** The report's number or its identifier. */
  readonly report: string;
  /** `operator:<name>`, and why; both stay in the history. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** Shows what would change, and changes nothing. */
  readonly dryRun: boolean;
}

export interface CancelledReport {
  /** The report that is taken back. */
  readonly row: OutboxRow;
  /** What its lane's reports cover and sent, before and after: exact decimal text. */
  readonly covered: { readonly before: string; readonly after: string };
  readonly sent: { readonly before: string; readonly after: string };
  /** The row that takes it back; null for a dry run. */
  readonly cancel: OutboxRow | null;
}

/**
 * Takes a report back that the biller received less than a day ago, by the biller's own cancelling. What it covered is
 * due again and goes to who pays now. Throws METER_CORRECTION_REFUSED for a report that is not at the biller, too old,
 * cancelled already, or one of a meter that keeps its last report.
 */
export async function cancelReport(order: Cancellation): Promise<CancelledReport> {
  const { store, report, author, cause, now, dryRun } = order;
  const row = await theReport(store, report);
  assertCancellable(row, now);
  const asked: Omit<NewOutboxRow, "sequence"> = {
    kind: "cancel",
    cancels: row.rowId,
    meter: row.meter,
    reportAs: row.reportAs,
    company: row.company,
    customer: row.customer,
    windowStart: row.windowStart,
    windowEnd: row.windowEnd,
    raw: -row.raw,
    value: -row.value,
    mode: row.mode,
    reported: -row.reported,
    late: row.late,
    timestamp: row.timestamp,
    identifier: row.identifier,
    state: "pending",
    reason: null,
  };
  const totals = await laneTotalsOf(store, row);
  const summary = {
    row,
    covered: { before: formatDecimal(totals.raw), after: formatDecimal(totals.raw - row.raw) },
    sent: { before: formatDecimal(totals.value), after: formatDecimal(totals.value - row.value) },
  };
  if (dryRun) return { ...summary, cancel: null };
  const cancel = await store.addRow(asked, author, cause, now);
  if (cancel === null) throw refusal(`Report ${row.rowId} is cancelled already, or is not at the biller any more.`);
  return { ...summary, cancel };
}

/** A row is named by its number or by its identifier; a row that cancels bears the identifier of the one it takes back. */
export async function theReport(store: Pick<Store, "outbox">, name: string): Promise<OutboxRow> {
  const isNumber = /^[1-9]\d{0,14}$/.test(name);
  const found = await store.outbox({ ...(isNumber ? { rowId: Number(name) } : { identifier: name }), limit: 100 });
  const row = found.find(({ kind }) => kind !== "cancel") ?? found[0];
  if (row === undefined)
    throw new MeterbookError("METER_UNKNOWN_REPORT", `There is no report ${name}.`, {
      remedy: "`meterbook outbox --state all` lists the numbers, with --json the identifiers too.",
    });
  return row;
}

function assertCancellable(row: OutboxRow, now: number): void {
  const { rowId, kind, state, reason, identifier, mode, firstAttemptAt, acceptedAt } = row;
  if (kind !== "usage") throw refusal(`Report ${rowId} is no report of usage, but one that corrects (${kind}).`);
  if ((state !== "accepted" && state !== "settled") || identifier === null || reason === SHADOW)
    throw refusal(`Report ${rowId} is not at the biller: it is ${state}${reason === null ? "" : ` (${reason})`}.`);
  if (mode === "set")
    throw refusal(
      `The biller's meter keeps the last report of its window, and what a cancelling leaves there is not certain.`,
      "Void or replace the event instead: the next report says the new total.",
    );
  // It may have received it at the first attempt, long before that was known here.
  const receivedAt = firstAttemptAt ?? acceptedAt ?? now;
  if (Math.abs(now - receivedAt) > limits.cancelOrderMs)
    throw refusal(
      `Report ${rowId} was sent more than ${limits.cancelOrderMs / HOUR_MS} hours ago; the biller cancels for 24 hours.`,
      "Void or replace the events instead: the next report of the window takes the difference back.",
    );
}

const HOUR_MS = 3_600_000;

async function laneTotalsOf(
  store: Pick<Store, "laneTotals">,
  { meter, company }: OutboxRow,
): Promise<{ readonly raw: bigint; readonly value: bigint }> {
  const lane = (await store.laneTotals()).find((each) => each.meter === meter && each.company === company);
  return lane ?? { raw: 0n, value: 0n };
}

function refusal(message: string, remedy?: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, remedy === undefined ? {} : { remedy });
}
