import { ownMember } from "../core/own-member.ts";
import type { Settings } from "../config/settings.ts";
import type { Catalog } from "../core/catalog.ts";
import { bucketStanding } from "../engine/periods/bucket-standing.ts";
import { createBucket, listBuckets, updateBucket } from "../engine/periods/buckets.ts";
import type { Desk } from "../engine/periods/entries.ts";
import { listFinalRecords } from "../engine/periods/final-records.ts";
import {
  createMeterType,
  deleteMeterType,
  getMeterType,
  listMeterTypes,
  updateMeterType,
} from "../engine/periods/meter-types.ts";
import { deleteBucket, purgeBuckets } from "../engine/periods/purge-buckets.ts";
import { takeRecords } from "../engine/periods/records.ts";
import { requeueRecords } from "../engine/periods/requeue.ts";
import { countSuspended, listSuspended, replayRecord } from "../engine/periods/suspense.ts";
import type { Clock, Store } from "../engine/ports.ts";
import { entryId } from "../engine/registry/entry-id.ts";
import type { PeriodBackend } from "../server/period-backend.ts";

/** What calls about meters and records work with; a host of either thread is one. */
export interface PeriodReader {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  readonly catalog: () => Promise<Catalog>;
  readonly settings: Settings;
}

/** The same where something is changed. */
export interface PeriodWriter extends PeriodReader {
  /** Does work that counts, by the newest meters. */
  readonly node: { counting<Result>(work: (catalog: Catalog) => Promise<Result>): Promise<Result> };
}

/** Calls that only read, by their names in the Backend. */
export const periodReadings: {
  readonly [Name in Reading]: (
    host: PeriodReader,
    query: Parameters<PeriodBackend[Name]>[0],
  ) => ReturnType<PeriodBackend[Name]>;
} = {
  listMeterTypes: ({ store }, query) => listMeterTypes(store, query),
  getMeterType: ({ store }, { idOrName }) => getMeterType(store, idOrName),
  listBuckets: ({ store }, query) => listBuckets(store, query),
  getBucket: async ({ store, catalog }, { id }) => bucketStanding(store, await catalog(), id),
  listFinalRecords: ({ store }, query) => listFinalRecords(store, query),
  listSuspended: ({ store, clock }, query) => listSuspended({ store, now: clock.now() }, query),
  countSuspended: ({ store }, { guide }) => countSuspended(store, guide),
};

/** Calls that change something. */
export const periodWritings: {
  readonly [Name in Exclude<keyof PeriodBackend, Reading>]: (
    host: PeriodWriter,
    order: Parameters<PeriodBackend[Name]>[0],
  ) => ReturnType<PeriodBackend[Name]>;
} = {
  createMeterType: (host, { draft, author }) => createMeterType(deskOf(host, author), draft),
  updateMeterType: (host, { idOrName, patch, author }) => updateMeterType(deskOf(host, author), idOrName, patch),
  deleteMeterType: (host, { idOrName, author }) => deleteMeterType(deskOf(host, author), idOrName),
  createBucket: (host, { draft, author }) => createBucket(deskOf(host, author), draft),
  updateBucket: (host, { id, deleteOnReset, author }) => updateBucket(deskOf(host, author), id, { deleteOnReset }),
  deleteBucket: (host, { id, author }) =>
    host.node.counting((catalog) => deleteBucket(deskOf(host, author), id, { catalog, sinks: sinksOf(host) })),
  purgeBuckets: (host, { author, dryRun, ...query }) =>
    host.node.counting((catalog) =>
      purgeBuckets(deskOf(host, author), query, { dryRun, catalog, sinks: sinksOf(host) }),
    ),
  takeRecords: (host, { author, ...call }) =>
    host.node.counting((catalog) => takeRecords(deskOf(host, author), catalog, call, sinksOf(host))),
  requeueRecords: (host, { author, ...order }) => requeueRecords(deskOf(host, author), order),
  replayRecord: (host, { author, ...order }) =>
    host.node.counting((catalog) => replayRecord(deskOf(host, author), catalog, order)),
};

type Reading =
  | "listMeterTypes"
  | "getMeterType"
  | "listBuckets"
  | "getBucket"
  | "listFinalRecords"
  | "listSuspended"
  | "countSuspended";

/** Names of the sinks that final records go to. */
export function sinksOf({ settings }: { readonly settings: Settings }): readonly string[] {
  return ownMember(settings, "metering")?.sinks.map(({ name }) => name) ?? [];
}

function deskOf({ store, clock, random }: PeriodReader, author: string): Desk {
  const now = clock.now();
  return { store, now, newId: () => entryId(now, random), author };
}
