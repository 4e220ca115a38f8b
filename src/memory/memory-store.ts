import { ownMembers } from "../core/own-member.ts";
import type { ForgetQuery, Forgotten, Store, StoreView } from "../engine/ports.ts";
import { MemoryBooks } from "./memory-books.ts";
import { MemoryEvents } from "./memory-events.ts";
import { searchEvents } from "./memory-search.ts";
import { MemoryFacts } from "./memory-facts.ts";
import { MemoryOutbox } from "./memory-outbox.ts";
import { MemoryRegister } from "./memory-register.ts";
import { MemoryUsage } from "./memory-usage.ts";

/** The Store in plain maps and lists: nothing survives the process. The simplest right answer, against which others are tested. */
export function memoryStore({ bucketMs, id = "memory" }: { readonly bucketMs: number; readonly id?: string }): Store {
  const events = new MemoryEvents();
  const usage = new MemoryUsage(bucketMs);
  const outbox = new MemoryOutbox(usage);
  const facts = new MemoryFacts();
  const books = new MemoryBooks();
  const register = new MemoryRegister();
  const parts: Parts = { events, usage, outbox, facts, books, register };
  return {
    id,
    ...storeView(parts, bucketMs),
    ingest: (entries, recordedAt, meters, keep = "each") =>
      take(() => {
        facts.assertMeters(meters);
        const { statuses, isKept } = events.ingest(entries, recordedAt, usage, keep);
        if (isKept) facts.noteEvents(entries, recordedAt);
        return statuses;
      }),
    amend: (amendment, counts, holds, seen, meters) =>
      take(() => {
        facts.assertMeters(meters);
        return events.amend(ownMembers(amendment), counts, holds, seen, usage);
      }),
    correct: (correction, now, meters) =>
      take(() => {
        facts.assertMeters(meters);
        const status = events.correct(correction, now, usage);
        const { replacement } = correction;
        if (status === "done" && replacement !== null) facts.noteEvents([replacement], now);
        return status;
      }),
    replay: (replay) =>
      take(() => {
        const { length } = facts.versions;
        if (length !== replay.meters || !events.isAt(replay.usage, length)) return false;
        usage.replaceSpan(replay);
        events.rejudge(replay);
        facts.replayVersions(replay.versions);
        return true;
      }),
    replaceBuckets: (buckets, revision) =>
      take(() => {
        if (!events.isAt(revision, facts.versions.length)) return false;
        usage.replace(buckets);
        return true;
      }),
    purge: (seqs, archive, seen, meters) =>
      take(() => {
        facts.assertMeters(meters);
        return events.purge(seqs, archive, seen, usage);
      }),
    addMeterVersions: (versions, revision) => take(() => facts.addVersions(versions, revision)),
    enqueue: (rows, at) => take(() => outbox.enqueue(rows, at)),
    claim: (query) => take(() => outbox.claim(query)),
    beginAttempt: (rowId, token, now, resend) => take(() => outbox.beginAttempt(rowId, token, now, resend === true)),
    settle: (rowId, token, outcome, now) => take(() => outbox.settle(rowId, token, ownMembers(outcome), now)),
    release: (releases, now) => take(() => outbox.release(releases, now)),
    heldLanes: () => take(() => outbox.heldLanes()),
    hold: (selection, reason, now) => take(() => outbox.hold(selection, reason, now)),
    settleRows: (rowIds, now) => take(() => outbox.settleRows(rowIds, now)),
    changeRow: (change, now) => take(() => outbox.change(ownMembers(change), now)),
    addRow: (row, author, cause, now) => take(() => outbox.add(row, author, cause, now)),
    reportedLanes: (range) => take(() => outbox.reportedLanes(range)),
    putDrifts: (lane, from, to, drifts) => take(() => books.putDrifts(lane, from, to, drifts)),
    putReconciliation: (reconciliation) => take(() => books.putReconciliation(reconciliation)),
    putPeriods: (periods) => take(() => books.putPeriods(periods)),
    takeOnce: (name, now) => take(() => books.takeOnce(name, now)),
    forget: (query) => take(() => forget(parts, query)),
    putCustomerMappings: (mappings) => take(() => facts.putMappings(mappings)),
    putNote: (name, value) => take(() => void facts.notes.set(name, value)),
    lease: (name, holder, now, leaseMs) => take(() => facts.lease(name, holder, now, leaseMs)),
    changeEntries: (changes, now) => take(() => register.change(changes, now)),
    snapshot: () =>
      take(() => {
        const usageThen = usage.copy();
        const copies = { events: events.copy(), usage: usageThen, outbox: outbox.copy(usageThen) };
        const then = { ...copies, facts: facts.copy(), books: books.copy(), register: register.copy() };
        return { ...storeView(then, bucketMs), close: async () => undefined };
      }),
    close: async () => undefined,
  };
}

