import { bounds } from "./bounds.ts";
import { InvalidEventError } from "./client-error.ts";
import { newId, type ClientClock, type RandomBytes } from "./client-clock.ts";
import { ownMembers } from "./own-members.ts";
import { plainJson, type Payload, type PlainJson } from "./exact-json.ts";

/** An instant: a Date, milliseconds since 1970 UTC, or RFC 3339 with a zone. */
export type Instant = Date | number | string;

/** One use of something, as track() takes it. */
export interface TrackedUsage {
  /** What was used: meters count the events of their type. */
  readonly type: string;
  /** What or whom it is about; its customer pays. */
  readonly subject: string;
  readonly data?: Readonly<Record<string, Payload>> | null;
  /** Unique within its source, for ever: the same one counts once. Where left out, a new one is made. */
  readonly id?: string;
  /** When it happened. Where left out: now; beside an id of your own, when it arrives. */
  readonly time?: Instant;
  /** Where left out, the client's. */
  readonly source?: string;
}

/** What is on its way: an event, or a boundary of a session. */
export interface SentEvent {
  readonly kind: "event" | "session_start" | "session_end";
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  /** Milliseconds UTC; null = when it arrives. */
  readonly time: number | null;
  readonly data: PlainJson;
}

/** What an event needs of its client. */
export interface EventContext {
  readonly source: string;
  readonly clock: ClientClock;
  readonly random: RandomBytes;
  /** True where the event may wait for long: then the time of arrival says nothing of it. */
  readonly isKept: boolean;
}

/** The event of a use, with an id and a copy of its payload. Throws InvalidEventError. */
export function sentEvent(usage: TrackedUsage, context: EventContext): SentEvent {
  const { type, subject, data = null, id, time, source = context.source } = ownMembers(usage);
  const now = context.clock.now();
  // Who names the event may send it again later, and then says nothing new: only a time that is stated is content.
  const unstated = id === undefined || context.isKept ? now : null;
  return {
    kind: "event",
    source: named(source, "/source"),
    id: id === undefined ? newId(now, context.random) : named(id, "/id"),
    type: named(type, "/type"),
    subject: named(subject, "/subject"),
    time: time === undefined ? unstated : instantMs(time, "/time"),
    data: plainJson(data, "/data"),
  };
}

/** A text that can name something. Throws InvalidEventError. */
export function named(text: string, pointer: string): string {
  if (typeof text !== "string" || text.length === 0 || text.length > 256)
    throw new InvalidEventError(pointer, "is not a text of 1 to 256 characters");
  return text;
}

/** Milliseconds UTC of an instant. Throws InvalidEventError. */
export function instantMs(instant: Instant, pointer: string): number {
  const time = typeof instant === "string" ? zonedMs(instant) : Number(instant);
  if (!Number.isInteger(time) || Math.abs(time) > 8.64e15)
    throw new InvalidEventError(pointer, "is not a Date, milliseconds since 1970 or RFC 3339 with a zone");
  return time;
}

function zonedMs(text: string): number {
  return /^\d{4}-\d{2}-\d{2}[Tt ].*(?:[Zz]|[-+]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN;
}

/** The text that is sent: a CloudEvent, or the body of a session's boundary. Throws InvalidEventError when it is too long. */
export function sentText(event: SentEvent): string {
  const { source, id, type, subject, time, data } = event;
  const when = time === null ? {} : { time: new Date(time).toISOString() };
  const text = JSON.stringify(
    event.kind === "event" ? { specversion: "1.0", source, id, type, subject, ...when, data } : data,
  );
  if (text.length > bounds.eventBytes)
    throw new InvalidEventError("", `is longer than ${bounds.eventBytes} characters`);
  return text;
}
