/** Any JSON value, as an event carries it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Values that were sent once or several times: header fields keep each line's value. */
export type HeaderValues = Readonly<Record<string, string | readonly string[]>>;

/** The request of an exchange, reduced to what capture was asked to keep. Header names are lower case. */
export interface RequestFacts {
  readonly method?: string;
  /** Path without query, as the client sent it (`originalUrl`). */
  readonly path?: string;
  /** Route template such as `/items/:id`; null when a router knew no route for it. */
  readonly route?: string | null;
  readonly headers?: HeaderValues;
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

/** The response of an exchange. `headers` holds trailers too, under their own names. */
export interface ResponseFacts {
  readonly status?: number;
  readonly headers?: HeaderValues;
  readonly body?: Json;
}

/**
 * One fact about usage: immutable, identified by (source, id) for as long as it is kept.
 * Field paths in meters read this object: `request.route`, `response.headers.X-Tokens-Used`, `metadata.model`.
 */
export interface UsageEvent {
  readonly source: string;
  readonly id: string;
  /** `http.request` for an exchange; the action's name for tracked work. */
  readonly type: string;
  /** When it happened: milliseconds since 1970 UTC, a whole number. */
  readonly time: number;
  /** When it was recorded, only where the sender stated `time` himself. Milliseconds since 1970 UTC. */
  readonly recordedAt?: number;
  /** Who pays; null when nobody was identified. */
  readonly company: string | null;
  readonly user: string | null;
  readonly request?: RequestFacts;
  readonly response?: ResponseFacts;
  readonly metadata?: Json;
  /** What the event is about, as its sender named it; only on events that were sent over HTTP. `company` is who pays for it. */
  readonly subject?: string;
  /** The payload of a CloudEvent: a JSON object, or null. Numbers that a double cannot hold are their source text. */
  readonly data?: Json;
  /** The other attributes of a CloudEvent, as sent: `datacontenttype`, `dataschema` and extensions. */
  readonly attributes?: Readonly<Record<string, Json>>;
  /** Values added by the server's own code with `req.meter.add(name, n)`: exact decimal strings. */
  readonly values?: Readonly<Record<string, string>>;
  readonly durationMs?: number;
  /** True when the client left before the last byte was flushed. */
  readonly aborted?: boolean;
  /** Keyed hash of what getSessionToken() returned. */
  readonly sessionToken?: string;
  readonly apiVersion?: string;
  /** What could not be captured: field path → reason. A meter that reads such a path holds the event. */
  readonly faults?: Readonly<Record<string, HoldReason>>;
  /** The voided event that this one, made by an operator, counts instead of. */
  readonly corrects?: EventName;
}

/** What identifies an event. */
export interface EventName {
  readonly source: string;
  readonly id: string;
}

/** The type of every event that the middleware makes. */
export const EXCHANGE_TYPE = "http.request";

/** Why an event (or one meter's share of it) is kept and shown instead of counted. */
export const HOLD_REASONS = [
  "no_company",
  "identify_failed",
  "identify_timeout",
  "identify_bad_type",
  "bad_identifier",
  "missing_value",
  "not_a_number",
  "too_many_fraction_digits",
  "out_of_range",
  "unsafe_integer",
  "negative_value",
  "ambiguous_header",
  "body_too_large",
  "body_not_json",
  "body_too_deep",
  "field_error",
  "capture_failed",
  "future",
  "invalid_record",
  "bad_timestamp",
  "no_meter",
  "inactive",
] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

/** A part of a recorded event that is still to come: an async hook's answer, or how a large response ended. */
export type OpenPart = "identity" | "end";

/** A later fact that completes a recorded event: who it was for, or that the client left. Never changes what is there. */
export interface Amendment {
  readonly source: string;
  readonly id: string;
  readonly closes: OpenPart;
  readonly company?: string;
  readonly user?: string;
  /** What an async getMetadata() answered. */
  readonly metadata?: Json;
  readonly aborted?: boolean;
  readonly faults?: Readonly<Record<string, HoldReason>>;
}

/** An operator's later fact: the event was wrong and counts for nothing. It is never undone; what is right is another event. */
export interface Voiding extends EventName {
  readonly closes: "void";
  readonly cause: string;
  /** The event that counts instead; absent when nothing does. */
  readonly replacedBy?: EventName;
}

/** What can become known of a recorded event. */
export type LaterFact = Amendment | Voiding;

/** What a journal line holds. */
export type JournalEntry =
  | { readonly kind: "event"; readonly event: UsageEvent; readonly open: readonly OpenPart[] }
  | { readonly kind: "amendment"; readonly amendment: Amendment };
