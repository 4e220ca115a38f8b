import type { AggregateKind } from "../core/aggregation.ts";
import type { Decimal } from "../core/decimal.ts";
import type { Amendment, HoldReason, UsageEvent } from "../core/event.ts";
import type { MeterVersion } from "../core/meter.ts";
import type { Bucket } from "../core/usage.ts";
import type { MeteredValue } from "../core/verdict.ts";
import type {
  AttemptOutcome,
  Claim,
  DirtyWindow,
  HeldLane,
  HeldSelection,
  LaneTotals,
  NewOutboxRow,
  OutboxRow,
  OutboxState,
  OutboxTotals,
  Release,
} from "./outbox-row.ts";

export { FINAL_HOLDS, sameBasis } from "./outbox-row.ts";
export type {
  AttemptOutcome,
  Claim,
  DirtyWindow,
  HeldLane,
  HeldSelection,
  LaneTotals,
  NewOutboxRow,
  OutboxRow,
  OutboxState,
  OutboxTotals,
  Release,
} from "./outbox-row.ts";
export type { CustomerAnswer, MeterAnswer, ReportAnswer, UsageReporter } from "./usage-reporter.ts";

export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
}

/** The host's logger fits (pino, winston, console wrappers): facts first, sentence second. */
export interface Logger {
  debug(facts: object, sentence: string): void;
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}

// --- events in ---

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

/** `stale`: the event got another amendment since it was read, so what was computed of it may be wrong. Nothing changed. */
export type AmendStatus = "done" | "stale" | "no_event";

export interface StoredEvent {
  /** Arrival number, unique and increasing within a store. */
  readonly seq: number;
  readonly event: UsageEvent;
  /** Later facts (assignment of a company, an abort), oldest first. They never change `event`. */
  readonly amendments: readonly StoredAmendment[];
}

export interface StoredAmendment extends Amendment {
  readonly at: number;
  readonly author: string;
}

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
  /** Only events without open holds. */
  readonly unheld?: boolean;
  readonly limit: number;
}

// --- usage out ---

export interface UsageQuery extends TimeRange {
  readonly meter?: string;
  readonly company?: string;
}

/** What computed usage rests on. Usage of equal `changes` differs only by the events that arrived after `lastSeq`. */
export interface UsageRevision {
  /** Greatest arrival number that was given out; 0 = none. */
  readonly lastSeq: number;
  /** Another text after every amendment and every purge. */
  readonly changes: string;
}

// --- the store ---

/** What the company → customer table knows. */
export interface CustomerMapping {
  readonly company: string;
  readonly state: "mapped" | "missing" | "ambiguous" | "deleted";
  readonly customers: readonly string[];
  readonly checkedAt: number;
  /** How often in a row the biller was asked and knew none; 0 for one that is mapped. */
  readonly misses: number;
}

export interface StoreCounts {
  readonly events: number;
  /** Events with at least one open hold. */
  readonly heldEvents: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly outbox: Readonly<Record<OutboxState, number>>;
  readonly lastEventAt: number | null;
}

/**
 * Everything meterbook remembers. Speaks in batches; never changes an event in place.
 * Every adapter passes the suite in testing/store-suite. All methods are atomic: wholly done or not at all.
 */
export interface Store {
  /** Random, made once with the store and kept in it: part of every identifier. */
  readonly id: string;
  /** Width of usage buckets, milliseconds; fixed when the store is made. */
  readonly bucketMs: number;

  /**
   * ONE transaction: identity, event, buckets, holds, dirty windows. The answer has one status per entry, in order.
   * `meters` is the revision of the catalog that the verdicts were made with, null when it was not made from this store's
   * versions. METER_METERS_CHANGED and nothing stored when versions were added since.
   */
  ingest(entries: readonly IngestEntry[], recordedAt: number, meters?: number | null): Promise<readonly IngestStatus[]>;
  /**
   * Adds a later fact to a stored event and replaces its open holds by the new verdicts. `seen` is how many amendments
   * the event had when these verdicts were made. A fact that is there already changes nothing and is `done`.
   * `meters` as for ingest.
   */
  amend(
    amendment: StoredAmendment,
    counts: readonly Count[],
    holds: readonly Hold[],
    seen: number,
    meters?: number | null,
  ): Promise<AmendStatus>;

  findEvents(id: string): Promise<readonly StoredEvent[]>;
  events(query: EventQuery): Promise<readonly StoredEvent[]>;
  eventsInSpan(query: SpanQuery): Promise<readonly StoredEvent[]>;
  held(query: EventQuery): Promise<readonly HeldRow[]>;

  /** Buckets that touch the range, archived usage of purged events included. */
  buckets(query: UsageQuery): Promise<readonly Bucket[]>;
  /**
   * Replaces all buckets that are not archived by these, and marks changed windows dirty. For `rebuild`. False and
   * nothing changed when the revision is not the given one any more: usage arrived while these were computed.
   */
  replaceBuckets(buckets: readonly Bucket[], revision: UsageRevision): Promise<boolean>;
  /** Changes with every event or amendment that is stored or purged: what was computed before is then out of date. */
  usageRevision(): Promise<UsageRevision>;
  /** Buckets kept from purged events that touch the range: the part of usage that can no longer be recomputed. */
  archivedBuckets(query?: UsageQuery): Promise<readonly Bucket[]>;
  /** Meters that have buckets, archived ones included. */
  bucketMeters(): Promise<readonly string[]>;
  /**
   * Deletes exactly the events with these arrival numbers and adds these buckets (what was counted for them) to the
   * archive; answers how many. 0 and nothing changed when one of them is gone already, or when they do not have `seen`
   * amendments in all: the archive would then be wrong.
   */
  purge(seqs: readonly number[], archive: readonly Bucket[], seen: number): Promise<number>;

