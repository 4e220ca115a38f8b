import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { HoldReason, Json, UsageEvent } from "../../core/event.ts";
import { canonicalEvent } from "../../core/event-rules.ts";
import type { GuideRule } from "../../core/guide.ts";
import { suspendedEvent, type GuidedRecord, type RecordProblem, type RecordReader } from "../../core/guided-record.ts";
import { ownMember } from "../../core/own-member.ts";
import { countsOf, holdsOf } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import type { IngestEntry, IngestStatus, Store } from "../ports.ts";
import { bucketNames, bucketOf, newBucket, type StoredBucket } from "./buckets.ts";
import { entriesOf, partsPrefix, type Desk } from "./entries.ts";
import { toldUntil } from "./final-records.ts";
import { guideReader } from "./guides.ts";
import { getMeterType } from "./meter-types.ts";
import { tellThresholds } from "./thresholds.ts";

/** Records of one stream, as they came. */
export interface RecordsCall {
  readonly guide: string;
  readonly records: readonly Json[];
}

/** What became of one record. */
interface RecordResult {
  readonly index: number;
  readonly status: IngestStatus;
  /** Of the event that it became, with the guide's source. */
  readonly id: string;
  readonly userId: string | null;
  /** Rules that it meets. None: it is kept, and updates no meter. */
  readonly rules: readonly string[];
  /** Why it counts nowhere until it is replayed; null when it counts, or its first copy stands. */
  readonly suspended: { readonly reason: HoldReason; readonly detail: string } | null;
}

export interface RecordsReply {
  readonly source: string;
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** Stored, and counted nowhere until they are replayed. */
  readonly suspended: number;
  /** Stored, and of no rule of the guide: they update no meter. */
  readonly unmatched: number;
  readonly metersCreated: number;
  readonly results: readonly RecordResult[];
}

/**
 * Takes the records of a stream: each becomes an event, stored and counted in one transaction, or suspended with its
 * reason. METER_NOT_FOUND for the guide, METER_REQUEST_INVALID for too many records, or too many bad ones where the guide
 * bounds them: nothing is stored then.
 */
export async function takeRecords(
  desk: Desk,
  catalog: Catalog,
  call: RecordsCall,
  sinks: readonly string[] = [],
): Promise<RecordsReply> {
  const { store, now } = desk;
  if (call.records.length > limits.recordsMax)
    throw new MeterbookError("METER_REQUEST_INVALID", `A call has at most ${limits.recordsMax} records.`, {
      mistakes: [{ pointer: "/records", message: `expected at most ${limits.recordsMax}` }],
    });
  const reader = await guideReader(store, call.guide);
  const read = call.records.map((record) => reader.read(record, { now, futureMs: limits.futureMs, id: desk.newId() }));
  const { taken, metersCreated } = await placeAll(desk, reader, read, {
    check: (placements) => assertFewBad(reader, placements),
    isNews: async ({ event }) => (await storedEvent(store, event)) === null,
  });
  const entries = taken.map(({ guided, problems }): IngestEntry => {
    const event = suspendedEvent(guided.event, problems);
    const settled = { event, verdicts: catalog.judge(event) };
    return { event, counts: countsOf(settled, catalog, store.bucketMs), holds: holdsOf(settled) };
  });
  const statuses = await ingestNew(store, catalog, entries, now);
  await tellAtOnce(desk, catalog, { reader, taken, sinks });
  return replyOf(reader, taken, statuses, metersCreated);
}

/**
 * Records with what their users' meters say, after those were made that they are the first use of: what is stored already
 * is no use.
 */
export async function placeAll(
  desk: Desk,
  reader: RecordReader,
  records: readonly GuidedRecord[],
  rules: {
    readonly check: (taken: readonly Taken[]) => void;
    readonly isNews: (record: GuidedRecord) => Promise<boolean>;
  },
): Promise<{ readonly taken: readonly Taken[]; readonly metersCreated: number }> {
  let metersCreated = 0;
  for (let tries = 0; tries < limits.amendTriesMax; tries += 1) {
    const meters = userMeters(desk.store, reader.guide.key);
    const taken: Taken[] = [];
    for (const guided of records) taken.push(await placed(desk, guided, meters));
    rules.check(taken);
    const news: Taken[] = [];
    for (const each of taken) if (each.missing.length > 0 && (await rules.isNews(each.guided))) news.push(each);
    const { made, isPlaced } = await createMeters(desk, reader, news);
    metersCreated += made;
    if (isPlaced) return { taken, metersCreated };
  }
  throw new MeterbookError("METER_CONFLICT", `The meters of ${reader.guide.key} were changed meanwhile.`, {
    remedy: "Send the records again; what was stored is not counted twice.",
  });
}

