import { setTimeout as pause } from "node:timers/promises";

import { isMeterbookError, MeterbookError, type ErrorCode } from "../core/errors.ts";
import { ownMembers, owns } from "../core/own-member.ts";
import type { Store, StoreView } from "../engine/ports.ts";
import { addRow } from "./added-rows.ts";
import * as books from "./biller-books.ts";
import { readBucketMeters, readBuckets } from "./bucket-query.ts";
import { replaceUsage, usageRevision } from "./bucket-rows.ts";
import { Connection } from "./connection.ts";
import { correctEvent, replayMeter } from "./correction-rows.ts";
import { getMeta, putMeta, readCounts } from "./counters.ts";
import { networkFileSystem } from "./database-file.ts";
import { readDays, rollUp, visitUsage } from "./day-rows.ts";
import { loadDriver } from "./driver.ts";
import { findEvents, readEvents, readHeld, readHoldTotals, readSpan, wereAmended } from "./event-query.ts";
import { searchEvents } from "./event-search.ts";
import * as facts from "./facts.ts";
import { forget } from "./forgotten-rows.ts";
import { heldLanes, holdRows, releaseRows } from "./held-rows.ts";
import { amendEvent, ingestEntries, purgeEvents } from "./ingest-rows.ts";
import * as versions from "./meter-version-rows.ts";
import { readLaneTotals, readOutbox, readOutboxTotals, reportedLanes } from "./outbox-query.ts";
import * as outbox from "./outbox-rows.ts";
import { writeKept } from "./kept-ingest.ts";
import * as register from "./register-rows.ts";
import { changeRow, settleRows } from "./row-changes.ts";
import { readHistory } from "./row-history.ts";
import { dirtyWindows, dueTotals, enqueueRows, skippedTotals } from "./windows.ts";

export interface SqliteStoreOptions {
  /** The database file; it and its folder are made when missing. */
  readonly path: string;
  /** Widest usable usage bucket, milliseconds. A file made with narrower ones keeps them: see Store.bucketMs. */
  readonly bucketMs: number;
  /** Only reads; the file must exist and have this release's layout. */
  readonly readOnly?: boolean;
  /** Told once when the database may be on a network disk (METER_DB_ON_NETWORK_DISK); on one that surely is, opening is refused. */
  readonly onNotice?: (notice: { readonly code: ErrorCode; readonly text: string }) => void;
}

/** Tries while another process makes or recovers the same file, and the pause between them. */
const OPEN_TRIES = 100;
const OPEN_PAUSE_MS = 50;

/**
 * Opens the Store in an SQLite file. Several processes may have the same file open.
 * METER_DRIVER_UNSUPPORTED, METER_SQLITE_UNSAFE, METER_STORE_UNREADABLE, METER_STORE_VERSION or METER_STORE_BUCKETS when it cannot be.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const connection = new Connection(await loadDriver(), options.path, options.readOnly === true);
  await open(connection);
  try {
    const bucketMs = settleBuckets(connection, options);
    if (options.readOnly !== true) connection.write(() => rollUp(connection));
    const fileSystem = networkFileSystem(options.path);
    if (fileSystem !== null) {
      const text = `The database ${options.path} is on a network disk (${fileSystem}), where file locks are not reliable: use a local disk.`;
      options.onNotice?.({ code: "METER_DB_ON_NETWORK_DISK", text });
    }
    const id = connection.read(() => facts.readStoreId(connection));
    return sqliteStore(connection, id, bucketMs);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** The Store over an open connection. */
