import { formatDecimal, isFault, parseDecimal, readDecimal } from "./decimal.ts";
import type { Decimal } from "./decimal.ts";

/** A value that a filter compares with, as the configuration states it. */
export type Scalar = string | number | boolean | null;

/** The exact number behind a JSON number or a text that is one by the decimal grammar; null when it is none. */
export function numberOf(value: unknown): Decimal | null {
  if (typeof value === "string") {
    if (!mayBeNumber(value)) return null;
    const parsed = parseDecimal(value);
    return isFault(parsed) ? null : parsed;
  }
  if (typeof value !== "number" && typeof value !== "bigint") return null;
  const read = readDecimal(value);
  return isFault(read) ? null : read;
}

/** A value as text: a string as it is, several header lines as HTTP joins them, all else as JSON. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string")) {
    return value.join(", ");
  }
  return JSON.stringify(value) ?? "";
}

/**
 * The text under which two values are equal: equal numbers share it however they are written (`200`, `"200"`, `"2e2"`),
 * everything else is equal by its text. Filters and the matching index both use it, so that they cannot disagree.
 */
export function equalityKey(value: unknown): string {
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  if (typeof value === "string" && (!mayBeNumber(value) || isPlainInteger(value))) return value;
  const number = numberOf(value);
  return number === null ? textOf(value) : formatDecimal(number);
}

/** A value for people: texts in quotes, long ones cut. */
export function shown(value: unknown): string {
  const text = typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "missing");
  if (text.length <= shownLengthMax) return text;
  return `${text.slice(0, shownLengthMax)}…${text.startsWith('"') ? '"' : ""}`;
}

const shownLengthMax = 60;

// Most texts in filters are routes and names: their first character decides, without parsing.
function mayBeNumber(text: string): boolean {
  const first = text.charCodeAt(0);
  return (first >= 48 && first <= 57) || first === 45;
}

// A text that is its own canonical form needs no decimal: up to 15 digits without a leading zero.
function isPlainInteger(text: string): boolean {
  if (text.length > 15) return false;
  if (text.charCodeAt(0) === 48) return text.length === 1;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return false;
  }
  return true;
}
