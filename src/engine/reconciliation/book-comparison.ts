import { fromInteger, type Decimal } from "../../core/decimal.ts";
import type { CountedSpan, Drift } from "../ports.ts";

/** A figure of the biller's books; `NO_FIGURE` where they have none. */
export type BookFigure = Pick<CountedSpan, "value" | "isExact">;

export const NO_FIGURE: BookFigure = { value: 0n, isExact: true };

/** What of ours stands behind a figure: the sum, and the parts that the biller added up for it. */
export interface OwnSum {
  readonly value: Decimal;
  readonly parts: readonly Decimal[];
}

export function sumOf(parts: readonly Decimal[]): OwnSum {
  return { value: parts.reduce<Decimal>((total, part) => total + part, fromInteger(0)), parts };
}

/** From here on a double does not tell one whole number from the next. */
const WHOLE_LIMIT = fromInteger(2n ** 53n);
/** A double's relative step is 2^-52. */
const DOUBLE_BITS = 52n;

/**
 * Compares our exact sum with the biller's, which is one of doubles. Whole numbers below 2^53 are compared to the digit.
 * What else differs by no more than adding up doubles can explain is equal; it is `inexact` where a number of this size
 * stands for its neighbours too, or where a whole part of ours would not show.
 */
export function compareWithBooks(ours: OwnSum, theirs: BookFigure): "equal" | Drift["verdict"] {
  const difference = magnitude(theirs.value - ours.value);
  const isWhole = theirs.isExact && isInteger(theirs.value) && ours.parts.every(isInteger);
  const slack = isWhole ? 0n : slackOf(ours, theirs);
  if (difference > slack) return theirs.value < ours.value ? "missing" : "surplus";
  const isCoarse = magnitude(theirs.value) >= WHOLE_LIMIT || magnitude(ours.value) >= WHOLE_LIMIT;
  const hidesPart = difference > 0n && ours.parts.some((part) => part !== 0n && magnitude(part) <= slack);
  return isCoarse || hidesPart ? "inexact" : "equal";
}

/** The most by which a sum of so many doubles can be wrong, and the last digit that we have. */
function slackOf(ours: OwnSum, theirs: BookFigure): Decimal {
  const size = ours.parts.reduce((total, part) => total + magnitude(part), 0n);
  const greatest = size > magnitude(theirs.value) ? size : magnitude(theirs.value);
  return ((greatest * BigInt(ours.parts.length + 1)) >> DOUBLE_BITS) + 1n;
}

function isInteger(value: Decimal): boolean {
  return value % fromInteger(1) === 0n;
}

function magnitude(value: Decimal): Decimal {
  return value < 0n ? -value : value;
}
