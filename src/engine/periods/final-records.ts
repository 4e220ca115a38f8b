import { ownMembers } from "../../core/own-member.ts";
import { createHash } from "node:crypto";

import type { Json } from "../../core/event.ts";
import { figureText, type MeterType, type Threshold } from "../../core/meter-type.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, RegisterEntry, Store } from "../ports.ts";
import type { BucketUsage, Carried, RuleUsage } from "./bucket-usage.ts";
import type { StoredBucket } from "./buckets.ts";
import { bodyText, entriesOf, partsName, partsPrefix } from "./entries.ts";

/** `final` at a period's end, `threshold` early, `correction` when a closed period's figure moved. */
export const RECORD_KINDS = ["final", "threshold", "correction"] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/** The figure of one meter for one period, as it is told to others. Never changed; a later figure is another record. */
export type FinalRecord = {
  /** Stable: whoever gets it twice can tell by it. */
  readonly id: string;
  readonly kind: RecordKind;
  readonly meterId: string;
  readonly userId: string;
  readonly meterTypeId: string;
  readonly meterTypeName: string;
  readonly category: string;
  /** The guide. */
  readonly meterKey: string;
  readonly unit: string | null;
  readonly aggregation: MeterType["aggregation"];
  readonly timezone: string;
  /** Exact decimal text. */
  readonly value: string;
  /** How many records were counted. */
  readonly records: number;
  /** ISO 8601, half-open. */
  readonly periodStart: string;
  readonly periodEnd: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly groups: readonly RuleUsage[];
  readonly carryFirst: Carried;
  readonly carryLast: Carried;
  readonly deleteOnReset: boolean;
  readonly capacity: string | null;
  /** Thresholds that the figure has reached; for a threshold record, those that it tells of. */
  readonly thresholds: readonly Threshold[];
  /** The meter's own fields, and what its type refers to outside. */
  readonly metadata: { readonly [field: string]: Json };
  /** 1 for the first record of its period, one more with each correction. */
  readonly revision: number;
  /** The record that this one corrects, and the figure that it had. */
  readonly corrects: string | null;
  readonly previousValue: string | null;
};

export const SINK_STATES = ["pending", "delivered", "failed"] as const;

/** How far a record is on its way to one sink. */
export type SinkState = {
  readonly sink: string;
  readonly state: (typeof SINK_STATES)[number];
  readonly attempts: number;
  readonly firstAt: number | null;
  /** Not tried again before, milliseconds UTC. */
  readonly nextAt: number;
  readonly deliveredAt: number | null;
  readonly error: string | null;
};

/** What is stored of a record: it never changes; its way to the sinks does. */
export type RecordBody = { readonly record: FinalRecord; readonly sinks: readonly SinkState[] };

/** What a record is made of. */
export interface RecordFacts {
  readonly kind: RecordKind;
  readonly bucket: StoredBucket;
  readonly from: number;
  readonly to: number;
  readonly usage: BucketUsage;
  readonly carried: { readonly carryFirst: Carried; readonly carryLast: Carried };
  readonly thresholds: readonly Threshold[];
  readonly revision: number;
  readonly corrected: FinalRecord | null;
  readonly now: number;
}

/** The record of these facts. Its id is a pure function of what it is about, so two processes make the same one. */
export function finalRecord(facts: RecordFacts): FinalRecord {
  const { kind, bucket, from, to, usage, now, corrected } = facts;
  const { type } = bucket;
  return {
    id: recordId(facts),
    kind,
    meterId: bucket.id,
    userId: bucket.userId,
    meterTypeId: bucket.meterTypeId,
    meterTypeName: type.name,
    category: type.category,
    meterKey: bucket.guide,
    unit: type.unit,
    aggregation: type.aggregation,
    timezone: type.timezone,
    value: figureText(usage.figure),
    records: usage.records,
    periodStart: instantText(from),
    periodEnd: instantText(to),
    createdAt: corrected?.createdAt ?? instantText(now),
    updatedAt: instantText(now),
    groups: usage.groups,
    ...facts.carried,
    deleteOnReset: bucket.deleteOnReset,
    capacity: type.capacity,
    thresholds: facts.thresholds,
    metadata: { ...bucket.customFields, ...external(type) },
    revision: facts.revision,
    corrects: corrected?.id ?? null,
    previousValue: corrected?.value ?? null,
  };
}

function external({ externalReference }: MeterType): { readonly [field: string]: Json } {
  return externalReference === null ? {} : { externalReference };
}

/** The change that stores a record, for every sink pending. */
export function recordEntry(record: FinalRecord, sinks: readonly string[], author: string): RegisterChange {
  const body: RecordBody = {
    record,
    sinks: sinks.map((sink) => ({
      sink,
      state: "pending",
      attempts: 0,
      firstAt: null,
      nextAt: 0,
      deliveredAt: null,
      error: null,
    })),
  };
  return { kind: "final_record", id: record.id, seen: null, names: recordNames(body), body, author };
}

