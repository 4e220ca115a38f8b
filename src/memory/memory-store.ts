import type { Store, StoreView } from "../engine/ports.ts";
import { MemoryEvents } from "./memory-events.ts";
import { MemoryFacts } from "./memory-facts.ts";
import { MemoryOutbox } from "./memory-outbox.ts";
import { MemoryUsage } from "./memory-usage.ts";

/** The Store in plain maps and lists: nothing survives the process. The simplest right answer, against which others are tested. */
export function memoryStore({ bucketMs, id = "memory" }: { readonly bucketMs: number; readonly id?: string }): Store {
  const events = new MemoryEvents();
  const usage = new MemoryUsage(bucketMs);
  const outbox = new MemoryOutbox(usage);
  const facts = new MemoryFacts();
  const parts: Parts = { events, usage, outbox, facts };
  return {
    id,
    ...storeView(parts, bucketMs),
    ingest: (entries, recordedAt, meters) =>
      take(() => {
        facts.assertMeters(meters);
        const statuses = events.ingest(entries, usage);
        facts.noteEvents(entries, recordedAt);
        return statuses;
      }),
    amend: (amendment, counts, holds, seen, meters) =>
      take(() => {
        facts.assertMeters(meters);
        return events.amend(amendment, counts, holds, seen, usage);
      }),
    replaceBuckets: (buckets, revision) =>
      take(() => {
        if (!events.isAt(revision)) return false;
        usage.replace(buckets);
        return true;
      }),
    purge: (seqs, archive, seen) => take(() => events.purge(seqs, archive, seen, usage)),
    addMeterVersions: (versions, revision) => take(() => facts.addVersions(versions, revision)),
    enqueue: (rows, at) => take(() => outbox.enqueue(rows, at)),
    claim: (query) => take(() => outbox.claim(query)),
    beginAttempt: (rowId, token, now) => take(() => outbox.beginAttempt(rowId, token, now)),
    settle: (rowId, token, outcome, now) => take(() => outbox.settle(rowId, token, outcome, now)),
    release: (releases) => take(() => outbox.release(releases)),
    heldLanes: () => take(() => outbox.heldLanes()),
    hold: (selection, reason) => take(() => outbox.hold(selection, reason)),
    putCustomerMappings: (mappings) => take(() => facts.putMappings(mappings)),
    putNote: (name, value) => take(() => void facts.notes.set(name, value)),
    lease: (name, holder, now, leaseMs) => take(() => facts.lease(name, holder, now, leaseMs)),
    snapshot: () =>
      take(() => {
        const usageThen = usage.copy();
        const then = { events: events.copy(), usage: usageThen, outbox: outbox.copy(usageThen), facts: facts.copy() };
        return { ...storeView(then, bucketMs), close: async () => undefined };
      }),
    close: async () => undefined,
  };
}

interface Parts {
  readonly events: MemoryEvents;
  readonly usage: MemoryUsage;
  readonly outbox: MemoryOutbox;
  readonly facts: MemoryFacts;
}

function storeView({ events, usage, outbox, facts }: Parts, bucketMs: number): StoreView {
  return {
    bucketMs,
    findEvents: (id) => take(() => events.find(id)),
    events: (query) => take(() => events.page(query)),
    eventsInSpan: (query) => take(() => events.span(query)),
    held: (query) => take(() => events.heldPage(query)),
    buckets: (query) => take(() => usage.page(query)),
    usageRevision: () => take(() => events.revision()),
    archivedBuckets: (query = {}) => take(() => usage.page(query, usage.archive)),
    bucketMeters: () => take(() => usage.meters()),
    meterVersions: () => take(() => facts.versions),
    dirtyWindows: ({ windowMs, before, limit }) => take(() => outbox.dirtyWindows(windowMs, before).slice(0, limit)),
    outbox: (query) => take(() => outbox.page(query)),
    skippedTotals: () => take(() => outbox.skippedTotals()),
    outboxTotals: () => take(() => outbox.totals()),
    laneTotals: () => take(() => outbox.laneTotals()),
    customerMappings: (companies) => take(() => facts.mappings(companies)),
    counts: () => take(() => ({ ...events.counts(), outbox: outbox.states() })),
    holdTotals: () => take(() => events.holdTotals()),
    dueTotals: (windowMs) => take(() => outbox.dueTotals(windowMs)),
    getNote: (name) => take(() => facts.notes.get(name) ?? null),
  };
}

/** A port's answers are promises; what this store throws is a rejection. */
async function take<Result>(work: () => Result): Promise<Result> {
  return work();
}
