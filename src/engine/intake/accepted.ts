import type { Json, UsageEvent } from "../../core/event.ts";

/** A mistake in what was sent, by the place of the value that is wrong. */
interface SentProblem {
  /** JSON pointer (RFC 6901) into the event; in binary mode the header's name stands for an attribute. */
  readonly pointer: string;
  readonly message: string;
}

/** What became of one event of a call, by its place in the call. */
export type EventResult =
  | {
      readonly status: "stored" | "duplicate" | "conflict";
      readonly index: number;
      readonly source: string;
      readonly id: string;
      /** Meters that hold their share of it, with the reason; empty where it counts or concerns no meter. */
      readonly held: readonly { readonly meter: string; readonly reason: string; readonly detail: string }[];
      /** True when no meter counts or holds it: it is kept, and a meter made later can count it. */
      readonly unmetered: boolean;
    }
  | {
      readonly status: "rejected";
      readonly index: number;
      readonly source: string | null;
      readonly id: string | null;
      readonly problems: readonly SentProblem[];
    };

/** One call of the ingest API, as it came: the body after inflating, the CloudEvents header fields in lower case. */
export interface IngestCall {
  readonly body: Uint8Array;
  readonly contentType: string | null;
  /** `ce-*` header fields, for the binary content mode. */
  readonly headers: Readonly<Record<string, string>>;
  /** All or nothing: one event that is rejected or in conflict keeps out the others. */
  readonly atomic: boolean;
  /** Where nothing went wrong the numbers are answer enough. */
  readonly brief?: boolean;
}

/**
 * `refused`: nothing of the call was read as events. `results` has one entry per event, in order. `whole` answers a brief
 * call of which every event is stored, or was there already.
 */
export type IngestReply =
  | { readonly kind: "whole"; readonly stored: number; readonly duplicates: number }
  | { readonly kind: "results"; readonly results: readonly EventResult[]; readonly kept: boolean }
  | {
      readonly kind: "refused";
      readonly why: "content_type" | "not_json" | "too_large" | "too_many" | "too_deep" | "empty" | "busy";
      readonly message: string;
    };

/** A question for events that were sent or captured, newest first. */
export interface EventListQuery {
  readonly from?: number;
  readonly to?: number;
  /** Event time where it is compared; `ingestedAt` is when the store took it. */
  readonly ingestedFrom?: number;
  readonly ingestedTo?: number;
  /** Parts of texts, ignoring case. */
  readonly idPart?: string;
  readonly subjectPart?: string;
  readonly type?: string;
  readonly source?: string;
  readonly subject?: string;
  /** Customer ids or keys. */
  readonly customers?: readonly string[];
  /** Only events behind this one: what the last page gave as `next`. */
  readonly cursor?: string;
  readonly limit: number;
}

/** An event with what became of it. */
export interface ListedEvent {
  readonly seq: number;
  readonly event: UsageEvent;
  readonly subject: string | null;
  readonly customer: string | null;
  readonly voided: boolean;
  readonly storedAt: number;
  /** Why it does not count where it should: no meter for its type, no value, nobody pays. */
  readonly problems: readonly { readonly code: string; readonly message: string; readonly meter: string | null }[];
}

export interface EventPage {
  readonly events: readonly ListedEvent[];
  readonly next: string | null;
}

/** What a caller of the simple usage route says. `total` is an exact decimal text. */
export interface UsageReport {
  readonly id: string;
  readonly tenantId: string;
  readonly deviceId: string | null;
  readonly meterId: string;
  readonly total: string;
  readonly timestamp: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly extra?: Readonly<Record<string, Json>>;
}
