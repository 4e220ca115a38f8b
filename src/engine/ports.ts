import type { Decimal } from "../core/decimal.ts";
import type { MeterVersion } from "../core/meter.ts";
import type { Bucket } from "../core/usage.ts";
import type {
  AttemptOutcome,
  BilledPeriod,
  BillerLane,
  Claim,
  DirtyWindow,
  Drift,
  HeldLane,
  HeldSelection,
  LaneTotals,
  NewOutboxRow,
  OutboxRow,
  OutboxState,
  OutboxTotals,
  Reconciliation,
  Release,
  RowChange,
  RowHistory,
} from "./outbox-row.ts";
import type {
  AmendStatus,
  Correction,
  CorrectionStatus,
  Count,
  EventQuery,
  EventSearch,
  EventSearchPage,
  HeldRow,
  Hold,
  IngestEntry,
  IngestKeep,
  IngestStatus,
  Replay,
  SpanQuery,
  StoredAmendment,
  StoredEvent,
  UsageQuery,
  UsageRevision,
} from "./stored-event.ts";

import type { ForgetQuery, Forgotten } from "./forget-query.ts";
import type { Register } from "./register.ts";
import type { CustomerMapping, StoreCounts } from "./store-facts.ts";

export {
  canCancel,
  canChange,
  FINAL_HOLDS,
  isDoneBefore,
  isOperators,
  itemOf,
  letsOthersPass,
  NOTHING_TO_SEND,
  OUTBOX_STATES,
  sameBasis,
  SHADOW,
} from "./outbox-row.ts";
export type {
  AttemptOutcome,
  BilledPeriod,
  BillerLane,
  Claim,
  DirtyWindow,
  Drift,
  HeldLane,
  HeldSelection,
  LaneTotals,
  NewOutboxRow,
  OutboxRow,
  OutboxState,
  OutboxTotals,
  Reconciliation,
  Release,
  RowChange,
  RowHistory,
  RowKind,
} from "./outbox-row.ts";
export type {
  AmendStatus,
  BucketChange,
  Correction,
  CorrectionStatus,
  Count,
  EventPlace,
  EventQuery,
  EventSearch,
  EventSearchPage,
  HeldRow,
  Hold,
  IngestEntry,
  IngestKeep,
  IngestStatus,
  Replay,
  SpanQuery,
  StoredAmendment,
  StoredEvent,
  StoredFact,
  StoredVoiding,
  TimeRange,
  UsageQuery,
  UsageRevision,
} from "./stored-event.ts";
export { SESSION_FINISHER } from "./forget-query.ts";
export type { ForgetKind, ForgetQuery, Forgotten } from "./forget-query.ts";
export type { CustomerMapping, StoreCounts } from "./store-facts.ts";
export type {
  EntryKind,
  EntryQuery,
  EntryRevision,
  Register,
  RegisterChange,
  RegisterEntry,
  RegisterOutcome,
} from "./register.ts";
export type { RecordSink, SinkAnswer } from "./record-sink.ts";
export type { BillerNotice, CustomerNotice, RejectedSample, RejectionNotice } from "./biller-notice.ts";
export type {
  CountedQuery,
  CountedSpan,
  CustomerAnswer,
  CustomerPeriods,
  MeterAnswer,
  ReportAnswer,
  UsageReporter,
} from "./usage-reporter.ts";

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

// --- the store ---

/** Which window of usage it is, among those of one width. */
export type WindowPlace = Pick<DirtyWindow, "meter" | "company" | "windowStart">;

/**
 * Everything meterbook remembers. Speaks in batches; never changes an event in place.
 * Every adapter passes the suite in testing/store-suite. All methods are atomic: wholly done or not at all.
 */
export interface Store extends Register {
  /** Random, made once with the store and kept in it: part of every identifier. */
  readonly id: string;
  /** Width of usage buckets, milliseconds; fixed when the store is made. */
  readonly bucketMs: number;

