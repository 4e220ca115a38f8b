import { compileFilter, OPERATORS, type Comparison, type Filter, type Operator } from "../core/filter.ts";
import { faultOf } from "./compile-fault.ts";
import { TREE_KEYS, type ComparedValue } from "./match-schema.ts";
import { checkEventPath } from "./path-rules.ts";
import type { Place } from "./place.ts";

/** One comparison of a match with the place of its value. */
interface Line {
  readonly place: Place;
  readonly filter: { readonly path: string } & Comparison;
}

/** The filters of a match: one for each comparison, in the order of the file. Wrong shapes are left out. */
export function matchFilters(match: Place): Filter[] {
  return match.children().flatMap((entry): Filter[] => {
    const parts = entry.children().map((part) => allOf(matchFilters(part)));
    if (entry.key === "and") return [{ and: parts }];
    if (entry.key === "or") return [{ or: parts }];
    if (entry.key === "not") return [{ not: allOf(matchFilters(entry)) }];
    return linesOf(entry).map((line) => line.filter);
  });
}

/** Checks the paths of a match and everything that is compared. */
export function checkMatch(match: Place, fieldNames: readonly string[]): void {
  if (match.node.kind !== "map") return;
  for (const entry of match.children()) {
    if (entry.key === "not") checkMatch(entry, fieldNames);
    else if (TREE_KEYS.has(entry.key)) for (const part of entry.children()) checkMatch(part, fieldNames);
    else checkEntry(entry, fieldNames);
  }
}

function checkEntry(entry: Place, fieldNames: readonly string[]): void {
  checkEventPath(entry, entry.key, fieldNames, { onKey: true });
  if (entry.node.kind === "map" && entry.node.entries.size === 0)
    entry.error("expected at least one operator such as { gte: 200 }");
  for (const { place, filter } of linesOf(entry)) {
    // The path was checked above, at its own place.
    const fault = faultOf(() => compileFilter({ ...filter, path: "type" }));
    if (fault !== null) place.error(fault.message, { offset: fault.offset });
  }
  const rule = VALUE_RULES.get(entry.key);
  if (rule !== undefined) for (const place of equalsOf(entry)) rule(place);
}

/** The places of single values that the field is to be equal (or not equal) to. */
function equalsOf(entry: Place): Place[] {
  return linesOf(entry).flatMap(({ place, filter }) => {
    const isEquality = ["eq", "ne", "in", "not_in"].includes(filter.op);
    if (!isEquality) return [];
    return place.node.kind === "list" ? place.children() : [place];
  });
}

/** Comparisons that could never hold, and would quietly count nothing. */
const VALUE_RULES: ReadonlyMap<string, (place: Place) => void> = new Map([
  [
    "response.status",
    (place: Place) => {
      const text = place.text();
      if (text === null || /^[1-5][0-9]{2}$/.test(text)) return;
      const digit = /^([1-5])xx$/i.exec(text)?.[1];
      const range = digit === undefined ? "{ gte: 200, lt: 300 }" : `{ gte: ${digit}00, lte: ${digit}99 }`;
      place.error(`a status is a number such as 200; a range is written ${range}`, { showReceived: true });
    },
  ],
  [
    "request.method",
    (place: Place) => {
      const text = place.text();
      if (text !== null && text !== text.toUpperCase())
        place.error("methods are upper case", { suggestion: text.toUpperCase() });
    },
  ],
]);

function linesOf(entry: Place): Line[] {
  const path = eventPath(entry.key);
  const { node } = entry;
  if (node.kind === "scalar") return [{ place: entry, filter: { path, op: "eq", value: node.value } }];
  if (node.kind === "list") return [{ place: entry, filter: { path, op: "in", value: scalarsOf(entry) } }];
  return entry.children().flatMap((operand): Line[] => {
    const op = OPERATORS.find((name) => name === operand.key);
    if (op === undefined) return [];
    const comparison = comparisonOf(op, operand);
    return comparison === null ? [] : [{ place: operand, filter: { path, ...comparison } }];
  });
}

const TEXTUAL = ["contains", "starts_with", "ends_with", "like", "matches"] as const;

function isTextual(op: Operator): op is (typeof TEXTUAL)[number] {
  return TEXTUAL.some((name) => name === op);
}

function comparisonOf(op: Operator, operand: Place): Comparison | null {
  const { node } = operand;
  if (op === "in" || op === "not_in") return node.kind === "list" ? { op, value: scalarsOf(operand) } : null;
  if (node.kind !== "scalar") return null;
  if (op === "exists") return typeof node.value === "boolean" ? { op, value: node.value } : null;
  if (isTextual(op)) return typeof node.value === "string" ? { op, value: node.value } : null;
  return { op, value: node.value };
}

/** `action` is the tutorials' word for an event's type. */
function eventPath(text: string): string {
  return text === "action" ? "type" : text;
}

function scalarsOf(list: Place): ComparedValue[] {
  return list.children().flatMap(({ node }) => (node.kind === "scalar" ? [node.value] : []));
}

function allOf(filters: readonly Filter[]): Filter {
  const [first] = filters;
  return filters.length === 1 && first !== undefined ? first : { and: filters };
}
