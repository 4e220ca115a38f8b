import { formatDecimal, isFault, parseDecimal } from "./decimal.ts";
import { MeterbookError } from "./errors.ts";
import type { EventName, Json, UsageEvent } from "./event.ts";
import { checkIdentifier } from "./event-rules.ts";
import { parseExactJson } from "./exact-json.ts";
import { compilePath } from "./field-path.ts";

/** A value that an operator puts in the place of a wrong or missing one: a field path, and the value as text. */
export interface FieldValue {
  readonly path: string;
  readonly text: string;
}

/**
 * The event that counts instead of a wrong one: the same facts at the same time under a name of its own, with these
 * values. What could not be captured at such a place is known now. Header, query and parameter values are texts, names
 * under `values` exact decimals; in bodies and metadata a text that is JSON is read as JSON. Throws
 * METER_CORRECTION_REFUSED for a place that cannot be set or a value that cannot stand there, PathError for what is no path.
 */
export function correctedEvent(
  event: UsageEvent,
  values: readonly FieldValue[],
  { name, recordedAt }: { readonly name: EventName; readonly recordedAt: number },
): UsageEvent {
  const corrects = { source: event.source, id: event.id };
  return values.reduce(withField, { ...event, ...name, recordedAt, corrects });
}

function withField(event: UsageEvent, { path, text }: FieldValue): UsageEvent {
  const { segments } = compilePath(path);
  const [root = "", ...rest] = segments ?? [];
  if (segments === null || !SETTABLE.has(root)) throw refusal(path, "cannot be set");
  const set = { ...event, ...rootOf(event, root, rest, { path, text }) };
  const faults = Object.entries(event.faults ?? {}).filter(([place]) => !touches(place, segments));
  const { faults: _faults, ...facts } = set;
  return faults.length === 0 ? facts : { ...facts, faults: Object.fromEntries(faults) };
}

const SETTABLE: ReadonlySet<string> = new Set([
  "type",
  "company",
  "user",
  "request",
  "response",
  "metadata",
  "data",
  "subject",
  "values",
  "durationMs",
  "aborted",
  "apiVersion",
]);
const PARTS: Readonly<Record<string, readonly string[]>> = {
  request: ["method", "path", "route", "headers", "query", "params", "body"],
  response: ["status", "headers", "body"],
};
const NAMED_TEXTS: readonly string[] = ["headers", "query", "params"];

function rootOf(event: UsageEvent, root: string, rest: readonly string[], field: FieldValue): object {
  const [part = "", name = "", ...deeper] = rest;
  if (root === "metadata") return { metadata: withJson(event.metadata, rest, field) };
  if (root === "data") return { data: withJson(event.data, rest, field) };
  if (root === "values") {
    if (part === "" || rest.length > 1) throw refusal(field.path, "is not values.<name>");
    return { values: withName(event.values ?? {}, part, decimalText(field)) };
  }
  if (root !== "request" && root !== "response") {
    if (rest.length > 0) throw refusal(field.path, "has no parts");
    return { [root]: plainValue(root, field) };
  }
  if (!(PARTS[root] ?? []).includes(part)) throw refusal(field.path, "cannot be set");
  const facts: Readonly<Record<string, unknown>> = { ...event[root] };
  if (part === "body") return { [root]: withName(facts, part, withJson(event[root]?.body, rest.slice(1), field)) };
  if (NAMED_TEXTS.includes(part)) {
    if (name === "" || deeper.length > 0) throw refusal(field.path, `is not ${root}.${part}.<name>`);
    return { [root]: withName(facts, part, withName(namesIn(facts, part), name, field.text)) };
  }
  if (rest.length > 1) throw refusal(field.path, "has no parts");
  return { [root]: withName(facts, part, part === "status" ? statusOf(field) : field.text) };
}

function plainValue(root: string, field: FieldValue): string | number | boolean {
  const { path, text } = field;
  if (root === "aborted") {
    if (text !== "true" && text !== "false") throw refusal(path, "is true or false");
    return text === "true";
  }
  if (root === "durationMs") {
    const value = jsonOf(text);
    if (typeof value !== "number" || value < 0) throw refusal(path, "is a number of milliseconds");
    return value;
  }
  if (checkIdentifier(text) !== null) throw refusal(path, "is empty, too long or has control characters");
  return text;
}

function statusOf({ path, text }: FieldValue): number {
  const status = jsonOf(text);
  if (typeof status !== "number" || !/^[1-9]\d\d$/.test(text)) throw refusal(path, "is a number of three digits");
  return status;
}

function decimalText({ path, text }: FieldValue): string {
  const value = parseDecimal(text);
  if (isFault(value)) throw refusal(path, `is an exact decimal, and ${JSON.stringify(text)} is none (${value})`);
  return formatDecimal(value);
}

function withJson(known: Json | undefined, names: readonly string[], field: FieldValue): Json {
  const [name, ...deeper] = names;
  if (name === undefined) return jsonOf(field.text);
  if (isList(known)) {
    const place = /^(0|[1-9]\d{0,8})$/.test(name) ? jsonOf(name) : null;
    if (typeof place !== "number" || place > known.length)
      throw refusal(field.path, `has no place ${name} in a list of ${known.length}`);
    return known.toSpliced(place, 1, withJson(known[place], deeper, field));
  }
  if (known !== undefined && known !== null && typeof known !== "object")
    throw refusal(field.path, "goes into a value");
  const members: Readonly<Record<string, Json>> = known ?? {};
  const before = Object.hasOwn(members, name) ? members[name] : undefined;
  return withName(members, name, withJson(before, deeper, field));
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function jsonOf(text: string): Json {
  try {
    return parseExactJson(text);
  } catch {
    return text;
  }
}

function namesIn(facts: Readonly<Record<string, unknown>>, part: string): object {
  const names = facts[part];
  return typeof names === "object" && names !== null ? names : {};
}

/** A copy with one own property set, whatever its name. */
function withName<Value>(members: object, name: string, value: Value): Record<string, Value> {
  return Object.fromEntries([...Object.entries(members), [name, value]]);
}

/** Whether a fault's place is what was set, a part of it, or holds it. */
function touches(place: string, segments: readonly string[]): boolean {
  const names = placeNames(place);
  const shared = Math.min(names.length, segments.length);
  return names.slice(0, shared).every((name, at) => name === segments[at]);
}

function placeNames(place: string): readonly string[] {
  try {
    return compilePath(place).scope;
  } catch {
    return [place];
  }
}

function refusal(path: string, why: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", `${path} ${why}.`, {
    remedy:
      "Set a field of the event, such as company, values.tokens, metadata.model or response.headers.X-Tokens-Used; `meterbook events --json` shows them.",
  });
}