  /**
   * ONE transaction: identity, event, buckets, holds, dirty windows. The answer has one status per entry, in order.
   * `meters` is the revision of the catalog that the verdicts were made with, null when it was not made from this store's
   * versions. METER_METERS_CHANGED and nothing stored when versions were added since. `keep` is `each` where it is left out;
   * otherwise the answer says what each entry is or would be, and with nothing kept no count or list shows that it came.
   */
  ingest(
    entries: readonly IngestEntry[],
    recordedAt: number,
    meters?: number | null,
    keep?: IngestKeep,
  ): Promise<readonly IngestStatus[]>;
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

  /**
   * Voids a stored event: its open holds close, its buckets become what the correction says, and their windows are marked.
   * With a replacement, that event is stored and counted with it. `meters` as for ingest. Nothing changed unless `done`.
   */
  correct(correction: Correction, now: number, meters?: number | null): Promise<CorrectionStatus>;
  /** Judges a meter's past anew; changed windows are marked. False and nothing changed when meters or usage moved since. */
  replay(replay: Replay): Promise<boolean>;

  findEvents(id: string): Promise<readonly StoredEvent[]>;
  events(query: EventQuery): Promise<readonly StoredEvent[]>;
  eventsInSpan(query: SpanQuery): Promise<readonly StoredEvent[]>;
  searchEvents(search: EventSearch): Promise<EventSearchPage>;
  held(query: EventQuery): Promise<readonly HeldRow[]>;

  /** Buckets that touch the range, archived usage of purged events included; with `grain`, UTC days. */
  buckets(query: UsageQuery): Promise<readonly Bucket[]>;
  /**
   * Calls `visit` with each bucket of one meter that `buckets` would give, in any order: for so many that memory should
   * not hold them all. `visit` must not throw, and must not ask the store anything.
   */
  eachBucket(query: UsageQuery & { readonly meter: string }, visit: (bucket: Bucket) => void): Promise<void>;
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
   * amendments in all: the archive would then be wrong. `meters` as for ingest.
   */
  purge(seqs: readonly number[], archive: readonly Bucket[], seen: number, meters?: number | null): Promise<number>;

  /** Event time before which events may be deleted, milliseconds UTC; null = none was. */
  purgedUntil(): Promise<number | null>;

  /** In the order in which they were added; their number is the revision of the meters. None is ever changed or removed. */
  meterVersions(): Promise<readonly MeterVersion[]>;
  /**
   * False and nothing added when the revision is not the given one any more. Versions that count from an instant on
   * begin after every event that is stored by then, so that what was counted once is never judged anew. An event that was
   * stamped more than limits.futureMs ahead does not put them off.
   */
  addMeterVersions(versions: readonly MeterVersion[], revision: number): Promise<boolean>;