function forget({ events, outbox, books, register }: Parts, query: ForgetQuery): Forgotten {
  if (query.kind === "once") return books.forgetNames(query);
  if (query.kind === "session") return register.forgetSessions(query);
  return query.kind === "conflict" ? events.forgetRefused(query) : outbox.forgetHistory(query);
}

interface Parts {
  readonly events: MemoryEvents;
  readonly usage: MemoryUsage;
  readonly outbox: MemoryOutbox;
  readonly facts: MemoryFacts;
  readonly books: MemoryBooks;
  readonly register: MemoryRegister;
}

function storeView({ events, usage, outbox, facts, books, register }: Parts, bucketMs: number): StoreView {
  return {
    bucketMs,
    findEvents: (id) => take(() => events.find(id)),
    events: (query) => take(() => events.page(ownMembers(query))),
    eventsInSpan: (query) => take(() => events.span(ownMembers(query))),
    searchEvents: (search) => take(() => searchEvents(events.all(), ownMembers(search))),
    held: (query) => take(() => events.heldPage(ownMembers(query))),
    buckets: (query) => take(() => usage.page(ownMembers(query))),
    eachBucket: (query, visit) =>
      take(() => {
        for (const bucket of usage.page(ownMembers(query))) visit(bucket);
      }),
    usageRevision: () => take(() => events.revision(facts.versions.length)),
    archivedBuckets: (query = {}) => take(() => usage.page(ownMembers(query), usage.archive)),
    bucketMeters: () => take(() => usage.meters()),
    purgedUntil: () => take(() => events.purgedUntil),
    meterVersions: () => take(() => facts.versions),
    dirtyWindows: (query) => take(() => outbox.dirtyWindows(ownMembers(query))),
    outbox: (query) => take(() => outbox.page(ownMembers(query))),
    skippedTotals: () => take(() => outbox.skippedTotals()),
    outboxTotals: () => take(() => outbox.totals()),
    laneTotals: () => take(() => outbox.laneTotals()),
    rowHistory: (rowId) => take(() => outbox.history(rowId)),
    drifts: () => take(() => books.drifts()),
    reconciliations: () => take(() => books.reconciliations()),
    periods: (lane) => take(() => books.periods(lane)),
    customerMappings: (companies) => take(() => facts.mappings(companies)),
    counts: () => take(() => ({ ...events.counts(), outbox: outbox.states() })),
    holdTotals: () => take(() => events.holdTotals()),
    dueTotals: (windowMs) => take(() => outbox.dueTotals(windowMs)),
    getNote: (name) => take(() => facts.notes.get(name) ?? null),
    getEntry: (kind, id) => take(() => register.get(kind, id)),
    findEntry: (kind, name) => take(() => register.find(kind, name)),
    listEntries: (query) => take(() => register.page(ownMembers(query))),
    countEntries: (kind) => take(() => register.count(kind)),
    entryHistory: (kind, id) => take(() => register.history(kind, id)),
    registerRevision: (kind) => take(() => register.revision(kind)),
  };
}

/** A port's answers are promises; what this store throws is a rejection. */
async function take<Result>(work: () => Result): Promise<Result> {
  return work();
}
