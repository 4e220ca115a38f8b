import { judgeEvent, notAnEvent, type CloudEventBounds, type ReadEvent } from "./cloud-event-rules.ts";
import { isJsonMedia, readMedia, type MediaType } from "./media-type.ts";
import type { Json } from "./event.ts";
import { readExactJson } from "./exact-json.ts";
import { ownMember } from "./own-member.ts";

export type { CloudEventBounds, EventMistake, ReadEvent, SentEvent } from "./cloud-event-rules.ts";

/** One HTTP message that carries CloudEvents: its content type, its `ce-*` header fields by lower-case name, its text. */
export interface CloudEventMessage {
  readonly contentType: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** `refused`: nothing of the message was read as events. Otherwise each of its events, in order, usable or rejected. */
export type CloudEventReading =
  | { readonly kind: "events"; readonly events: readonly ReadEvent[] }
  | {
      readonly kind: "refused";
      readonly why: "content_type" | "not_json" | "too_many" | "empty";
      readonly message: string;
    };

const STRUCTURED = "application/cloudevents+json";
const BATCH = "application/cloudevents-batch+json";
/** One event or a list of them, as OpenMeter takes it. */
const EITHER = "application/json";
const ACCEPTED = `${STRUCTURED}, ${BATCH} or ${EITHER}`;
const HEADER_PREFIX = "ce-";
/** Header fields that make a message one of the binary mode. */
const BINARY_MARKS = ["ce-id", "ce-source", "ce-type", "ce-specversion"] as const;

/**
 * Reads the events of an HTTP message in CloudEvents' structured, batch or binary content mode (1.0.2, HTTP binding and
 * JSON format). Numbers that a double cannot hold come as their source text; of members with one name the last one counts.
 */
export function readCloudEvents(message: CloudEventMessage, bounds: CloudEventBounds): CloudEventReading {
  const media = message.contentType === null ? null : readMedia(message.contentType);
  if (media === null && message.contentType !== null) return refusedType(`it is not a media type`);
  if (media !== null && media.charset !== null && media.charset !== "utf-8")
    return refusedType(`its charset must be utf-8`);
  const isStructured = media !== null && (media.name === STRUCTURED || media.name === BATCH);
  if (!isStructured && BINARY_MARKS.some((name) => Object.hasOwn(message.headers, name)))
    return readBinary(message, media, bounds);
  if (media === null || (!isStructured && media.name !== EITHER)) return refusedType(`${ACCEPTED} is taken`);
  return readStructured(message.text, media.name, bounds);
}

function readStructured(text: string, mode: string, bounds: CloudEventBounds): CloudEventReading {
  const body = parsedBody(text);
  if (body.kind === "refused") return body;
  const { plain, exact } = body;
  if (!isList(plain)) {
    const single = mode === BATCH ? notAnEvent(`${BATCH} carries a list of events`) : readOne(plain, exact, bounds);
    return { kind: "events", events: [single] };
  }
  if (mode === STRUCTURED)
    return { kind: "events", events: [notAnEvent(`${STRUCTURED} carries one event; send a list as ${BATCH}`)] };
  if (plain.length > bounds.eventsMax) {
    const message = `A call takes ${bounds.eventsMax} events, and this one has ${plain.length}.`;
    return { kind: "refused", why: "too_many", message };
  }
  const exacts = isList(exact) ? exact : plain;
  return { kind: "events", events: plain.map((event, at) => readOne(event, exacts[at] ?? null, bounds)) };
}

function readOne(plain: Json, exact: Json, bounds: CloudEventBounds): ReadEvent {
  if (!isObject(plain) || !isObject(exact)) return notAnEvent("an event is a JSON object");
  return judgeEvent(plain, ownMember(exact, "data"), bounds);
}

function readBinary(
  { headers, text }: CloudEventMessage,
  media: MediaType | null,
  bounds: CloudEventBounds,
): CloudEventReading {
  const attributes: [string, Json][] = [];
  const problems: { pointer: string; message: string }[] = [];
  for (const [header, value] of Object.entries(headers)) {
    if (!header.startsWith(HEADER_PREFIX)) continue;
    const name = header.slice(HEADER_PREFIX.length);
    const decoded = headerText(value);
    if (decoded === null) problems.push({ pointer: header, message: `${header} is not percent-encoded UTF-8` });
    else if (name === "data") problems.push({ pointer: header, message: "data is the body of the message" });
    else attributes.push([name, decoded]);
  }
  let data: Json | undefined;
  if (text !== "") {
    if (media === null || !isJsonMedia(media.name))
      problems.push({ pointer: "content-type", message: "only JSON data can be metered" });
    else {
      const body = parsedBody(text);
      if (body.kind === "refused") return body;
      data = body.exact;
      if (media.name !== EITHER) attributes.push(["datacontenttype", media.name]);
    }
  }
  const read = judgeEvent(Object.fromEntries(attributes), data, bounds);
  return { kind: "events", events: [inHeaderNames(read, problems)] };
}

/** In binary mode an attribute's mistake is named by its header field. */
function inHeaderNames(read: ReadEvent, found: readonly { pointer: string; message: string }[]): ReadEvent {
  if (read.kind === "sent" && found.length === 0) return read;
  if (read.kind === "sent") return { kind: "rejected", source: read.event.source, id: read.event.id, problems: found };
  const told = new Set(found.map(({ pointer }) => pointer));
  const renamed = read.problems.map(({ pointer, message }) => {
    const isOfBody = pointer === "" || pointer === "/data";
    return { pointer: isOfBody ? pointer : `${HEADER_PREFIX}${pointer.slice(1)}`, message };
  });
  return { ...read, problems: [...found, ...renamed.filter(({ pointer }) => !told.has(pointer))] };
}

/** A header field's text: quotes taken off, then percent-decoded (HTTP binding 3.1.3.2); null when that is no UTF-8. */
function headerText(value: string): string | null {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value);
  const bare = quoted === null ? value : (quoted[1] ?? "").replace(/\\(.)/g, "$1");
  try {
    return decodeURIComponent(bare);
  } catch {
    return null;
  }
}

type ParsedBody = { readonly kind: "json"; readonly plain: Json; readonly exact: Json } | Refusal;
type Refusal = Extract<CloudEventReading, { kind: "refused" }>;

function parsedBody(text: string): ParsedBody {
  if (text.trim() === "") return { kind: "refused", why: "empty", message: "The body is empty." };
  try {
    return { kind: "json", ...readExactJson(text) };
  } catch (error) {
    const why = error instanceof Error ? error.message : "it cannot be read";
    return { kind: "refused", why: "not_json", message: `The body is not JSON: ${why}.` };
  }
}

function refusedType(why: string): Refusal {
  return { kind: "refused", why: "content_type", message: `The content type cannot be used: ${why}.` };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
