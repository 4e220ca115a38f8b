import type { Json } from "./event.ts";
import { checkIdentifier } from "./event-rules.ts";
import { parseInstant } from "./instant-text.ts";
import { weightOf } from "./json-weight.ts";
import { isJsonMedia, readMedia } from "./media-type.ts";
import { shown } from "./scalar.ts";

/** Bounds of one CloudEvent and of a list of them. */
export interface CloudEventBounds {
  readonly eventsMax: number;
  /** UTF-16 units of one event's values and names, roughly its bytes. */
  readonly eventLengthMax: number;
  /** Lists and objects within one another in `data`. */
  readonly depthMax: number;
  readonly identifierLengthMax: number;
}

/** A CloudEvent as it was sent, judged: what becomes a usage event once it is known who pays. */
export interface SentEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  /** Milliseconds UTC; null where the sender stated none. */
  readonly time: number | null;
  readonly data?: Json;
  readonly attributes?: Readonly<Record<string, Json>>;
}

/** A mistake in an event: JSON pointer into it (in binary mode a header's name), and a sentence. */
export interface EventMistake {
  readonly pointer: string;
  readonly message: string;
}

/** One event of a message: usable, or why not. */
export type ReadEvent =
  | { readonly kind: "sent"; readonly event: SentEvent }
  | {
      readonly kind: "rejected";
      readonly source: string | null;
      readonly id: string | null;
      readonly problems: readonly EventMistake[];
    };

/** Types of events that are the service's own (OpenMeter reserves the same). */
const RESERVED_TYPES = ["om.", "_."] as const;
const EXTENSION_NAME = /^[a-z0-9]{1,20}$/;
const NEEDED = ["id", "source", "type", "subject"] as const;
type Needed = (typeof NEEDED)[number];

/**
 * Judges the attributes of a CloudEvent (https://github.com/cloudevents/spec, 1.0.2) and its `data`, which is given
 * apart with its exact numbers. An attribute that is null counts as left out. All mistakes are told, not the first alone.
 */
export function judgeEvent(
  attributes: Readonly<Record<string, Json>>,
  data: Json | undefined,
  bounds: CloudEventBounds,
): ReadEvent {
  const draft: Draft = { texts: { id: null, source: null, type: null, subject: null }, time: null, rest: null };
  const problems: EventMistake[] = [];
  const say = (name: string, message: string): void => void problems.push({ pointer: pointerOf(name), message });
  let version: Json | undefined;
  for (const name of Object.keys(attributes)) {
    const value = attributes[name] ?? null;
    if (value === null || name === "data") continue;
    if (name === "specversion") version = value;
    else takeAttribute(draft, name, value, say);
  }
  if (version !== "1.0") say("specversion", `specversion must be "1.0", and is ${sayJson(version)}`);
  for (const name of NEEDED) checkNeeded(name, draft.texts[name], attributes, bounds, say);
  checkContent(data, attributes, bounds, say);
  const { texts, time, rest } = draft;
  const { source, id, type, subject } = texts;
  if (problems.length > 0 || source === null || id === null || type === null || subject === null)
    return { kind: "rejected", source, id, problems };
  return {
    kind: "sent",
    event: {
      source,
      id,
      type,
      subject,
      time,
      ...(data === undefined ? {} : { data }),
      ...(rest === null ? {} : { attributes: rest }),
    },
  };
}

/** An event that is no JSON object at all. */
export function notAnEvent(message: string): ReadEvent {
  return { kind: "rejected", source: null, id: null, problems: [{ pointer: "", message }] };
}

interface Draft {
  readonly texts: Record<Needed, string | null>;
  time: number | null;
  rest: Record<string, Json> | null;
}

type Say = (name: string, message: string) => void;

function takeAttribute(draft: Draft, name: string, value: Json, say: Say): void {
  switch (name) {
    case "id":
    case "source":
    case "type":
    case "subject":
      if (typeof value === "string") draft.texts[name] = value;
      return;
    case "time":
      draft.time = typeof value === "string" ? parseInstant(value) : null;
      if (draft.time === null) say(name, `time must be an RFC 3339 instant, and is ${sayJson(value)}`);
      return;
    case "data_base64":
      return say(name, "binary data cannot be metered; send a JSON object as data");
    case "datacontenttype":
      if (value !== "application/json" && (typeof value !== "string" || !isJsonMedia(readMedia(value)?.name ?? "")))
        return say(name, `only JSON data can be metered, and datacontenttype is ${sayJson(value)}`);
      break;
    case "dataschema":
      if (typeof value !== "string" || value === "") return say(name, "dataschema must be a URI");
      break;
    default:
      if (!EXTENSION_NAME.test(name))
        return say(name, "names of extensions are 1 to 20 lower-case letters and digits; other members belong in data");
      if (!isSimple(value)) return say(name, "an extension is a text, a whole number, true or false");
  }
  draft.rest ??= {};
  draft.rest[name] = value;
}

function isSimple(value: Json): boolean {
  return typeof value === "string" || typeof value === "boolean" || Number.isSafeInteger(value);
}

function checkNeeded(
  name: Needed,
  text: string | null,
  attributes: Readonly<Record<string, Json>>,
  { identifierLengthMax }: CloudEventBounds,
  say: Say,
): void {
  if (text === null) {
    const given = Object.hasOwn(attributes, name) ? (attributes[name] ?? null) : null;
    return say(name, given === null ? `${name} is missing` : `${name} must be a text, and is ${sayJson(given)}`);
  }
  if (checkIdentifier(text, identifierLengthMax) !== null)
    return say(name, `${name} must have 1 to ${identifierLengthMax} characters, none of them a control character`);
  if (name === "type" && RESERVED_TYPES.some((prefix) => text.startsWith(prefix)))
    say(name, `types that begin with ${RESERVED_TYPES.join(" or ")} are reserved`);
}

function checkContent(
  data: Json | undefined,
  attributes: Readonly<Record<string, Json>>,
  { depthMax, eventLengthMax }: CloudEventBounds,
  say: Say,
): void {
  if (data !== undefined && data !== null && (typeof data !== "object" || Array.isArray(data)))
    return say("data", `data must be a JSON object, and is ${sayJson(data)}`);
  const inner = data === undefined ? 0 : weightOf(data, depthMax, 0);
  if (inner < 0) return say("data", `data has more than ${depthMax} lists and objects within one another`);
  let weight = inner;
  for (const name of Object.keys(attributes)) {
    const value = attributes[name];
    weight += name.length + (typeof value === "string" ? value.length : 0);
  }
  if (weight > eventLengthMax) say("", `an event has at most ${eventLengthMax} characters`);
}

function pointerOf(name: string): string {
  return name === "" ? "" : `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** A value for people; one with parts is not written out, since it may be as large and deep as its sender likes. */
function sayJson(value: Json | undefined): string {
  if (typeof value !== "object" || value === null) return shown(value);
  return Array.isArray(value) ? "a list" : "an object";
}
