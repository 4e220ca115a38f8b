import { z } from "zod";

export { instantText } from "./instant-text.ts";

const SHAPE = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d))?$/;

/** Years beyond are slips of the pen, or other units. */
const YEAR_MIN = 1970;

/**
 * Milliseconds UTC of an RFC 3339 instant, or of a date as its midnight UTC; null for anything else, such as a 30th of
 * February. Digits behind the milliseconds are cut.
 */
export function readInstant(text: string): number | null {
  const match = SHAPE.exec(text);
  if (match === null) return null;
  const [, year = "", month = "", day = "", hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] =
    match;
  const time = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(time) || new Date(time).getUTCDate() !== Number(day) || Number(year) < YEAR_MIN) return null;
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  const offset = /^[Zz]$/.test(zone) ? 0 : offsetMs(zone);
  // A leap second is the last one of its minute.
  if (h > 23 || m > 59 || s > 60 || offset === null) return null;
  const ms = Number(fraction.padEnd(3, "0").slice(0, 3));
  return time + ((h * 60 + m) * 60 + Math.min(s, 59)) * 1_000 + ms - offset;
}

/** An instant as callers write it; milliseconds UTC after reading. */
export const instantInput = z
  .string()
  .transform((text, context) => {
    const ms = readInstant(text);
    if (ms !== null) return ms;
    context.addIssue({ code: "custom", message: 'expected an instant such as "2026-11-01T10:00:00Z", or a date' });
    return z.NEVER;
  })
  .meta({
    format: "date-time",
    description: "RFC 3339, or a date as its midnight UTC.",
    examples: ["2026-11-01T10:00:00Z"],
  });

/** An instant as it is answered. */
export const instantShown = z.string().meta({
  format: "date-time",
  description: "RFC 3339 in UTC, with milliseconds.",
  examples: ["2026-11-01T10:00:00.000Z"],
});

function offsetMs(zone: string): number | null {
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))];
  if (hours > 23 || minutes > 59) return null;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