/**
 * Thresholds that the records reached are told now, not with the next round. What was stored is stored: where this fails,
 * the next round tells them.
 */
async function tellAtOnce(
  { store, now }: Desk,
  catalog: Catalog,
  { reader, taken, sinks }: { reader: RecordReader; taken: readonly Taken[]; sinks: readonly string[] },
): Promise<void> {
  const { guide } = reader;
  const users = new Set(
    taken.flatMap(({ guided, problems }) => (problems.length > 0 ? [] : (guided.event.company ?? []))),
  );
  const meters = userMeters(store, guide.key);
  try {
    for (const userId of users)
      for (const bucket of await meters(userId)) await tellThresholds({ store, catalog, now, sinks }, guide, bucket);
  } catch {
    // The round that closes periods reads the same events, and meets the same failure where it lasts.
  }
}

interface Taken {
  readonly guided: GuidedRecord;
  readonly problems: readonly RecordProblem[];
  /** Types of which a meter is to be made for its user. */
  readonly missing: readonly string[];
}

type UserMeters = (userId: string) => Promise<readonly StoredBucket[]>;

/** A user's meters of a guide, read once a call. */
function userMeters(store: Store, guide: string): UserMeters {
  const known = new Map<string, Promise<readonly StoredBucket[]>>();
  const read = async (userId: string): Promise<readonly StoredBucket[]> => {
    const found: StoredBucket[] = [];
    const namePrefix = partsPrefix("user", guide, userId);
    for await (const entry of entriesOf(store, { kind: "bucket", namePrefix })) found.push(bucketOf(entry));
    return found;
  };
  return (userId) => {
    const found = known.get(userId) ?? read(userId);
    known.set(userId, found);
    return found;
  };
}

/** A record with what its user's meters say of it. */
export async function placed(
  desk: Pick<Desk, "store">,
  guided: GuidedRecord,
  meters: UserMeters = userMeters(desk.store, guided.event.source.slice("guide/".length)),
): Promise<Taken> {
  const { company, time } = guided.event;
  if (company === null) return { guided, problems: guided.problems, missing: [] };
  const problems = [...guided.problems];
  const missing: string[] = [];
  const owned = guided.rules.length === 0 ? [] : await meters(company);
  for (const rule of guided.rules) {
    const ofCategory = owned.filter(({ type }) => type.category === rule.category);
    if (ofCategory.length === 0 && rule.createOnFirstUse !== null) missing.push(rule.createOnFirstUse);
    else {
      const problem = meterProblem(rule, company, time, ofCategory);
      if (problem !== null) problems.push(problem);
    }
  }
  return { guided, problems, missing };
}

function meterProblem(
  { category }: GuideRule,
  userId: string,
  time: number,
  meters: readonly StoredBucket[],
): RecordProblem | null {
  if (meters.length === 0)
    return { path: "company", reason: "no_meter", detail: `${userId} has no meter of the category ${category}` };
  const isActive = meters.some(
    ({ since, type: { activeFrom, activeTo } }) =>
      time >= Math.max(since, activeFrom ?? since) && time < (activeTo ?? Infinity),
  );
  if (isActive) return null;
  const first = Math.min(...meters.map(({ since, type: { activeFrom } }) => Math.max(since, activeFrom ?? since)));
  const begin = time < first ? `; the first counts from ${new Date(first).toISOString()} on` : "";
  const detail = `no meter of ${userId} in the category ${category} is active at the record's time${begin}`;
  return { path: "time", reason: "inactive", detail };
}

function assertFewBad({ guide }: RecordReader, taken: readonly Taken[]): void {
  const bad = taken.flatMap(({ problems: [first] }, index) => (first === undefined ? [] : [{ index, first }]));
  if (guide.suspendedMax === null || bad.length <= guide.suspendedMax) return;
  const message = `${bad.length} of ${taken.length} records are bad, and ${guide.key} takes at most ${guide.suspendedMax} of a call; nothing was stored.`;
  throw new MeterbookError("METER_REQUEST_INVALID", message, {
    mistakes: bad
      .slice(0, MISTAKES_MAX)
      .map(({ index, first }) => ({ pointer: `/records/${index}`, message: first.detail })),
  });
}

