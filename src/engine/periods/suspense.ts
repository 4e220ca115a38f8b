import { ownMember, ownMembers } from "../../core/own-member.ts";
import { amendedEventOf } from "./suspended-event.ts";
import type { Catalog } from "../../core/catalog.ts";
import { correctedEvent, type FieldValue } from "../../core/corrected-event.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { HoldReason, Json } from "../../core/event.ts";
import { compilePath } from "../../core/field-path.ts";
import { guideSource, recordsMeter } from "../../core/guide.ts";
import { suspendedEvent, type GuidedRecord, type RecordProblem, type RecordReader } from "../../core/guided-record.ts";
import { correctEvent, type CorrectionSummary } from "../corrections/correct.ts";
import { limits } from "../limits.ts";
import type { Store } from "../ports.ts";
import type { Desk } from "./entries.ts";
import { guideReader, listGuides } from "./guides.ts";
import { placeAll, placed } from "./records.ts";

/** A record that counts nowhere until it is replayed. */
export interface SuspendedRecord {
  readonly seq: number;
  readonly guide: string;
  readonly source: string;
  readonly id: string;
  readonly userId: string | null;
  readonly time: number;
  readonly reason: HoldReason;
  /** What is wrong with it now: empty when nothing is any more, and replaying it would count it. */
  readonly problems: readonly string[];
  readonly record: Json;
}

export interface SuspenseQuery {
  /** Null = all guides. */
  readonly guide: string | null;
  readonly reason?: HoldReason | undefined;
  /** Only records that arrived before this one: what the last page gave as `next`. */
  readonly beforeSeq?: number | undefined;
  readonly limit: number;
}

export interface SuspensePage {
  readonly records: readonly SuspendedRecord[];
  readonly next: number | null;
}

/** How many records of each reason are suspended. */
export type SuspenseCounts = readonly { readonly reason: HoldReason; readonly records: number }[];

/** Suspended records, newest first. */
export async function listSuspended(desk: Pick<Desk, "store" | "now">, query: SuspenseQuery): Promise<SuspensePage> {
  const { store } = desk;
  const { guide, reason, limit, beforeSeq } = ownMembers(query);
  const guides = guide === null ? (await listGuides(store)).map(({ key }) => key) : [guide];
  const records: SuspendedRecord[] = [];
  for await (const row of heldRecords(store, guides, beforeSeq)) {
    if (reason !== undefined && row.reason !== reason) continue;
    const stored = (await store.findEvents(row.id)).find(({ event }) => event.source === row.source);
    if (stored === undefined) continue;
    const event = amendedEventOf(stored);
    const problems = await problemsOf(desk, row.guide, ownMember(event, "data") ?? null);
    const { time, company: userId } = event;
    records.push({
      seq: row.seq,
      guide: row.guide,
      source: row.source,
      id: row.id,
      userId,
      time,
      reason: row.reason,
      problems,
      record: ownMember(event, "data") ?? null,
    });
    if (records.length === limit) return { records, next: row.seq };
  }
  return { records, next: null };
}

/** Suspended records by reason, most first. */
export async function countSuspended(store: Store, guide: string | null): Promise<SuspenseCounts> {
  const guides = guide === null ? (await listGuides(store)).map(({ key }) => key) : [guide];
  const counts = new Map<HoldReason, number>();
  for await (const { reason } of heldRecords(store, guides)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, records]) => ({ reason, records })).toSorted((a, b) => b.records - a.records);
}

/** One row for each suspended record: the meter of all records holds it, whatever else does. */
async function* heldRecords(store: Store, guides: readonly string[], beforeSeq?: number) {
  const meters = new Map(guides.map((key) => [recordsMeter(key), key]));
  let before = beforeSeq;
  for (;;) {
    const place = before === undefined ? {} : { beforeSeq: before };
    const page = await store.held({ ...place, order: "newest", limit: limits.registerPageMax });
    const last = page.at(-1);
    if (last === undefined) return;
    // The last event of a full page may have further rows on the next one.
    const isFull = page.length === limits.registerPageMax;
    const rows = isFull && page[0]?.seq !== last.seq ? page.filter(({ seq }) => seq !== last.seq) : page;
    for (const row of rows) {
      const guide = meters.get(row.meter);
      if (guide !== undefined) yield { ...row, guide };
    }
    if (!isFull) return;
    before = rows.at(-1)?.seq ?? last.seq;
  }
}

