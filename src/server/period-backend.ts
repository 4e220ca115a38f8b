import type { FieldValue } from "../core/corrected-event.ts";
import type { HoldReason } from "../core/event.ts";
import type { MeterTypeDraft } from "../core/meter-type.ts";
import type { BucketStanding } from "../engine/periods/bucket-standing.ts";
import type { BucketDraft, BucketQuery, StoredBucket } from "../engine/periods/buckets.ts";
import type { RecordPage, RecordQuery } from "../engine/periods/final-records.ts";
import type { StoredMeterType } from "../engine/periods/meter-types.ts";
import type { PurgeSummary } from "../engine/periods/purge-buckets.ts";
import type { RecordsCall, RecordsReply } from "../engine/periods/records.ts";
import type { RequeuedRecord, RequeueOrder } from "../engine/periods/requeue.ts";
import type { ReplayedRecord, SuspenseCounts, SuspensePage } from "../engine/periods/suspense.ts";

/** What the HTTP service asks about meter types, customers' meters, their records and final records. */
export interface PeriodBackend {
  listMeterTypes(query: {
    readonly name?: string | undefined;
    readonly category?: string | undefined;
  }): Promise<readonly StoredMeterType[]>;
  /** METER_NOT_FOUND. */
  getMeterType(query: { readonly idOrName: string }): Promise<StoredMeterType>;
  /** METER_REQUEST_INVALID, METER_CONFLICT for a name that is taken. */
  createMeterType(order: { readonly draft: MeterTypeDraft; readonly author: string }): Promise<StoredMeterType>;
  /** For meters that are made from now on. */
  updateMeterType(order: {
    readonly idOrName: string;
    readonly patch: Partial<MeterTypeDraft>;
    readonly author: string;
  }): Promise<StoredMeterType>;
  /** METER_CONFLICT while meters are of it. */
  deleteMeterType(order: { readonly idOrName: string; readonly author: string }): Promise<void>;

  listBuckets(query: BucketQuery): Promise<readonly StoredBucket[]>;
  /** With what it has counted in its present period. METER_NOT_FOUND. */
  getBucket(query: { readonly id: string }): Promise<BucketStanding>;
  createBucket(order: { readonly draft: BucketDraft; readonly author: string }): Promise<StoredBucket>;
  updateBucket(order: {
    readonly id: string;
    readonly deleteOnReset: boolean;
    readonly author: string;
  }): Promise<StoredBucket>;
  deleteBucket(order: { readonly id: string; readonly author: string }): Promise<void>;
  /** Deletes the meters of a guide, a type, or all. */
  purgeBuckets(order: {
    readonly guide?: string | undefined;
    readonly meterType?: string | undefined;
    readonly dryRun: boolean;
    readonly author: string;
  }): Promise<PurgeSummary>;

  /** Answers after the commit. METER_NOT_FOUND for the guide, METER_REQUEST_INVALID. */
  takeRecords(order: RecordsCall & { readonly author: string }): Promise<RecordsReply>;
  /** METER_NOT_FOUND, METER_CONFLICT for a record that no sink failed. */
  requeueRecords(order: RequeueOrder & { readonly author: string }): Promise<readonly RequeuedRecord[]>;
  listFinalRecords(query: RecordQuery): Promise<RecordPage>;

  /** Records that count nowhere until they are replayed, newest first. */
  listSuspended(query: {
    readonly guide: string | null;
    readonly reason?: HoldReason | undefined;
    readonly beforeSeq?: number | undefined;
    readonly limit: number;
  }): Promise<SuspensePage>;
  countSuspended(query: { readonly guide: string | null }): Promise<SuspenseCounts>;
  /** Reads a suspended record again, with fields put right. METER_EVENT_NOT_FOUND, METER_CONFLICT, METER_CORRECTION_REFUSED. */
  replayRecord(order: {
    readonly id: string;
    readonly source?: string | undefined;
    readonly set: readonly FieldValue[];
    readonly cause: string;
    readonly author: string;
    readonly dryRun: boolean;
  }): Promise<ReplayedRecord>;
}
