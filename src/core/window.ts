/** How usage is cut into rows: a fixed width in milliseconds, a UTC unit, or null for one row over all. */
export type UsageWindow = number | "hour" | "day" | "month" | null;

/** A half-open span of event time, [from, to), milliseconds since 1970 UTC. */
export interface WindowSpan {
  readonly from: number;
  readonly to: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days from 0000-01-01 to 1970-01-01 in the proleptic Gregorian calendar. */
const EPOCH_DAYS = 719_528;
/** Its years and leap days repeat after this many days and years. */
const CYCLE_DAYS = 146_097;
const CYCLE_YEARS = 400;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/** Start of the report window that holds this instant: the multiple of the width at or before it, also before 1970. */
export function windowStart(time: number, windowMs: number): number {
  // By remainder, which is exact, instead of by quotient, which rounds.
  return time - remainder(time, windowMs);
}

/** Whether a window may be reported: its end lies back at least the time that late events are waited for. */
export function isClosed(windowEnd: number, now: number, latenessMs: number): boolean {
  return windowEnd + latenessMs <= now;
}

/** The window that holds this instant; months are those of the UTC calendar. */
export function windowSpan(time: number, window: Exclude<UsageWindow, null>): WindowSpan {
  if (window === "month") return monthSpan(time);
  const widthMs = window === "hour" ? HOUR_MS : window === "day" ? DAY_MS : window;
  const from = windowStart(time, widthMs);
  return { from, to: from + widthMs };
}

function monthSpan(time: number): WindowSpan {
  const day = windowStart(time, DAY_MS) / DAY_MS + EPOCH_DAYS;
  const year = yearOf(day);
  let start = daysBefore(year);
  for (const [month, days] of MONTH_DAYS.entries()) {
    const end = start + days + (month === 1 && isLeap(year) ? 1 : 0);
    if (day < end) return { from: (start - EPOCH_DAYS) * DAY_MS, to: (end - EPOCH_DAYS) * DAY_MS };
    start = end;
  }
  throw new RangeError(`expected a time in whole milliseconds, received ${time}`);
}

/** The year of a day counted from 0000-01-01. The average length of a year misses by one at most. */
function yearOf(day: number): number {
  const guess = Math.floor((day * CYCLE_YEARS) / CYCLE_DAYS);
  if (day < daysBefore(guess)) return guess - 1;
  return day < daysBefore(guess + 1) ? guess : guess + 1;
}

/** Days from 0000-01-01 (a leap year) to the first of January of this year. */
function daysBefore(year: number): number {
  const last = year - 1;
  return 365 * year + Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / CYCLE_YEARS) + 1;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % CYCLE_YEARS === 0);
}

/** Never negative, never -0: JavaScript's own `%` takes the sign of the dividend. */
function remainder(dividend: number, divisor: number): number {
  return ((dividend % divisor) + divisor) % divisor;
}
