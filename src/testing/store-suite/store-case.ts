import type { AggregateKind } from "../../core/aggregation.ts";
import { fromInteger } from "../../core/decimal.ts";
import type { UsageEvent } from "../../core/event.ts";
import type { Count, DirtyWindow, Hold, IngestEntry, NewOutboxRow, Store } from "../../engine/ports.ts";

/** Bucket width of every store that the suite is given. */
export const SUITE_BUCKET_MS = 60_000;
/** An hour's start: the instant around which the cases happen. */
export const HOUR = 1_800_000_000_000 - (1_800_000_000_000 % 3_600_000);
export const HOUR_MS = 3_600_000;

/** What a case works with. */
export interface CaseTools {
  readonly store: Store;
  /** Closes the store and opens it again; the same store where nothing is kept. */
  readonly reopen: () => Promise<Store>;
  /** Fails the case unless both are deeply equal. */
  readonly same: (actual: unknown, expected: unknown) => void;
}

/** One test of the suite. */
export interface StoreCase {
  readonly title: string;
  readonly run: (tools: CaseTools) => Promise<void>;
}

/** An event of one company, with the given parts. */
export function anEvent(parts: Partial<UsageEvent> & { readonly id: string }): UsageEvent {
  return { source: "app", type: "http.request", time: HOUR, company: "acme", user: null, ...parts };
}

/** One meter's share of an event, in the bucket of the event's time. */
export function aCount(event: UsageEvent, parts: Partial<Count> = {}): Count {
  return {
    meter: "tokens",
    aggregate: "sum",
    company: event.company ?? "nobody",
    group: "{}",
    bucketStart: Math.floor(event.time / SUITE_BUCKET_MS) * SUITE_BUCKET_MS,
    value: fromInteger(1),
    ...parts,
  };
}

/** An event that one meter counts with this whole number. */
export function counted(parts: Partial<UsageEvent> & { readonly id: string }, tokens: number): IngestEntry {
  const event = anEvent(parts);
  return { event, counts: [aCount(event, { value: fromInteger(tokens) })], holds: [] };
}

/** An event that is counted by nothing. */
export function uncounted(parts: Partial<UsageEvent> & { readonly id: string }): IngestEntry {
  return { event: anEvent(parts), counts: [], holds: [] };
}

/** An event of nobody that one meter holds. */
export function heldEntry(id: string, hold: Partial<Hold> = {}): IngestEntry {
  const event = anEvent({ id, company: null });
  const holds: Hold[] = [{ meter: "tokens", reason: "no_company", detail: "nobody", value: fromInteger(7), ...hold }];
  return { event, counts: [], holds };
}

/** Counts of the kinds that a bucket can be. */
export function countsOfKind(event: UsageEvent, aggregate: AggregateKind, value: number | string): Count {
  return aCount(event, {
    meter: `m_${aggregate}`,
    aggregate,
    value: typeof value === "string" ? value : fromInteger(value),
  });
}

/** The row that reports all that a window has and was not enqueued. */
export function reportOf(basis: DirtyWindow, parts: Partial<NewOutboxRow> = {}): NewOutboxRow {
  const { meter, company, windowStart, windowEnd, nextSequence } = basis;
  const raw = basis.total - basis.enqueuedRaw;
  const identity = { customer: `cus_${company}`, identifier: `mb_${meter}_${company}_${windowStart}_${nextSequence}` };
  const times = { windowStart, windowEnd, sequence: nextSequence, timestamp: windowStart };
  const value = parts.value ?? raw;
  return {
    kind: "usage",
    cancels: null,
    meter,
    reportAs: meter,
    company,
    ...identity,
    ...times,
    raw,
    value,
    mode: "delta",
    reported: value,
    late: null,
    state: "pending",
    reason: null,
    ...parts,
  };
}

/** Windows of an hour that are marked, however late. */
export function hourWindows(store: Store): Promise<readonly DirtyWindow[]> {
  return store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR + 1_000 * HOUR_MS, limit: 1_000 });
}

/** Enqueues every marked window, one after another, and answers how many rows were made. */
export async function enqueueAll(store: Store, parts: Partial<NewOutboxRow> = {}, at: number = HOUR): Promise<number> {
  let made = 0;
  for (;;) {
    const [basis] = await hourWindows(store);
    if (basis === undefined) return made;
    made += await store.enqueue([{ basis, row: reportOf(basis, parts) }], at);
  }
}
