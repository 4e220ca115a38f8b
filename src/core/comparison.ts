import { matchesGlob } from "./glob.ts";
import { compileRegex } from "./regex.ts";
import { equalityKey, numberOf, shown, textOf } from "./scalar.ts";
import type { Scalar } from "./scalar.ts";

/** Comparison of the value at a path. Numeric when both sides are numbers by the decimal grammar, else as text. */
export type Comparison =
  | { readonly op: "eq" | "ne" | "gt" | "gte" | "lt" | "lte"; readonly value: string | number | boolean | null }
  | { readonly op: "in" | "not_in"; readonly value: readonly (string | number | boolean | null)[] }
  | { readonly op: "exists"; readonly value: boolean }
  | { readonly op: "contains" | "starts_with" | "ends_with" | "like" | "matches"; readonly value: string };

/** One operator with its value, ready to test what stands at a path. */
export interface CompiledComparison {
  readonly test: (value: unknown) => boolean;
  /** What would hold, in words: `wants 200`. */
  readonly wants: string;
}

/**
 * Compiles one comparison. A missing value (undefined) fails every operator but `exists: false`, `ne` and `not_in`; null
 * is a value. Of an array, such as a repeated header, one element that holds is enough for eq, in and contains, and ne
 * and not_in are their negations; other operators compare the array as text. Throws FilterError.
 */
export function compileComparison(comparison: Comparison): CompiledComparison {
  if (comparison.op === "exists") return existence(comparison.value);
  if (isMembership(comparison)) return membership(comparison.op, comparison.value);
  if (isTextual(comparison)) return textual[comparison.op](comparison.value);
  return relation(comparison.op, comparison.value);
}

type Test = (value: unknown) => boolean;

function equals(wanted: Scalar): Test {
  const key = equalityKey(wanted);
  return (value) => {
    if (value === wanted) return true;
    if (value === undefined) return false;
    if (Array.isArray(value)) return value.some((element) => equalityKey(element) === key);
    return equalityKey(value) === key;
  };
}

function isAmong(wanted: readonly Scalar[]): Test {
  const keys = new Set(wanted.map(equalityKey));
  return (value) => {
    if (value === undefined) return false;
    if (Array.isArray(value)) return value.some((element) => keys.has(equalityKey(element)));
    return keys.has(equalityKey(value));
  };
}

function relation(op: "eq" | "ne" | keyof typeof orders, value: Scalar): CompiledComparison {
  if (op === "eq") return { test: equals(value), wants: `wants ${shown(value)}` };
  if (op === "ne") return { test: negated(equals(value)), wants: `wants anything but ${shown(value)}` };
  return ordered(op, value);
}

function membership(op: "in" | "not_in", values: readonly Scalar[]): CompiledComparison {
  if (op === "in") return { test: isAmong(values), wants: `wants one of ${list(values)}` };
  return { test: negated(isAmong(values)), wants: `wants none of ${list(values)}` };
}

function existence(wanted: boolean): CompiledComparison {
  return {
    test: (value) => (value !== undefined) === wanted,
    wants: wanted ? "wants it present" : "wants it absent",
  };
}

function negated(test: Test): Test {
  return (value) => !test(value);
}

const orders = {
  gt: { sign: ">", holds: (difference: number) => difference > 0 },
  gte: { sign: ">=", holds: (difference: number) => difference >= 0 },
  lt: { sign: "<", holds: (difference: number) => difference < 0 },
  lte: { sign: "<=", holds: (difference: number) => difference <= 0 },
} as const;

function ordered(op: keyof typeof orders, wanted: Scalar): CompiledComparison {
  const { sign, holds } = orders[op];
  const wantedNumber = numberOf(wanted);
  const wantedText = textOf(wanted);
  const wantedInteger = typeof wanted === "number" && Number.isSafeInteger(wanted) ? wanted : null;
  const test = (value: unknown): boolean => {
    if (value === undefined) return false;
    if (wantedInteger !== null && typeof value === "number" && Number.isSafeInteger(value)) {
      return holds(compare(value, wantedInteger));
    }
    const number = wantedNumber === null ? null : numberOf(value);
    if (number !== null && wantedNumber !== null) return holds(compare(number, wantedNumber));
    return holds(compare(textOf(value), wantedText));
  };
  return { test, wants: `wants ${sign} ${shown(wanted)}` };
}

function compare<T extends number | bigint | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function isMembership(comparison: Comparison): comparison is Extract<Comparison, { readonly op: "in" | "not_in" }> {
  return comparison.op === "in" || comparison.op === "not_in";
}

function isTextual(comparison: Comparison): comparison is Extract<Comparison, { readonly op: TextOperator }> {
  return Object.hasOwn(textual, comparison.op);
}

type TextOperator = "contains" | "starts_with" | "ends_with" | "like" | "matches";

const textual: Readonly<Record<TextOperator, (wanted: string) => CompiledComparison>> = {
  contains: (wanted) => ({ test: contains(wanted), wants: `wants text that contains ${shown(wanted)}` }),
  starts_with: (wanted) => ({
    test: onText((text) => text.startsWith(wanted)),
    wants: `wants text that starts with ${shown(wanted)}`,
  }),
  ends_with: (wanted) => ({
    test: onText((text) => text.endsWith(wanted)),
    wants: `wants text that ends with ${shown(wanted)}`,
  }),
  like: (wanted) => ({ test: onText((text) => matchesGlob(wanted, text)), wants: `wants text like ${shown(wanted)}` }),
  matches: (wanted) => ({ test: onText(compileRegex(wanted)), wants: `wants text that matches ${shown(wanted)}` }),
};

function onText(test: (text: string) => boolean): Test {
  return (value) => value !== undefined && test(textOf(value));
}

function contains(wanted: string): Test {
  const test = onText((text) => text.includes(wanted));
  return (value) => (Array.isArray(value) ? value.some(test) : test(value));
}

function list(values: readonly Scalar[]): string {
  const first = values.slice(0, 5).map(shown).join(", ");
  return values.length > 5 ? `${first}, …` : first;
}