/** What is wrong with a record now. */
async function problemsOf(desk: Pick<Desk, "store" | "now">, guide: string, record: Json): Promise<readonly string[]> {
  const reader = await guideReader(desk.store, guide);
  const guided = reader.read(record, { now: desk.now, futureMs: limits.futureMs, id: "" });
  return (await placed(desk, guided)).problems.map(({ detail }) => detail);
}

/** An order to put a suspended record right and count it. */
export interface ReplayRecordOrder {
  readonly id: string;
  readonly source?: string | undefined;
  /** Fields of the record that are set first: `data.region`. */
  readonly set: readonly FieldValue[];
  readonly cause: string;
  readonly dryRun: boolean;
}

export interface ReplayedRecord extends CorrectionSummary {
  /** What is still wrong with it: it is suspended again. */
  readonly problems: readonly string[];
}

/**
 * Reads a suspended record anew, with fields that were put right: the old event stays and counts nothing, another counts
 * instead, or is suspended for what is still wrong. METER_EVENT_NOT_FOUND; METER_CONFLICT for one that is not suspended.
 */
export async function replayRecord(desk: Desk, catalog: Catalog, stated: ReplayRecordOrder): Promise<ReplayedRecord> {
  const order = ownMembers(stated);
  const { store, now, author } = desk;
  const found = await store.findEvents(order.id);
  const stored = found.find(
    ({ event }) => (order.source ?? event.source) === event.source && guideOf(ownMember(event, "attributes")) !== null,
  );
  if (stored === undefined)
    throw new MeterbookError("METER_EVENT_NOT_FOUND", `No record has the id ${JSON.stringify(order.id)}.`, {
      remedy: "`meterbook held list` shows what is suspended.",
    });
  const event = amendedEventOf(stored);
  if (Object.keys(ownMember(event, "faults") ?? {}).length === 0 && event.company !== null)
    throw new MeterbookError("METER_CONFLICT", `The record ${order.id} is not suspended.`, {
      remedy: "What counts already is put right with `meterbook correct replace`.",
    });
  const guide = guideOf(ownMember(event, "attributes")) ?? "";
  const foreign = order.set.find(({ path }) => compilePath(path).segments?.[0] !== "data");
  if (foreign !== undefined)
    throw new MeterbookError("METER_CORRECTION_REFUSED", `${foreign.path} is no field of the record.`, {
      remedy: "Set fields of the record, such as data.region; who pays and when is read from them.",
    });
  const edited = correctedEvent(event, order.set, { name: { source: event.source, id: event.id }, recordedAt: now });
  const reader = await guideReader(store, guide);
  const guided = reader.read(ownMember(edited, "data") ?? null, { now, futureMs: limits.futureMs, id: event.id });
  // A record without a time of its own happened when it came first.
  const time = ownMember(guided.event, "recordedAt") === undefined ? event.time : guided.event.time;
  const timed = { ...guided, event: { ...guided.event, source: guideSource(guide), time } };
  const problems = await problemsWith(desk, reader, timed, order.dryRun);
  const instead = { event: suspendedEvent(timed.event, problems) };
  const { id, cause, dryRun } = order;
  const { source } = stored.event;
  const summary = await correctEvent({ store, catalog, id, source, instead, author, cause, now, dryRun });
  return { ...summary, problems: problems.map(({ detail }) => detail) };
}

/** What is wrong with a record that is about to count; the meters that it is the first use of are made. */
async function problemsWith(
  desk: Desk,
  reader: RecordReader,
  record: GuidedRecord,
  dryRun: boolean,
): Promise<readonly RecordProblem[]> {
  if (dryRun) return (await placed(desk, record)).problems;
  const rules = { check: () => undefined, isNews: async () => true };
  const { taken } = await placeAll(desk, reader, [record], rules);
  return taken.flatMap(({ problems }) => problems);
}

function guideOf(attributes: Readonly<Record<string, Json>> | undefined): string | null {
  const guide = attributes !== undefined && Object.hasOwn(attributes, "guide") ? attributes["guide"] : null;
  return typeof guide === "string" ? guide : null;
}