  /**
   * Windows with unreported usage that begin at or after `from` and end at or before `before`, oldest first, and those of
   * one begin in an order that stays. `after`: only what stands behind that window, which may be closed meanwhile.
   */
  dirtyWindows(query: {
    windowMs: number;
    from?: number;
    before: number;
    after?: WindowPlace;
    company?: string;
    limit: number;
  }): Promise<readonly DirtyWindow[]>;
  /**
   * Inserts rows and clears the marks of their windows, each only if the window is still as `basis` saw it
   * (same total, same enqueued, same next sequence, same running totals); answers how many were inserted.
   * A basis with a null row only clears its mark; what was not enqueued of it is remembered as closed without a report.
   * A window closed as several rows has a basis for each, that goes on from the row before; it keeps its mark until its
   * rows cover its total.
   */
  enqueue(
    rows: readonly { readonly basis: DirtyWindow; readonly row: NewOutboxRow | null }[],
    at: number,
  ): Promise<number>;
  /** Usage that was closed without a report, per meter. */
  skippedTotals(): Promise<readonly { readonly meter: string; readonly raw: Decimal }[]>;
  outbox(query: {
    rowId?: number;
    identifier?: string;
    state?: OutboxState;
    customer?: string;
    /** Stated event time, half-open. */
    timestampFrom?: number;
    timestampTo?: number;
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
   * Due pending rows (and sending rows whose lease ran out), at most one per (customer, meter), oldest window first; one
   * that waits to be read back (letsOthersPass) does not keep its lane.
   * What lies further ahead than its own limit was written under a wrong clock: such a row is due, such a lease over.
   */
  claim(query: { now: number; leaseMs: number; holder: string; limit: number }): Promise<readonly Claim[]>;
  /**
   * Records that the call is about to be made: first and last attempt and its number; readings of before count no more.
   * `resend`: the biller's books were read without it, so `resentAt` is now and the epoch is the claim's plus one.
   * False = lease lost.
   */
  beginAttempt(rowId: number, token: string, now: number, resend?: boolean): Promise<boolean>;
  /** False = lease lost, nothing changed. `stopped` takes a begun attempt back: the row's times are those of before it. */
  settle(rowId: number, token: string, outcome: AttemptOutcome, now: number): Promise<boolean>;
  /** Gives held rows their customer and identifier and makes them pending; answers how many were still held. */
  release(releases: readonly Release[], now: number): Promise<number>;
  /** Held rows that may still be sent, by company and the biller's meter. */
  heldLanes(): Promise<readonly HeldLane[]>;
  /**
   * Changes the reason of held rows that have no final one. A lane's hold leaves what waits for a subscription
   * (NO_SUBSCRIPTION) as it is: such rows were cut where one began, and by their reason it is known that they must not be
   * moved behind it. One that is selected by itself, or for its age, changes all the same.
   */
  hold(selection: HeldSelection, reason: string, now: number): Promise<void>;

  /** Makes these accepted rows settled; answers how many were accepted still. */
  settleRows(rowIds: readonly number[], now: number): Promise<number>;
  /**
   * One change outside delivery, with its line of history; a pending row is due at once. False and nothing changed when
   * the row is not in `from`, or may not change so (canChange).
   */
  changeRow(change: RowChange, now: number): Promise<boolean>;
  /**
   * Adds a `cancel` or `adjust` row as the next of its window and answers it; null when the row that it cancels is not
   * accepted or settled, or is cancelled already. A cancelled report's usage is due again: its window is marked dirty.
   */
  addRow(row: Omit<NewOutboxRow, "sequence">, author: string, cause: string, now: number): Promise<OutboxRow | null>;
  rowHistory(rowId: number): Promise<readonly RowHistory[]>;
  /** Lanes with rows that are at the biller (accepted or settled, but not NOTHING_TO_SEND or SHADOW) and stated in [from, to). */
  reportedLanes(range: { readonly from: number; readonly to: number }): Promise<readonly BillerLane[]>;
  drifts(): Promise<readonly Drift[]>;
  /** Replaces what was known of a lane between `from` and `to`. */
  putDrifts(lane: BillerLane, from: number, to: number, drifts: readonly Drift[]): Promise<void>;
  reconciliations(): Promise<readonly Reconciliation[]>;
  putReconciliation(reconciliation: Reconciliation): Promise<void>;
  /** Known billing periods, oldest first; they stay when the biller only tells later ones. */
  periods(lane?: BillerLane): Promise<readonly BilledPeriod[]>;
  /** Adds periods; one with the same lane, item and start replaces the known one. */
  putPeriods(periods: readonly BilledPeriod[]): Promise<void>;
  /** True the first time that a name is given, false until it is forgotten: what must be done once. */
  takeOnce(name: string, now: number): Promise<boolean>;
  /**
   * Deletes what is old of one kind, a batch in one transaction. Attempts and changes go with a row that is accepted or
   * settled (isDoneBefore), never those of another row, and never a change by an operator; the row itself stays.
   */
  forget(query: ForgetQuery): Promise<Forgotten>;

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
  | "searchEvents"
  | "held"
  | "buckets"
  | "eachBucket"
  | "usageRevision"
  | "archivedBuckets"
  | "bucketMeters"
  | "purgedUntil"
  | "meterVersions"
  | "dirtyWindows"
  | "outbox"
  | "outboxTotals"
  | "skippedTotals"
  | "laneTotals"
  | "rowHistory"
  | "drifts"
  | "reconciliations"
  | "periods"
  | "customerMappings"
  | "counts"
  | "holdTotals"
  | "dueTotals"
  | "getNote"
  | keyof Omit<Register, "changeEntries">
>;

/** A store as it was at one instant. */
export interface StoreSnapshot extends StoreView {
  close(): Promise<void>;
}
