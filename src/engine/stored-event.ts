import type { AggregateKind, AggregateState } from "../core/aggregation.ts";
import type { Amendment, HoldReason, UsageEvent, Voiding } from "../core/event.ts";
import type { MeterVersion } from "../core/meter.ts";
import type { Bucket, BucketKey } from "../core/usage.ts";
import type { MeteredValue } from "../core/verdict.ts";

/** One meter's share of an event, ready for a bucket. Judged before the transaction: judging is pure. */
export interface Count {
  readonly meter: string;
  readonly aggregate: AggregateKind;
  readonly company: string;
  readonly group: string;
  readonly bucketStart: number;
  readonly value: MeteredValue;
}

export interface Hold {
  readonly meter: string;
  readonly reason: HoldReason;
  readonly detail: string;
  /** Known when only the payer is missing. */
  readonly value: MeteredValue | null;
}

/** An event with what all meters say of it. Counts and holds apply only if the event is new to the store. */
export interface IngestEntry {
  readonly event: UsageEvent;
  readonly counts: readonly Count[];
  readonly holds: readonly Hold[];
}

export type IngestStatus = "stored" | "duplicate" | "conflict";

/** What of a batch is kept: `each` new event; `all` of them, or nothing when one is a conflict; `none`: only the answer is given. */
export type IngestKeep = "each" | "all" | "none";

/** `stale`: the event got another amendment since it was read, so what was computed of it may be wrong. Nothing changed. */
export type AmendStatus = "done" | "stale" | "no_event";

export interface StoredEvent {
  /** Arrival number, unique and increasing within a store. */
  readonly seq: number;
  readonly event: UsageEvent;
  /** Later facts (assignment of a company, an abort), oldest first. They never change `event`. */
  readonly amendments: readonly StoredFact[];
}

/** When a later fact came, and who said it: `journal`, `cli`, `operator:<name>`. */
interface Authored {
  readonly at: number;
  readonly author: string;
}

export interface StoredAmendment extends Amendment, Authored {}
export interface StoredVoiding extends Voiding, Authored {}
export type StoredFact = StoredAmendment | StoredVoiding;

export interface HeldRow {
  readonly seq: number;
  readonly source: string;
  readonly id: string;
  readonly time: number;
  readonly meter: string;
  readonly reason: HoldReason;
  readonly detail: string;
  readonly value: MeteredValue | null;
}

/** Half-open [from, to) in event time; both optional. */
export interface TimeRange {
  readonly from?: number;
  readonly to?: number;
}

export interface EventQuery extends TimeRange {
  readonly company?: string;
  readonly type?: string;
  /** Only events with arrival number above this (ascending order) … */
  readonly afterSeq?: number;
  /** … or below this (descending order). */
  readonly beforeSeq?: number;
  readonly order: "oldest" | "newest";
  readonly limit: number;
}

/** A page by event time, then arrival. */
export interface SpanQuery extends TimeRange {
  /** Only events after this one in that order. */
  readonly after?: { readonly time: number; readonly seq: number } | undefined;
  readonly type?: string;
  /** Only events without open holds. */
  readonly unheld?: boolean;
  readonly limit: number;
}

/** Where an event stands in the order of event time, then arrival. */
export interface EventPlace {
  readonly time: number;
  readonly seq: number;
}

/** A search, newest first by event time, then arrival. Everything that is given must fit. */
export interface EventSearch extends TimeRange {
  /** Only events before this place in that order: older ones. */
  readonly after?: EventPlace | undefined;
  /** Half-open span of when events were recorded: the sender's time where he stated none. */
  readonly recordedFrom?: number | undefined;
  readonly recordedTo?: number | undefined;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly subject?: string | undefined;
  /** Parts of texts; letters A to Z and a to z are equal. */
  readonly idPart?: string | undefined;
  readonly subjectPart?: string | undefined;
  /** Who pays, as known now; an event of nobody fits none. */
  readonly companies?: readonly string[] | undefined;
  readonly limit: number;
  /** Events of the span that are looked at, fitting or not. */
  readonly searchMax: number;
}

export interface EventSearchPage {
  readonly events: readonly StoredEvent[];
  /** The last event that was looked at: the search goes on after it. Null when no further one is in the span. */
  readonly next: EventPlace | null;
}

// --- usage ---

export interface UsageQuery extends TimeRange {
  readonly meter?: string;
  readonly company?: string;
  /** `day`: what the buckets of each UTC day that touches the range add up to, without reading them one by one. */
  readonly grain?: "day";
}

/** What computed usage rests on. Usage of equal `changes` differs only by the events that arrived after `lastSeq`. */
export interface UsageRevision {
  /** Greatest arrival number that was given out; 0 = none. */
  readonly lastSeq: number;
  /** Another text after every amendment, every purge and every new version of a meter. */
  readonly changes: string;
  /** The same without the amendments, which have a number of their own: that of the last one, 0 = none. */
  readonly settled: string;
  readonly amendments: number;
}

/** Events whose amendments are asked for: those that had arrived by `lastSeq`, of one type where it is stated. */
export interface AmendedQuery extends Required<TimeRange> {
  readonly lastSeq: number;
  /** Only amendments behind this number. */
  readonly after: number;
  readonly type?: string;
}

// --- corrections ---

/** A bucket that a correction changes: as it was seen, and as it will be; null = none. */
export interface BucketChange extends BucketKey {
  readonly aggregate: AggregateKind;
  readonly seen: AggregateState | null;
  readonly next: AggregateState | null;
  /** Given where `next` was recomputed: how many events there were in the bucket's span of time, and amendments of them. */
  readonly basis: { readonly events: number; readonly amendments: number } | null;
}

/** An event becomes void, and perhaps another one takes its place: all of it, or nothing. */
export interface Correction {
  readonly voiding: StoredVoiding;
  /** How many amendments the event had. */
  readonly seen: number;
  /** What the voided event's share makes of its buckets; the replacement's counts come on top. */
  readonly buckets: readonly BucketChange[];
  readonly replacement: IngestEntry | null;
}

/** `stale`: event, buckets or meters are not as they were seen. `taken`: the replacement's identity is another event's. */
export type CorrectionStatus = "done" | "stale" | "taken" | "no_event";

/** A meter's past judged by other versions: all of it, or nothing. */
export interface Replay {
  readonly meter: string;
  /** They begin at their own instants, also where events were counted by others. */
  readonly versions: readonly MeterVersion[];
  /** Revision of the meters from which all this was computed. */
  readonly meters: number;
  readonly usage: UsageRevision;
  /** Bucket starts, half-open: usage of the meter between them becomes `buckets`. None of it is archived. */
  readonly from: number;
  readonly to: number;
  readonly buckets: readonly Bucket[];
  /** All open holds of the events whose holds change. */
  readonly holds: readonly { readonly seq: number; readonly holds: readonly Hold[] }[];
}
