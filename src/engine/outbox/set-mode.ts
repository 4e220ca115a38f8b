import { fromInteger, type Decimal } from "../../core/decimal.ts";
import { ownMinute, windowParts } from "../../core/usage-record.ts";
import { windowSpan, type WindowSpan } from "../../core/window.ts";
import { boundariesOf, isInvoiceFinal, periodsAt } from "./billing-periods.ts";
import type { Closing } from "./closing.ts";
import { limits } from "../limits.ts";
import { SHADOW, type BilledPeriod, type BillerLane, type NewOutboxRow, type OutboxRow, type Store } from "../ports.ts";

/** The biller's own window (UTC) of which it keeps only the last report. */
export function setWindow(timestamp: number, keepsLast: "hour" | "day"): WindowSpan {
  return windowSpan(timestamp, keepsLast);
}

/**
 * The event time of a row for a meter that keeps the last report: the window's own minute. Where a billing period begins or
 * ends inside the biller's window, all of its usage must come to one invoice, since parts would overwrite each other: to
 * the last one that is billed at all, as soon as the biller's window is over. Null = not yet.
 */
export function setTimestamp(
  { now, report }: Pick<Closing, "now" | "report">,
  row: Pick<NewOutboxRow, "windowStart" | "windowEnd" | "sequence" | "timestamp">,
  keepsLast: "hour" | "day",
  periods: readonly BilledPeriod[],
): number | null {
  const whole = setWindow(row.timestamp, keepsLast);
  const parts = windowParts(whole, boundariesOf(periods));
  if (parts.length === 1) return row.timestamp;
  if (now < whole.to) return null;
  const billed = parts.filter(({ from }) => periodsAt(periods, from).length > 0);
  const open = billed.filter(({ from }) => !isInvoiceFinal(periods, from, now, report.graceMs));
  const part = open.at(-1) ?? billed.at(-1);
  if (part === undefined) return row.timestamp;
  const from = Math.max(part.from, row.windowStart);
  const to = Math.min(part.to, row.windowEnd);
  return from < to ? ownMinute(from, to, row.sequence) : ownMinute(part.from, part.to, row.sequence);
}

/**
 * What the biller's window holds already, of the rows that are there; null while one of them is not decided: a total that
 * is sent beside another one may arrive before it, and the older would stay. Rows in shadow are there only for others in it.
 */
export async function setTotal(
  { store }: Pick<Closing, "store">,
  lane: BillerLane,
  whole: WindowSpan,
  isShadow: boolean,
): Promise<Decimal | null> {
  const rows = await rowsIn(store, lane, whole);
  return rows.some(isUndecided) ? null : totalOf(rows, isShadow);
}

/**
 * Whether a row's figure is still the total of its window at the biller once it arrives there. It is not when others came
 * into the window since without it: going out again, it would take their place, and nothing would bill them.
 */
export async function isStillTotal(store: Store, row: OutboxRow, keepsLast: "hour" | "day"): Promise<boolean> {
  const { rowId, customer, reportAs, timestamp, value, reported } = row;
  if (customer === null) return true;
  const rows = await rowsIn(store, { customer, reportAs }, setWindow(timestamp, keepsLast));
  const others = rows.filter((other) => other.rowId !== rowId);
  return !others.some(isUndecided) && totalOf(others, false) + value === reported;
}

function totalOf(rows: readonly OutboxRow[], isShadow: boolean): Decimal {
  const isCounted = (row: OutboxRow): boolean =>
    row.kind !== "adjust" && isThere(row) && (isShadow || row.reason !== SHADOW);
  return rows.filter(isCounted).reduce<Decimal>((total, { value }) => total + value, fromInteger(0));
}

/** Rows that are stated in a span of the biller's books. */
async function rowsIn(store: Store, lane: BillerLane, { from, to }: WindowSpan): Promise<readonly OutboxRow[]> {
  return store.outbox({ ...lane, timestampFrom: from, timestampTo: to, limit: limits.heldRowsMax });
}

function isUndecided({ state }: OutboxRow): boolean {
  return state === "pending" || state === "sending" || state === "conflict";
}

function isThere({ state }: OutboxRow): boolean {
  return state === "accepted" || state === "settled";
}
