import type { CapturePlan } from "../core/capture-plan.ts";
import type { UsageEvent } from "../core/event.ts";
import { compilePath } from "../core/field-path.ts";
import type { MeterOptions } from "./options.ts";
import { hearRejection } from "./promise-guard.ts";

/** What stands in place of a value that is not kept. */
export const REDACTED = "[redacted]";

/**
 * Headers whose values are never kept unless a meter names them. By exact name: a pattern such as /token/ would hide the
 * tokens that are billed.
 */
const REDACTED_HEADERS: readonly string[] = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "api-key",
  "x-auth-token",
  "x-csrf-token",
  "stripe-signature",
  "x-amz-security-token",
];

export function redactedHeaders(options: MeterOptions): ReadonlySet<string> {
  return new Set([...REDACTED_HEADERS, ...(options.redact?.headers ?? []).map((name) => name.toLowerCase())]);
}

type Place = readonly string[];

/** Changes whole events before they are written; meters still find what they read. */
export interface Redaction {
  /** The event as it is to be written, and the metered places that maskContent tried to change. May throw what maskContent throws. */
  redact(event: UsageEvent): { readonly event: UsageEvent; readonly restored: readonly string[] };
}

/** Null when no option changes events. Throws PathError for a path that cannot be read. */
export function redactionOf(options: MeterOptions, plan: CapturePlan): Redaction | null {
  const places = (options.redact?.paths ?? [])
    .map(placeOf)
    .filter((place) => !plan.reads.some((read) => isPrefix(place, read) || isPrefix(read, place)));
  const isMasking = options.maskContent !== undefined;
  if (places.length === 0 && !isMasking) return null;
  return {
    redact(event) {
      const candidate = copyOf(event);
      for (const place of places) if (valueAt(candidate, place) !== undefined) put(candidate, place, REDACTED);
      if (!isMasking) return { event: candidate, restored: [] };
      const shown = copyOf(candidate);
      return restore(event, copyOf(options.maskContent?.(shown) ?? shown), plan.reads);
    },
  };
}

/** Redacted headers and paths that a meter reads: told at start, since they are kept in spite of the option. */
export function redactedReads(options: MeterOptions, plan: CapturePlan): readonly string[] {
  const headers = (options.redact?.headers ?? []).flatMap((name) => [
    `request.headers.${name.toLowerCase()}`,
    `response.headers.${name.toLowerCase()}`,
  ]);
  return [...headers, ...(options.redact?.paths ?? [])].filter((text) => {
    const place = placeOf(text);
    return plan.reads.some((read) => isPrefix(place, read) || (isPrefix(read, place) && read.length > 2));
  });
}

/** What makes an event this event; maskContent cannot change it. */
const IDENTITY = ["source", "id", "type", "time", "company", "values", "durationMs", "aborted", "faults"] as const;

function restore(
  original: UsageEvent,
  masked: UsageEvent,
  reads: readonly Place[],
): { event: UsageEvent; restored: string[] } {
  const restored: string[] = [];
  for (const name of IDENTITY) put(masked, [name], valueAt(original, [name]));
  for (const place of reads) {
    const value = valueAt(original, place);
    if (JSON.stringify(valueAt(masked, place)) === JSON.stringify(value)) continue;
    put(masked, place, value);
    restored.push(place.join("."));
  }
  return { event: masked, restored };
}

function placeOf(text: string): Place {
  return compilePath(text).scope;
}

function isPrefix(prefix: Place, path: Place): boolean {
  return prefix.length <= path.length && prefix.every((name, at) => path[at] === name);
}

/** A deep copy by way of JSON, which is what will be written; throws for what is no object. */
function copyOf(event: UsageEvent): UsageEvent {
  hearRejection(event);
  if (typeof event !== "object" || event === null || "then" in event)
    throw new TypeError("maskContent() must answer an event, at once");
  if (Array.isArray(event)) throw new TypeError("maskContent() must answer an event; received a list");
  const copy: UsageEvent = JSON.parse(JSON.stringify(event));
  return copy;
}

function valueAt(event: UsageEvent, place: Place): unknown {
  let value: unknown = event;
  for (const name of place) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

/** Sets a value, or removes it for undefined. What is missing on the way is made; a list stays a list. */
function put(event: object, place: Place, value: unknown): void {
  let target = event;
  for (const name of place.slice(0, -1)) {
    const below: unknown = Object.hasOwn(target, name) ? Reflect.get(target, name) : undefined;
    if (typeof below === "object" && below !== null) {
      target = below;
      continue;
    }
    if (value === undefined) return;
    const made = {};
    define(target, name, made);
    target = made;
  }
  const last = place.at(-1) ?? "";
  if (value === undefined) Reflect.deleteProperty(target, last);
  else define(target, last, value);
}

// An assignment to `__proto__` would change the prototype instead.
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}
