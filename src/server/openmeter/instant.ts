import { z } from "zod";

/** A date and time of RFC 3339 with its zone, as milliseconds UTC; further digits of a second are cut. */
export const instant = z.iso
  .datetime({ offset: true, error: "a date and time of RFC 3339 is wanted, such as 2025-01-01T00:00:00Z" })
  .transform((text) => Date.parse(text));

/** Milliseconds UTC as RFC 3339, in UTC and with milliseconds. */
export function rfc3339(time: number): string {
  return new Date(time).toISOString();
}
