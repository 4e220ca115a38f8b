import { fromInteger, isFault, parseDecimal, significantDigits, type Decimal } from "../core/decimal.ts";
import type { CountedSpan } from "../engine/ports.ts";

/** Fraction digits that our numbers have; a double's further ones are noise of its binary fraction. */
const FRACTION_DIGITS = 12;
/** Doubles of up to 15 digits stand for one decimal each; a sum of fractions may be off in the last of them already. */
const SURE_DIGITS = 14;

/**
 * A figure of Stripe's books, which are doubles, by its shortest decimal text. It is exact only where no other figure can
 * have become this double: whole numbers below 2^53, and fractions with digits to spare.
 */
export function summaryValue(figure: number): Pick<CountedSpan, "value" | "isExact"> {
  const value = decimalOf(figure);
  const isExact = Number.isInteger(figure) ? Number.isSafeInteger(figure) : digitsOf(figure) <= SURE_DIGITS;
  return { value, isExact };
}

function decimalOf(figure: number): Decimal {
  const read = parseDecimal(String(figure));
  if (!isFault(read)) return read;
  if (Number.isInteger(figure)) return fromInteger(BigInt(figure));
  const rounded = parseDecimal(figure.toFixed(FRACTION_DIGITS));
  if (isFault(rounded)) throw new TypeError(`Stripe's figure ${String(figure)} is not a number`);
  return rounded;
}

/** Digits of the double's own shortest text, those beyond our scale included. */
function digitsOf(figure: number): number {
  const read = parseDecimal(String(figure));
  return isFault(read) ? Infinity : significantDigits(read);
}
