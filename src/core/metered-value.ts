import { formatDecimal, fromInteger, isFault, parseDecimal, readDecimal } from "./decimal.ts";
import type { NumberFault } from "./decimal.ts";
import type { HoldReason } from "./event.ts";
import { isHeaderPath } from "./field-path.ts";
import type { FieldPath } from "./field-path.ts";
import type { MeterDefinition } from "./meter.ts";
import { shown } from "./scalar.ts";
import type { MeteredValue } from "./verdict.ts";

/** What a meter's value path gave: a value, nothing that is counted, or why it cannot be counted. */
export type ValueReading =
  | { readonly kind: "value"; readonly value: MeteredValue }
  | { readonly kind: "skip"; readonly reason: string }
  | { readonly kind: "held"; readonly reason: HoldReason; readonly detail: string };

/**
 * Judges what stands at a meter's value path. Absent: by `missingValue` (for `unique`, zero means nothing to count, and
 * null counts as absent). Several lines of one header are ambiguous, whether they came as a list or joined by commas.
 */
export function readValue(definition: MeterDefinition, path: FieldPath, found: unknown): ValueReading {
  const isHeader = path.segments !== null && isHeaderPath(path.segments);
  if (isHeader && Array.isArray(found) && found.length > 1) {
    return held("ambiguous_header", `${path.text} was sent ${found.length} times: ${shown(found)}`);
  }
  const value: unknown = isHeader && Array.isArray(found) ? found[0] : found;
  if (value === undefined) return missing(definition, path.text);
  return definition.aggregate === "unique"
    ? readText(definition, path.text, value)
    : readNumber(definition, path.text, value, isHeader);
}

/** The text of one group label: numbers in canonical notation, "" for what is absent or has parts, long texts cut. */
export function labelOf(found: unknown, lengthMax: number): string {
  const value: unknown = Array.isArray(found) && found.length === 1 ? found[0] : found;
  if (typeof value === "string") return cut(value, lengthMax);
  if (typeof value === "number") return cut(canonicalNumber(value), lengthMax);
  if (typeof value === "boolean") return String(value);
  return value === null ? "null" : "";
}

function readNumber(definition: MeterDefinition, path: string, value: unknown, isHeader: boolean): ValueReading {
  const number = readDecimal(value);
  if (isFault(number)) {
    if (isHeader && number === "not_a_number" && isJoinedNumbers(value)) {
      return held("ambiguous_header", `${path} is ${shown(value)}: several values of one header`);
    }
    return held(number, `${path} is ${shown(value)}, ${faultSentences[number]}`);
  }
  if (number < fromInteger(0) && !definition.allowNegative) {
    return held("negative_value", `${path} is ${formatDecimal(number)}, and negative values need allowNegative`);
  }
  return { kind: "value", value: number };
}

function readText(definition: MeterDefinition, path: string, value: unknown): ValueReading {
  if (typeof value === "string") return { kind: "value", value };
  if (typeof value === "number") return { kind: "value", value: canonicalNumber(value) };
  if (typeof value === "boolean") return { kind: "value", value: String(value) };
  if (value === null) return missing(definition, path);
  return held("not_a_number", `${path} is ${shown(value)}, which is neither a text nor a number`);
}

function missing(definition: MeterDefinition, path: string): ValueReading {
  const { missingValue, aggregate } = definition;
  if (missingValue === "hold") return held("missing_value", `${path} is missing`);
  if (missingValue === "zero" && aggregate !== "unique") return { kind: "value", value: fromInteger(0) };
  return { kind: "skip", reason: `${path} is missing, and missingValue is ${missingValue}` };
}

const faultSentences: Readonly<Record<NumberFault, string>> = {
  not_a_number: "which is not a number",
  too_many_fraction_digits: "which has more than 12 fraction digits",
  out_of_range: "which is out of range",
  unsafe_integer: "which a JSON number cannot hold exactly; send it as text",
};

function canonicalNumber(value: number): string {
  const number = readDecimal(value);
  return isFault(number) ? String(value) : formatDecimal(number);
}

// Node joins the lines of a repeated request header: "5, 7" is neither 5 nor 57.
function isJoinedNumbers(value: unknown): boolean {
  if (typeof value !== "string" || !value.includes(",")) return false;
  return value.split(",").every((part) => !isFault(parseDecimal(part.trim())));
}

function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const splitsPair = (text.codePointAt(lengthMax - 1) ?? 0) > 0xffff;
  return text.slice(0, splitsPair ? lengthMax - 1 : lengthMax);
}

function held(reason: HoldReason, detail: string): ValueReading {
  return { kind: "held", reason, detail };
}