export function sqliteStore(connection: Connection, id: string, bucketMs: number): Store {
  const write = async <Result>(work: () => Result): Promise<Result> => connection.write(work);
  const read = async <Result>(work: () => Result): Promise<Result> => connection.read(work);
  const c = connection;
  return {
    id,
    ...storeView(c, bucketMs),
    // What is not kept is undone: it has a transaction of its own.
    ingest: async (entries, recordedAt, meters, keep) =>
      writeKept(c, keep, () => {
        versions.assertMeters(c, meters);
        versions.noteNewestEvent(c, entries, recordedAt);
        return ingestEntries(c, bucketMs, entries, recordedAt);
      }),
    amend: (amendment, counts, holds, seen, meters) =>
      write(() => {
        versions.assertMeters(c, meters);
        return amendEvent(c, ownMembers(amendment), counts, holds, seen);
      }),
    replaceBuckets: (buckets, revision) => write(() => replaceUsage(c, buckets, revision)),
    correct: (correction, now, meters) =>
      write(() => {
        versions.assertMeters(c, meters);
        if (correction.replacement !== null) versions.noteNewestEvent(c, [correction.replacement], now);
        return correctEvent(c, bucketMs, correction, now);
      }),
    replay: (replay) => write(() => replayMeter(c, replay)),
    purge: (seqs, archive, seen, meters) =>
      write(() => {
        versions.assertMeters(c, meters);
        return purgeEvents(c, seqs, archive, seen);
      }),
    addMeterVersions: (added, revision) => write(() => versions.addMeterVersions(c, added, revision)),
    enqueue: (rows, at) => write(() => enqueueRows(c, rows, at)),
    claim: (query) => write(() => outbox.claimRows(c, query)),
    beginAttempt: (rowId, token, now, resend) =>
      write(() => outbox.beginAttempt(c, rowId, token, now, resend === true)),
    settle: (rowId, token, outcome, now) => write(() => outbox.settleRow(c, rowId, token, ownMembers(outcome), now)),
    release: (releases, now) => write(() => releaseRows(c, releases, now)),
    heldLanes: () => read(() => heldLanes(c)),
    hold: (selection, reason, now) => write(() => holdRows(c, selection, reason, now)),
    settleRows: (rowIds, now) => write(() => settleRows(c, rowIds, now)),
    changeRow: (change, now) => write(() => changeRow(c, ownMembers(change), now)),
    addRow: (row, author, cause, now) => write(() => addRow(c, row, author, cause, now)),
    reportedLanes: (range) => read(() => reportedLanes(c, range)),
    putDrifts: (lane, from, to, drifts) => write(() => books.putDrifts(c, lane, from, to, drifts)),
    putReconciliation: (reconciliation) => write(() => books.putReconciliation(c, reconciliation)),
    putPeriods: (periods) => write(() => books.putPeriods(c, periods)),
    takeOnce: (name, now) => write(() => books.takeOnce(c, name, now)),
    forget: (query) => write(() => forget(c, query)),
    putCustomerMappings: (mappings) => write(() => facts.putCustomers(c, mappings)),
    putNote: (name, value) => write(() => facts.writeNote(c, name, value)),
    lease: (name, holder, now, leaseMs) => write(() => facts.takeLease(c, name, holder, now, leaseMs)),
    // A refused change undoes those before it: it has a transaction of its own.
    changeEntries: async (changes, now) => register.changeEntries(c, changes, now),
    snapshot: async () => {
      const pinned = c.snapshot();
      return { ...storeView(pinned, bucketMs), close: async () => pinned.close() };
    },
    close: async () => c.close(),
  };
}

