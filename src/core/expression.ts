import { Environment, Optional, ParseError, TypeError as CelTypeError } from "@marcbachmann/cel-js";
import { formatDecimal, isFault, readDecimal, significantDigits } from "./decimal.ts";
import { MeterbookError } from "./errors.ts";
import { ExactNumber, registerExactNumbers } from "./exact-number.ts";
import { expressionUse } from "./expression-reads.ts";
import type { ExpressionUse } from "./expression-reads.ts";
import { EXPRESSION_ROOTS } from "./expression-view.ts";
import { matchesGlob } from "./glob.ts";
import { compileRegex } from "./regex.ts";
import { shown, textOf } from "./scalar.ts";

/** An expression that cannot be compiled. `offset` is the place in its text, from 0. */
export class ExpressionError extends MeterbookError {
  readonly offset: number;

  constructor(message: string, offset: number, options: { cause?: unknown } = {}) {
    super("METER_CONFIG_INVALID", message, options);
    this.name = "ExpressionError";
    this.offset = offset;
  }
}

/** What an expression gave for one event: a JSON value (exact numbers as decimal text, undefined for an empty optional), or why none. */
export type ExpressionResult = { readonly value: unknown } | { readonly fault: "field_error"; readonly detail: string };

/** A compiled CEL expression. */
export interface Expression {
  readonly text: string;
  /** Evaluates over an expressionView; never throws. */
  evaluate(view: object): ExpressionResult;
  /** Root-relative paths that it reads, such as `response.headers.x-tokens-used`, as far as its text tells; a whole root where a name is computed. */
  readonly reads: readonly string[];
}

/** A computed field gives any JSON value and cannot read other fields; a condition gives true or false and can. */
export type ExpressionPurpose = "field" | "condition";

/**
 * Compiles an expression of CEL (https://cel.dev) over the event. Beside CEL there are `number(x)`, which reads a text
 * or JSON number by the decimal grammar and calculates exactly; `like(text, glob)` and `re2_matches(text, regex)`.
 * `matches()` is refused, as its regular expressions can run for minutes. Plain doubles round as everywhere: a result
 * is accepted only with at most 15 significant digits, so that no rounded figure is billed. Throws ExpressionError.
 */
export function compileExpression(text: string, purpose: ExpressionPurpose = "field"): Expression {
  const parsed = parse(text, purpose);
  const use = expressionUse(parsed.ast, purpose === "field" ? fieldRoots : conditionRoots);
  refuse(use);
  const checked = parsed.check();
  if (!checked.valid) throw asExpressionError(checked.error);
  if (purpose === "condition" && checked.type !== "bool" && checked.type !== "dyn") {
    throw new ExpressionError(`a condition gives true or false, this one gives ${checked.type ?? "something else"}`, 0);
  }
  return {
    text,
    reads: use.reads,
    evaluate(view) {
      try {
        return { value: toJson(parsed(view)) };
      } catch (error) {
        return { fault: "field_error", detail: `${shown(text)}: ${summaryOf(error)}` };
      }
    },
  };
}

const fieldRoots: ReadonlySet<string> = new Set(EXPRESSION_ROOTS);
const conditionRoots: ReadonlySet<string> = new Set([...EXPRESSION_ROOTS, "fields"]);

const environments = { field: environmentOf(fieldRoots), condition: environmentOf(conditionRoots) };

function environmentOf(roots: ReadonlySet<string>): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 2_000, maxDepth: 50 },
  });
  for (const root of roots) environment.registerVariable(root, "dyn");
  registerExactNumbers(environment);
  environment.registerFunction("like(dyn, string): bool", (value: unknown, glob: string) =>
    matchesGlob(glob, textOf(value)),
  );
  environment.registerFunction("re2_matches(dyn, string): bool", (value: unknown, pattern: string) =>
    cachedRegex(pattern)(textOf(value)),
  );
  return environment;
}

const regexes = new Map<string, (text: string) => boolean>();
const regexesMax = 100;

// Patterns are literals nearly always; those that an event carries push each other out.
function cachedRegex(pattern: string): (text: string) => boolean {
  const known = regexes.get(pattern);
  if (known !== undefined) return known;
  if (regexes.size >= regexesMax) regexes.clear();
  const test = compileRegex(pattern);
  regexes.set(pattern, test);
  return test;
}

function parse(text: string, purpose: ExpressionPurpose): ReturnType<Environment["parse"]> {
  try {
    return environments[purpose].parse(text);
  } catch (error) {
    throw asExpressionError(error);
  }
}

function refuse(use: ExpressionUse): void {
  for (const { name, offset, literal } of use.calls) {
    if (name === "matches") {
      throw new ExpressionError("matches() is refused: use like(text, glob) or re2_matches(text, regex)", offset);
    }
    if (name === "re2_matches" && literal !== null) checkRegex(literal, offset);
  }
  if (use.upperCaseHeader !== null) {
    const { name, offset } = use.upperCaseHeader;
    throw new ExpressionError(
      `header names are lower case here, and a dash would subtract: write ${shown(name.toLowerCase())}, in brackets: headers["x-tokens-used"]`,
      offset,
    );
  }
}

function checkRegex(pattern: string, offset: number): void {
  try {
    compileRegex(pattern);
  } catch (error) {
    throw new ExpressionError(summaryOf(error), offset, { cause: error });
  }
}

function asExpressionError(error: unknown): ExpressionError {
  const offset = error instanceof ParseError || error instanceof CelTypeError ? (error.range?.start ?? 0) : 0;
  return new ExpressionError(summaryOf(error), offset, { cause: error });
}

function summaryOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  if ("summary" in error && typeof error.summary === "string") return error.summary;
  return error instanceof Error ? error.message : "failed";
}

function toJson(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return exactDouble(value);
  if (typeof value === "object") return objectToJson(value);
  throw new RangeError("gives no JSON value");
}

function exactDouble(value: number): number {
  const read = readDecimal(value);
  if (isFault(read) || significantDigits(read) > 15) {
    throw new RangeError(`gives ${value}, which is not exact: use number() around its parts`);
  }
  return value;
}

function objectToJson(value: object): unknown {
  if (value instanceof ExactNumber) return formatDecimal(value.decimal);
  if (value instanceof Optional) return value.hasValue() ? toJson(value.value()) : undefined;
  if (Array.isArray(value)) return value.map(toJson);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new RangeError("gives no JSON value");
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, toJson(part)]));
}