const MISTAKES_MAX = 100;

/**
 * Makes the meters that good records are the first use of. One of a period that was told is late: a correction tells of
 * it. Not placed: another process made such a meter, maybe from a later record on.
 */
async function createMeters(
  desk: Desk,
  { guide }: RecordReader,
  taken: readonly Taken[],
): Promise<{ readonly made: number; readonly isPlaced: boolean }> {
  const { store, now, author } = desk;
  const wanted = new Map<string, { userId: string; meterType: string; since: number; told: number }>();
  for (const { guided, problems, missing } of taken) {
    const { company: userId, time } = guided.event;
    if (userId === null || problems.length > 0) continue;
    for (const meterType of missing) {
      const key = JSON.stringify([userId, meterType]);
      const { told, since } = wanted.get(key) ?? {
        told: await toldUntil(store, {
          guide: guide.key,
          userId,
          meterType: (await getMeterType(store, meterType)).name,
        }),
        since: Infinity,
      };
      wanted.set(key, { userId, meterType, told, since: time < told ? since : Math.min(since, time, now) });
    }
  }
  let [made, isPlaced] = [0, true];
  for (const { userId, meterType, since } of wanted.values()) {
    if (since === Infinity) continue;
    const { id, body } = await newBucket(desk, { userId, meterType, since, guide: guide.key });
    const names = bucketNames(id, body);
    const { done } = await store.changeEntries([{ kind: "bucket", id, seen: null, names, body, author }], now);
    if (done) made += 1;
    else isPlaced = false;
  }
  return { made, isPlaced };
}

/** The event of this identity, as it is stored. */
async function storedEvent(store: Store, { source, id }: UsageEvent): Promise<UsageEvent | null> {
  return (await store.findEvents(id)).find(({ event }) => event.source === source)?.event ?? null;
}

/**
 * Stores what is new. A record that was suspended stands as it came, so the same record again is a duplicate also when
 * nothing would be wrong with it by now.
 */
async function ingestNew(
  store: Store,
  catalog: Catalog,
  entries: readonly IngestEntry[],
  now: number,
): Promise<readonly IngestStatus[]> {
  const sameAsStored: IngestEntry[] = [];
  const first = new Map<string, IngestEntry>();
  for (const entry of entries) {
    const { id } = entry.event;
    const before = first.get(id);
    const known = (await storedEvent(store, entry.event)) ?? before?.event;
    const isSame = known !== undefined && isSameRecord(known, entry.event);
    const kept = isSame ? { ...entry, event: known } : entry;
    sameAsStored.push(kept);
    if (before === undefined) first.set(id, kept);
  }
  return store.ingest(sameAsStored, now, catalog.revision);
}

/** Whether two events are of one record, whatever was found wrong with it and in whatever order its fields stand. */
function isSameRecord(a: UsageEvent, b: UsageEvent): boolean {
  const data = ownMember(a, "data");
  return data !== undefined && canonicalEvent({ ...b, data }) === canonicalEvent(b);
}

function replyOf(
  { guide }: RecordReader,
  taken: readonly Taken[],
  statuses: readonly IngestStatus[],
  metersCreated: number,
): RecordsReply {
  const results = taken.map(({ guided: { event, rules }, problems }, index): RecordResult => {
    const status = statuses[index] ?? "duplicate";
    const [first] = status === "stored" ? problems : [];
    return {
      index,
      status,
      id: event.id,
      userId: event.company,
      rules: rules.map(({ key }) => key),
      suspended: first === undefined ? null : { reason: first.reason, detail: first.detail },
    };
  });
  const numberOf = (wanted: IngestStatus): number => results.filter(({ status }) => status === wanted).length;
  return {
    source: `guide/${guide.key}`,
    stored: numberOf("stored"),
    duplicates: numberOf("duplicate"),
    conflicts: numberOf("conflict"),
    suspended: results.filter(({ suspended }) => suspended !== null).length,
    unmatched: results.filter(
      ({ status, suspended, rules }) => status === "stored" && suspended === null && rules.length === 0,
    ).length,
    metersCreated,
    results,
  };
}
