/** Years repeat after this many of them, and these are their days. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * 86_400_000;
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const MINUTE_MS = 60_000;

/**
 * An instant of RFC 3339 (`2026-11-22T10:00:00.123Z`, any offset) as milliseconds UTC; null for any other text. Digits
 * beyond milliseconds are cut. A leap second is the second before it: no clock of ours has sixty-first seconds.
 */
export function parseInstant(text: string): number | null {
  const year = digits(text, 0, 2) * 100 + digits(text, 2, 2);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  // A negative number stands for something that is no digit, and makes a sum with it negative or too small to be a year.
  if (Math.min(digits(text, 0, 2), digits(text, 2, 2), day, hour, minute, second) < 0) return null;
  if (!isSign(text, 4, "-") || !isSign(text, 7, "-") || !isSign(text, 13, ":") || !isSign(text, 16, ":")) return null;
  if (!isSign(text, 10, "T") && !isSign(text, 10, "t") && !isSign(text, 10, " ")) return null;
  if (day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60) return null;
  const fraction = fractionOf(text);
  const offsetMs = fraction === null ? null : offsetOf(text, fraction.end);
  if (fraction === null || offsetMs === null) return null;
  const seconds = Math.min(second, 59);
  // Date.UTC takes the years before 100 for those of the last century.
  const local = Date.UTC(year + CYCLE_YEARS, month - 1, day, hour, minute, seconds, fraction.ms) - CYCLE_MS;
  return local - offsetMs;
}

function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % CYCLE_YEARS === 0;
  return month === 2 && isLeap ? 29 : (MONTH_DAYS[month - 1] ?? 0);
}

/** The number of so many digits at a place; negative when there is something else. */
function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function isSign(text: string, at: number, sign: string): boolean {
  return text[at] === sign;
}

const SECONDS_END = 19;

function fractionOf(text: string): { readonly ms: number; readonly end: number } | null {
  if (!isSign(text, SECONDS_END, ".")) return { ms: 0, end: SECONDS_END };
  let ms = 0;
  let end = SECONDS_END + 1;
  for (let weight = 100; digits(text, end, 1) >= 0; end += 1, weight = Math.floor(weight / 10)) {
    ms += weight * digits(text, end, 1);
  }
  return end === SECONDS_END + 1 ? null : { ms, end };
}

function offsetOf(text: string, at: number): number | null {
  if (text.length === at + 1) return text[at] === "Z" || text[at] === "z" ? 0 : null;
  const sign = isSign(text, at, "+") ? 1 : isSign(text, at, "-") ? -1 : 0;
  const hours = digits(text, at + 1, 2);
  const minutes = digits(text, at + 4, 2);
  if (sign === 0 || text.length !== at + 6 || !isSign(text, at + 3, ":")) return null;
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return null;
  return sign * (hours * 60 + minutes) * MINUTE_MS;
}
