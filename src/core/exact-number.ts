import { EvaluationError } from "@marcbachmann/cel-js";
import type { Environment } from "@marcbachmann/cel-js";
import { divide, fromInteger, isFault, multiply, readDecimal } from "./decimal.ts";
import type { Decimal } from "./decimal.ts";
import { shown } from "./scalar.ts";

/** What `number()` gives inside an expression: a decimal that is added, multiplied and compared without rounding. */
export class ExactNumber {
  readonly decimal: Decimal;

  constructor(decimal: Decimal) {
    this.decimal = decimal;
  }
}

/**
 * Teaches an expression environment `number(x)` and exact arithmetic: between exact numbers, ints and doubles in any
 * mix, and between ints and doubles (CEL has none: `n + 1` would fail on a JSON number). A double counts as the decimal
 * that it prints as. Quotients are rounded half-even to 12 fraction digits; products that need more are an error.
 */
export function registerExactNumbers(environment: Environment): void {
  environment.registerType(typeName, { ctor: ExactNumber });
  environment.registerFunction("number(dyn): dyn", (value: unknown) => new ExactNumber(toDecimal(value)));
  environment.registerOperator(`-${typeName}`, (value: ExactNumber) => new ExactNumber(-value.decimal));
  const exactPairs = [
    [typeName, typeName],
    [typeName, "int"],
    ["int", typeName],
    [typeName, "double"],
    ["double", typeName],
  ] as const;
  const mixedPairs = [
    ["int", "double"],
    ["double", "int"],
  ] as const;
  for (const [left, right] of [...exactPairs, ...mixedPairs]) {
    for (const [sign, combine] of arithmetic) {
      environment.registerOperator(
        `${left} ${sign} ${right}: dyn`,
        (a: unknown, b: unknown) => new ExactNumber(combine(toDecimal(a), toDecimal(b))),
      );
    }
  }
  for (const [left, right] of exactPairs) {
    for (const [sign, holds] of relations) {
      // cel-js derives the mirrored equality itself, and refuses a second one.
      if (sign === "==" && left !== typeName) continue;
      environment.registerOperator(`${left} ${sign} ${right}`, (a: unknown, b: unknown) =>
        holds(toDecimal(a), toDecimal(b)),
      );
    }
  }
}

const typeName = "meterbook.Number";

const arithmetic: readonly (readonly [string, (a: Decimal, b: Decimal) => Decimal])[] = [
  ["+", (a, b) => a + b],
  ["-", (a, b) => a - b],
  ["*", product],
  ["/", quotient],
  ["%", remainder],
];

const relations: readonly (readonly [string, (a: Decimal, b: Decimal) => boolean])[] = [
  ["==", (a, b) => a === b],
  ["<", (a, b) => a < b],
  ["<=", (a, b) => a <= b],
  [">", (a, b) => a > b],
  [">=", (a, b) => a >= b],
];

function toDecimal(value: unknown): Decimal {
  if (value instanceof ExactNumber) return value.decimal;
  const read = Array.isArray(value) ? "not_a_number" : readDecimal(value);
  if (isFault(read)) throw new EvaluationError(`${shown(value)} cannot be used as a number: ${read}`);
  return read;
}

function product(a: Decimal, b: Decimal): Decimal {
  const exact = multiply(a, b);
  if (isFault(exact)) throw new EvaluationError(`a product has more than 12 fraction digits: ${exact}`);
  return exact;
}

function quotient(a: Decimal, b: Decimal): Decimal {
  if (b === fromInteger(0)) throw new EvaluationError("division by zero");
  return divide(a, b, "half_even");
}

function remainder(a: Decimal, b: Decimal): Decimal {
  if (b === fromInteger(0)) throw new EvaluationError("modulo by zero");
  return a % b;
}