/** What an entry of kind `final_record` holds. */
export function recordBody(entry: RegisterEntry): RecordBody {
  const body: RecordBody = JSON.parse(bodyText(entry));
  return body;
}

/** By what a record is found: the first name makes it the only one of its meter, period and revision. */
export function recordNames({ record, sinks }: RecordBody): readonly string[] {
  const { id, meterId, meterKey, userId, periodStart, kind, revision, thresholds } = record;
  const place = kind === "threshold" ? `threshold ${thresholds.map(({ name }) => name).join(" ")}` : revision;
  const waiting = sinks.flatMap(({ sink, state }) => (state === "delivered" ? [] : partsName(state, sink, id)));
  return [
    partsName("period", meterId, periodStart, kind === "threshold" ? "threshold" : "final", place),
    partsName("user", meterKey, userId, id),
    ...waiting,
  ];
}

/** All records of one meter's period: its final record with corrections, or those of thresholds. */
export async function periodRecords(
  store: Pick<Store, "listEntries">,
  bucketId: string,
  from: number,
  kind: "final" | "threshold",
): Promise<readonly FinalRecord[]> {
  const namePrefix = partsPrefix("period", bucketId, instantText(from), kind);
  const entries = await store.listEntries({ kind: "final_record", namePrefix, limit: limits.registerPageMax });
  return entries.map((entry) => recordBody(entry).record).toSorted((a, b) => a.revision - b.revision);
}

/** The end of the last period that final records tell of a user by a type, also of meters that are deleted; 0 = none. */
export async function toldUntil(
  store: Pick<Store, "listEntries">,
  { guide, userId, meterType }: { readonly guide: string; readonly userId: string; readonly meterType: string },
): Promise<number> {
  let until = 0;
  for await (const entry of entriesOf(store, {
    kind: "final_record",
    namePrefix: partsPrefix("user", guide, userId),
  })) {
    const { record } = recordBody(entry);
    if (record.kind === "threshold" || record.meterTypeName !== meterType) continue;
    until = Math.max(until, Date.parse(record.periodEnd));
  }
  return until;
}

/** A question for final records, in the order of their periods. */
export interface RecordQuery {
  readonly guide?: string | undefined;
  readonly userId?: string | undefined;
  readonly meterId?: string | undefined;
  readonly kind?: RecordKind | undefined;
  /** Only records of which some sink's state is this. */
  readonly state?: SinkState["state"] | undefined;
  /** Only records behind this id. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface RecordPage {
  readonly records: readonly (FinalRecord & { readonly sinks: readonly SinkState[] })[];
  /** The `after` of the next page; null at the end. */
  readonly next: string | null;
}

/** Final records, oldest period first. */
export async function listFinalRecords(store: Store, query: RecordQuery): Promise<RecordPage> {
  const { guide, userId, meterId, kind, state, limit, after: begin } = ownMembers(query);
  const namePrefix =
    meterId !== undefined
      ? partsPrefix("period", meterId)
      : guide === undefined
        ? state === undefined || state === "delivered"
          ? undefined
          : partsPrefix(state)
        : userId === undefined
          ? partsPrefix("user", guide)
          : partsPrefix("user", guide, userId);
  const records: (FinalRecord & { sinks: readonly SinkState[] })[] = [];
  let after = begin;
  for (;;) {
    const page: readonly RegisterEntry[] = await store.listEntries({
      kind: "final_record",
      ...(namePrefix === undefined ? {} : { namePrefix }),
      ...(after === undefined ? {} : { after }),
      limit: limits.registerPageMax,
    });
    for (const entry of page) {
      const { record, sinks } = recordBody(entry);
      after = entry.id;
      const fits =
        (userId ?? record.userId) === record.userId &&
        (guide ?? record.meterKey) === record.meterKey &&
        (kind ?? record.kind) === record.kind &&
        (state === undefined || sinks.some((each) => each.state === state));
      if (!fits) continue;
      records.push({ ...record, sinks });
      if (records.length === limit) return { records, next: after };
    }
    if (page.length < limits.registerPageMax) return { records, next: null };
  }
}

/** Text that sorts as its instant does: ids of records begin so. */
export function idBegin(periodStart: number): string {
  return `fr_${new Date(periodStart).toISOString().replaceAll(/[-:.]/g, "")}`;
}

function recordId({ kind, bucket, from, revision, thresholds }: RecordFacts): string {
  const names = kind === "threshold" ? thresholds.map(({ name }) => name) : [];
  const about = [bucket.id, from, kind === "threshold" ? "threshold" : "final", revision, ...names];
  const mark = createHash("sha256").update(JSON.stringify(about)).digest("hex").slice(0, MARK_LENGTH);
  return `${idBegin(from)}_${mark}`;
}

const MARK_LENGTH = 20;

function instantText(time: number): string {
  return new Date(time).toISOString();
}