  /** In the order in which they were added; their number is the revision of the meters. None is ever changed or removed. */
  meterVersions(): Promise<readonly MeterVersion[]>;
  /**
   * False and nothing added when the revision is not the given one any more. Versions that count from an instant on
   * begin after every event that is stored by then, so that what was counted once is never judged anew. An event that was
   * stamped more than limits.futureMs ahead does not put them off.
   */
  addMeterVersions(versions: readonly MeterVersion[], revision: number): Promise<boolean>;

  /** Windows with unreported usage that end at or before `before`, oldest first. */
  dirtyWindows(query: { windowMs: number; before: number; limit: number }): Promise<readonly DirtyWindow[]>;
  /**
   * Inserts rows and clears the marks of their windows, each only if the window is still as `basis` saw it
   * (same total, same enqueued, same next sequence, same running totals); answers how many were inserted.
   * A basis with a null row only clears its mark; what was not enqueued of it is remembered as closed without a report.
   */
  enqueue(
    rows: readonly { readonly basis: DirtyWindow; readonly row: NewOutboxRow | null }[],
    at: number,
  ): Promise<number>;
  /** Usage that was closed without a report, per meter. */
  skippedTotals(): Promise<readonly { readonly meter: string; readonly raw: Decimal }[]>;
  outbox(query: {
    state?: OutboxState;
    meter?: string;
    company?: string;
    reportAs?: string;
    /** Only held rows with a final reason, or only held rows without. */
    final?: boolean;
    windowFrom?: number;
    windowTo?: number;
    limit: number;
  }): Promise<readonly OutboxRow[]>;
  outboxTotals(): Promise<readonly OutboxTotals[]>;
  /** Every (meter, company) that has rows or running totals. */
  laneTotals(): Promise<readonly LaneTotals[]>;
  /**
   * Due pending rows (and sending rows whose lease ran out), at most one per (customer, meter), oldest window first.
   * What lies further ahead than its own limit was written under a wrong clock: such a row is due, such a lease over.
   */
  claim(query: { now: number; leaseMs: number; holder: string; limit: number }): Promise<readonly Claim[]>;
  /** Records that the call is about to be made: first_attempt_at and the attempt number. False = lease lost. */
  beginAttempt(rowId: number, token: string, now: number): Promise<boolean>;
  /** False = lease lost, nothing changed. */
  settle(rowId: number, token: string, outcome: AttemptOutcome, now: number): Promise<boolean>;
  /** Gives held rows their customer and identifier and makes them pending; answers how many were still held. */
  release(releases: readonly Release[]): Promise<number>;
  /** Held rows that may still be sent, by company and the biller's meter. */
  heldLanes(): Promise<readonly HeldLane[]>;
  /** Changes the reason of held rows that have no final one. */
  hold(selection: HeldSelection, reason: string): Promise<void>;

  customerMappings(companies?: readonly string[]): Promise<readonly CustomerMapping[]>;
  putCustomerMappings(mappings: readonly CustomerMapping[]): Promise<void>;

  counts(): Promise<StoreCounts>;
  /** Open holds per meter: number, and the sum of known values. */
  holdTotals(): Promise<readonly { readonly meter: string; readonly holds: number; readonly value: Decimal }[]>;
  /** Usage in windows that are marked dirty, per meter: total minus what is already enqueued. */
  dueTotals(windowMs: number): Promise<readonly { readonly meter: string; readonly value: Decimal }[]>;

  /** Small durable facts: cursors, what was told once. */
  getNote(name: string): Promise<string | null>;
  putNote(name: string, value: string): Promise<void>;
  /**
   * Takes or extends a named lease; false while another holder has it. 0 ms gives it back. One that ends later than
   * limits.reporterLeaseMs from now was taken under a wrong clock, and is over.
   */
  lease(name: string, holder: string, now: number, leaseMs: number): Promise<boolean>;
  /** All that is stored at one instant, to be read while others write. Close it: an open one keeps the file's log growing. */
  snapshot(): Promise<StoreSnapshot>;
  close(): Promise<void>;
}

/** What can be read of a store, at once or as a snapshot. */
export type StoreView = Pick<
  Store,
  | "bucketMs"
  | "findEvents"
  | "events"
  | "eventsInSpan"
  | "held"
  | "buckets"
  | "usageRevision"
  | "archivedBuckets"
  | "bucketMeters"
  | "meterVersions"
  | "dirtyWindows"
  | "outbox"
  | "outboxTotals"
  | "skippedTotals"
  | "laneTotals"
  | "customerMappings"
  | "counts"
  | "holdTotals"
  | "dueTotals"
  | "getNote"
>;

/** A store as it was at one instant. */
export interface StoreSnapshot extends StoreView {
  close(): Promise<void>;
}