/** What can be read over an open connection. */
function storeView(c: Connection, bucketMs: number): StoreView {
  const read = async <Result>(work: () => Result): Promise<Result> => c.read(work);
  return {
    bucketMs,
    findEvents: (id) => read(() => findEvents(c, id)),
    events: (query) => read(() => readEvents(c, ownMembers(query))),
    eventsInSpan: (query) => read(() => readSpan(c, ownMembers(query))),
    searchEvents: (search) => read(() => searchEvents(c, ownMembers(search))),
    held: (query) => read(() => readHeld(c, ownMembers(query))),
    buckets: (query) =>
      read(() => {
        const own = ownMembers(query);
        return own.grain === "day" ? readDays(c, own) : readBuckets(c, "buckets", own, bucketMs);
      }),
    eachBucket: (query, visit) => read(() => visitUsage(c, ownMembers(query), bucketMs, visit)),
    usageRevision: () => read(() => usageRevision(c)),
    wereAmended: (query) => read(() => wereAmended(c, ownMembers(query))),
    archivedBuckets: (query = {}) => read(() => readBuckets(c, "archive", ownMembers(query), bucketMs)),
    bucketMeters: () => read(() => readBucketMeters(c)),
    purgedUntil: () => read(() => getMeta(c, "purged_until")),
    meterVersions: () => read(() => versions.readMeterVersions(c)),
    dirtyWindows: (query) => read(() => dirtyWindows(c, ownMembers(query))),
    outbox: (query) => read(() => readOutbox(c, query)),
    skippedTotals: () => read(() => skippedTotals(c)),
    outboxTotals: () => read(() => readOutboxTotals(c)),
    laneTotals: () => read(() => readLaneTotals(c)),
    rowHistory: (rowId) => read(() => readHistory(c, rowId)),
    drifts: () => read(() => books.readDrifts(c)),
    reconciliations: () => read(() => books.readReconciliations(c)),
    periods: (lane) => read(() => books.readPeriods(c, lane)),
    customerMappings: (companies) => read(() => facts.readCustomers(c, companies)),
    counts: () => read(() => readCounts(c)),
    holdTotals: () => read(() => readHoldTotals(c)),
    dueTotals: (windowMs) => read(() => dueTotals(c, windowMs)),
    getNote: (name) => read(() => facts.readNote(c, name)),
    getEntry: (kind, id) => read(() => register.getEntry(c, kind, id)),
    findEntry: (kind, name) => read(() => register.findEntry(c, kind, name)),
    listEntries: (query) => read(() => register.listEntries(c, ownMembers(query))),
    countEntries: (kind) => read(() => register.countEntries(c, kind)),
    entryHistory: (kind, id) => read(() => register.entryHistory(c, kind, id)),
    registerRevision: (kind) => read(() => register.registerRevision(c, kind)),
  };
}

/** Two processes that make the same new file at once see "locked" for a moment, in spite of the busy timeout. */
async function open(connection: Connection): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      connection.read(() => undefined);
      return;
    } catch (error) {
      if (attempt >= OPEN_TRIES || !isLocked(error)) throw error;
      await pause(OPEN_PAUSE_MS);
    }
  }
}

function isLocked(error: unknown): boolean {
  if (!isMeterbookError(error)) return false;
  const { cause } = error;
  return typeof cause === "object" && cause !== null && owns(cause, "code") && /BUSY|LOCKED/.test(String(cause.code));
}

/** The width of this file's buckets: its own when it has usage, else the one that is wished for. */
function settleBuckets(connection: Connection, { path, bucketMs, readOnly }: SqliteStoreOptions): number {
  const settle = (): number => {
    const stored = getMeta(connection, "bucket_ms");
    if (stored !== null && bucketMs % stored === 0) return stored;
    const isEmpty =
      connection
        .sql("SELECT NOT EXISTS (SELECT 1 FROM events) AND NOT EXISTS (SELECT 1 FROM buckets)")
        .pluck()
        .get() === 1;
    if (isEmpty && readOnly !== true) {
      putMeta(connection, "bucket_ms", bucketMs);
      return bucketMs;
    }
    if (stored === null) return bucketMs;
    throw new MeterbookError(
      "METER_STORE_BUCKETS",
      `The database ${path} keeps usage per ${stored} ms; windows of ${bucketMs} ms cannot be made of that.`,
      { remedy: "Use a report window that is a multiple of it, or start a new database." },
    );
  };
  return readOnly === true ? connection.read(settle) : connection.write(settle);
}
