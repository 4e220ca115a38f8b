import { compileComparison } from "./comparison.ts";
import type { Comparison } from "./comparison.ts";
import { compileExpression } from "./expression.ts";
import type { Expression } from "./expression.ts";
import { expressionView } from "./expression-view.ts";
import { compilePath } from "./field-path.ts";
import { owns } from "./own-member.ts";
import { shown } from "./scalar.ts";

export type { Comparison } from "./comparison.ts";
export { FilterError } from "./regex.ts";

/** A filter tree. `cel` is an expression over the event (core/expression). */
export type Filter =
  | ({ readonly path: string } & Comparison)
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }
  | { readonly cel: string };

export const OPERATORS = [
  "eq",
  "ne",
  "gt",
  "gte",
  "lt",
  "lte",
  "in",
  "not_in",
  "exists",
  "contains",
  "starts_with",
  "ends_with",
  "like",
  "matches",
] as const;
export type Operator = (typeof OPERATORS)[number];

/** One compiled line: `test` decides, `failure` says in words why it did not hold (called only then). */
export interface CompiledFilter {
  test(event: object): boolean;
  /** For example `response.status is 429, wants 200`; empty when the line holds. */
  failure(event: object): string;
}

/** Where a compiled filter takes its values from; a catalog passes one that reads each path once per event. */
export interface FilterSource {
  /** The reader of a field path. Throws PathError. */
  reader(path: string): (event: object) => unknown;
  /** What an expression sees of the event, the named computed fields included. */
  view(event: object, expression: Expression): object;
}

/**
 * Compiles a filter tree. `and` reports its first failing part. An expression that fails on an event, for example
 * because a key is missing, does not hold, and says why. Throws PathError, FilterError or ExpressionError.
 */
export function compileFilter(filter: Filter, source: FilterSource = eventSource): CompiledFilter {
  if (owns(filter, "path")) return compileLeaf(filter, source);
  if (owns(filter, "and")) return compileAll(filter.and.map((part) => compileFilter(part, source)));
  if (owns(filter, "or")) return compileAny(filter.or, source);
  if (owns(filter, "not")) return compileNot(filter.not, source);
  return compileCel(filter.cel, source);
}

/** Every field path and expression of a filter tree. */
export function filterReads(filter: Filter): {
  readonly paths: readonly string[];
  readonly expressions: readonly string[];
} {
  if (owns(filter, "path")) return { paths: [filter.path], expressions: [] };
  if (owns(filter, "cel")) return { paths: [], expressions: [filter.cel] };
  const parts = (owns(filter, "and") ? filter.and : owns(filter, "or") ? filter.or : [filter.not]).map(filterReads);
  return { paths: parts.flatMap((part) => part.paths), expressions: parts.flatMap((part) => part.expressions) };
}

const eventSource: FilterSource = {
  reader(path) {
    const compiled = compilePath(path);
    return (event) => compiled.read(event);
  },
  view: (event) => expressionView(event, {}),
};

function compileLeaf(leaf: { readonly path: string } & Comparison, source: FilterSource): CompiledFilter {
  const read = source.reader(leaf.path);
  const { test, wants } = compileComparison(leaf);
  return {
    test: (event) => test(read(event)),
    failure(event) {
      const value = read(event);
      if (test(value)) return "";
      return value === undefined ? `${leaf.path} is missing` : `${leaf.path} is ${shown(value)}, ${wants}`;
    },
  };
}

function compileAll(parts: readonly CompiledFilter[]): CompiledFilter {
  return {
    test: (event) => parts.every((part) => part.test(event)),
    failure: (event) => parts.find((part) => !part.test(event))?.failure(event) ?? "",
  };
}

function compileAny(filters: readonly Filter[], source: FilterSource): CompiledFilter {
  const parts = filters.map((filter) => compileFilter(filter, source));
  const test = (event: object): boolean => parts.some((part) => part.test(event));
  return {
    test,
    failure(event) {
      if (test(event)) return "";
      return parts.length === 0
        ? "or has no parts, so it never holds"
        : parts.map((part) => part.failure(event)).join("; and ");
    },
  };
}

function compileNot(filter: Filter, source: FilterSource): CompiledFilter {
  const part = compileFilter(filter, source);
  return {
    test: (event) => !part.test(event),
    failure: (event) => (part.test(event) ? `${describe(filter)} holds, wants that it does not` : ""),
  };
}

function compileCel(text: string, source: FilterSource): CompiledFilter {
  const expression = compileExpression(text, "condition");
  const holds = (event: object): boolean => {
    const result = expression.evaluate(source.view(event, expression));
    return owns(result, "value") && result.value === true;
  };
  return {
    test: holds,
    failure(event) {
      const result = expression.evaluate(source.view(event, expression));
      if (owns(result, "fault")) return `${shown(text)} cannot be decided: ${result.detail}`;
      return result.value === true ? "" : `${shown(text)} is ${shown(result.value)}`;
    },
  };
}

function describe(filter: Filter): string {
  if (owns(filter, "path")) return `${filter.path} ${filter.op} ${shown(filter.value)}`;
  if (owns(filter, "and")) return `(${filter.and.map(describe).join(" and ")})`;
  if (owns(filter, "or")) return `(${filter.or.map(describe).join(" or ")})`;
  if (owns(filter, "not")) return `not ${describe(filter.not)}`;
  return shown(filter.cel);
}
