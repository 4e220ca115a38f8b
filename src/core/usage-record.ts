import { formatDecimal, roundDecimal, significantDigits, type Decimal } from "./decimal.ts";
import type { WindowSpan } from "./window.ts";

/** One report of usage to a biller, as it is sent: immutable once attempted. */
export interface UsageRecord {
  readonly meter: string;
  /** The biller's meter name (Stripe: event_name). */
  readonly reportAs: string;
  readonly company: string;
  /** The biller's customer (Stripe: cus_…). */
  readonly customer: string;
  /** Half-open window of event time that it reports, milliseconds UTC. */
  readonly windowStart: number;
  readonly windowEnd: number;
  /** 0 for the first report of a window; 1, 2, … for corrections by late usage. */
  readonly sequence: number;
  /** The figure in the request: the rounded difference of running totals, or the new total of the biller's own window. */
  readonly value: Decimal;
  /** Event time stated to the biller: its own minute inside the window, milliseconds UTC. */
  readonly timestamp: number;
  /** Pure function of what is reported; under 100 characters. */
  readonly identifier: string;
}

/** What the running-total rule starts from. Amounts are in the meter's unit. */
export interface RunningTotal {
  /** Exact usage that earlier records cover. */
  readonly runningRaw: Decimal;
  /** What earlier records sent. */
  readonly runningValue: Decimal;
  /** Exact usage that the new record covers. */
  readonly delta: Decimal;
  /** Fraction digits that the biller takes; 0 = whole numbers. */
  readonly fractionDigits: number;
}

const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;
/** Stripe refuses values with more since its API version 2026-04-22, because it sums in doubles (docs.stripe.com/changelog). */
const VALUE_DIGITS_MAX = 15;

/**
 * What the next record sends: the running total less what was sent, rounded down once. So nothing is lost, the rest is
 * carried, and all that was sent is never more than one unit below the exact usage. A value that would be too long for
 * the biller leaves its last fraction digits to the next record; only a whole part that is too long stays so.
 */
export function runningReport(total: RunningTotal): { readonly value: Decimal } {
  const { runningRaw, runningValue, delta, fractionDigits } = total;
  const unsent = runningRaw + delta - runningValue;
  for (let digits = fractionDigits; digits >= 0; digits--) {
    const value = roundDecimal(unsent, digits, "floor");
    if (!tooManyDigits(value)) return { value };
  }
  return { value: roundDecimal(unsent, fractionDigits, "floor") };
}

/**
 * A window cut at the starts and ends of billing periods, in order: no part lies in two periods, so that none of its usage
 * comes to the wrong invoice. Instants outside the window, and its own bounds, cut nothing.
 */
export function windowParts({ from, to }: WindowSpan, cuts: readonly number[]): readonly WindowSpan[] {
  const inside = [...new Set(cuts)].filter((cut) => cut > from && cut < to).toSorted((a, b) => a - b);
  return [from, ...inside].map((start, place) => ({ from: start, to: inside[place] ?? to }));
}

/**
 * The event time of the n-th record (from 0) of a window or part of one, milliseconds UTC: its own minute, so that one
 * minute-aligned summary of the biller tells whether this very record was counted. Only minutes that lie wholly inside
 * are taken; records beyond them share the last one, and in a part without any its start. Never the end, which belongs
 * to the next period.
 */
export function ownMinute(from: number, to: number, nth: number): number {
  const minutes = wholeMinutes(from, to);
  if (minutes > 0) return firstMinute(from) + Math.min(nth, minutes - 1) * MINUTE_MS;
  // The biller's time stamps are whole seconds.
  const second = Math.ceil(from / SECOND_MS) * SECOND_MS;
  return second < to ? second : from;
}

/** Whether the n-th record has a minute of its own there; one that shares it cannot be told apart in the biller's books. */
export function hasOwnMinute(from: number, to: number, nth: number): boolean {
  return nth < wholeMinutes(from, to);
}

/** The minute that holds an instant: what one summary of the biller covers. */
export function minuteOf(timestamp: number): WindowSpan {
  const from = Math.floor(timestamp / MINUTE_MS) * MINUTE_MS;
  return { from, to: from + MINUTE_MS };
}

function firstMinute(from: number): number {
  return Math.ceil(from / MINUTE_MS) * MINUTE_MS;
}

function wholeMinutes(from: number, to: number): number {
  return Math.max(0, Math.floor((Math.floor(to / MINUTE_MS) * MINUTE_MS - firstMinute(from)) / MINUTE_MS));
}

/**
 * The text whose hash becomes a record's identifier. No two different records share a text: a changed value, another
 * meter, company or customer, the same customer in another account or mode, or another database that reports to the same
 * account can never hide behind an identifier that was used.
 */
export function identifierText(
  record: Pick<
    UsageRecord,
    "meter" | "reportAs" | "company" | "customer" | "windowStart" | "windowEnd" | "sequence" | "value"
  > & {
    /** Which database reports: Store.id. */
    readonly store: string;
    /** Account and mode of the biller, e.g. `acct_1/test`. */
    readonly account: string;
  },
): string {
  const { store, account, meter, reportAs, company, customer, windowStart, windowEnd, sequence, value } = record;
  const parts = [store, account, meter, reportAs, company, customer, windowStart, windowEnd, sequence];
  return JSON.stringify([...parts, formatDecimal(value)]);
}

/** Whether the biller would refuse a value for its length: more than 15 digits, zeros at the end of a whole number included. */
export function tooManyDigits(value: Decimal): boolean {
  return significantDigits(value) > VALUE_DIGITS_MAX;
}

/** The value as it stands in the biller's request: plain decimal text. */
export function wireValue(value: Decimal): string {
  return formatDecimal(value);
}
