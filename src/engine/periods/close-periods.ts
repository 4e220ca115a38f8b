import { ownMember, ownMembers } from "../../core/own-member.ts";
import type { Catalog } from "../../core/catalog.ts";
import type { Guide } from "../../core/guide.ts";
import { guideSource } from "../../core/guide.ts";
import { crossedThresholds, figureText } from "../../core/meter-type.ts";
import { nextReset } from "../../core/reset-schedule.ts";
import { eventPages } from "../ingest/refold.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, Store } from "../ports.ts";
import { bucketUsage, carriedFields } from "./bucket-usage.ts";
import { bodyOfBucket, bucketEnd, bucketNames, bucketOf, type StoredBucket } from "./buckets.ts";
import { entriesOf, partsPrefix } from "./entries.ts";
import { finalRecord, idBegin, periodRecords, recordBody, recordEntry, type FinalRecord } from "./final-records.ts";
import { listGuides } from "./guides.ts";
import { tellThresholds } from "./thresholds.ts";

/** What closing needs to know. */
export interface ClosingOptions {
  readonly store: Store;
  readonly catalog: Catalog;
  /** Milliseconds UTC. */
  readonly now: number;
  /** Only periods that ended, and waited for late records, by then are closed; now, where it is left out or lies ahead. */
  readonly until?: number | undefined;
  /** How long after its end a period waits for late records. */
  readonly latenessMs: number;
  /** Names of the sinks that new records go to. */
  readonly sinks: readonly string[];
  /** What the rounds before learnt; all meters are looked at where it is left out. */
  readonly memory?: ClosingMemory | undefined;
}

/** When the next period ends, as far as a process knows: until then, and until a meter is changed, none is looked at. */
export interface ClosingMemory {
  /** Revision of the meters that were looked at. */
  revision: number;
  /** Milliseconds UTC. */
  nextDue: number;
}

/** The memory of a process that has looked at nothing yet. */
export function closingMemory(): ClosingMemory {
  return { revision: -1, nextDue: 0 };
}

/** What a round did. */
export interface ClosingSummary {
  readonly final: number;
  readonly corrections: number;
  readonly thresholds: number;
  /** Meters that were deleted after their final record. */
  readonly deleted: number;
  /** True when periods are left for the next round. */
  readonly isBehind: boolean;
}

/**
 * One round: final records of periods that have ended, records of thresholds that were reached, corrections of closed
 * periods whose figure moved. Doing it again changes nothing, and two processes that do it at once make each record once:
 * a record's name is unique, and a meter's period moves on with its record in one transaction. Periods that ended during
 * a standstill are closed one after the other.
 */
export async function closePeriods(options: ClosingOptions): Promise<ClosingSummary> {
  const { store } = options;
  const guides = new Map((await listGuides(store)).map((guide) => [guide.key, guide]));
  if (guides.size === 0) return { final: 0, corrections: 0, thresholds: 0, deleted: 0, isBehind: false };
  const news = await newUsage(store, guides);
  const round = { final: 0, corrections: 0, thresholds: 0, deleted: 0, isBehind: false };
  for (const namePrefix of news.prefixes()) {
    for await (const entry of entriesOf(store, { kind: "bucket", ...(namePrefix === null ? {} : { namePrefix }) })) {
      const bucket = bucketOf(entry);
      const guide = guides.get(bucket.guide);
      if (guide !== undefined) round.thresholds += await tellThresholds(options, guide, bucket);
    }
  }
  await closeAll(options, guides, round);
  round.corrections = await correctClosed(options, guides, news);
  await news.remember();
  return round;
}

/** Looks at all meters, unless it is known that none is due. */
async function closeAll(options: ClosingOptions, guides: ReadonlyMap<string, Guide>, round: Round): Promise<void> {
  const { store, now, memory = closingMemory() } = ownMembers(options);
  const until = Math.min(now, ownMember(options, "until") ?? now);
  const revision = await store.registerRevision("bucket");
  if (memory.revision === revision && until < memory.nextDue) return;
  let nextDue = Infinity;
  for await (const entry of entriesOf(store, { kind: "bucket" })) {
    const bucket = bucketOf(entry);
    const guide = guides.get(bucket.guide);
    if (guide !== undefined) nextDue = Math.min(nextDue, await closeEnded(options, guide, bucket, round));
  }
  memory.revision = revision;
  memory.nextDue = nextDue;
}

interface Round {
  final: number;
  thresholds: number;
  deleted: number;
  isBehind: boolean;
}

/**
 * Closes the ended periods of one meter, tells what its next period has reached already, and says when it is due next.
 * Where another process was faster, it is looked at again.
 */
export async function closeEnded(
  options: ClosingOptions,
  guide: Guide,
  first: StoredBucket,
  round: Round,
): Promise<number> {
  const { store, catalog, now, latenessMs, sinks } = ownMembers(options);
  const until = Math.min(now, ownMember(options, "until") ?? now);
  let bucket = first;
  for (let periods = 0; bucket.periodEnd + latenessMs <= until; periods += 1) {
    if (periods === limits.periodsPerRoundMax) {
      round.isBehind = true;
      return 0;
    }
    const { periodStart: from, periodEnd: to, type } = bucket;
    const usage = await bucketUsage(store, catalog, { guide, bucket, from, to });
    const isOver = type.activeTo !== null && from >= type.activeTo;
    const changes: RegisterChange[] = [];
    if (!isOver || usage.records > 0) {
      const carried = await carriedFields(store, catalog, { guide, bucket, from, to });
      const thresholds = crossedThresholds(type, usage.figure ?? 0n);
      const facts = { kind: "final", bucket, from, to, usage, carried, thresholds } as const;
      const record = finalRecord({ ...facts, revision: 1, corrected: null, now });
      changes.push(recordEntry(record, sinks, AUTHOR));
    }
    const next = {
      ...bodyOfBucket(bucket),
      periodStart: to,
      periodEnd: nextReset(type.resetSchedule, type.timezone, to),
    };
    if (bucket.deleteOnReset) changes.push(bucketEnd(bucket, AUTHOR));
    else {
      const { id, revision: seen } = bucket;
      changes.push({ kind: "bucket", id, seen, names: bucketNames(id, next), body: next, author: AUTHOR });
    }
    const outcome = await store.changeEntries(changes, now);
    if (!outcome.done) return 0;
    round.final += changes.length - 1;
    const moved = outcome.entries.at(-1);
    if (bucket.deleteOnReset || moved === undefined) {
      round.deleted += 1;
      return Infinity;
    }
    bucket = bucketOf(moved);
  }
  // Its records may have come while the period before waited, and no news will tell of them again.
  if (bucket !== first) round.thresholds += await tellThresholds(options, guide, bucket);
  return bucket.periodEnd + latenessMs;
}

const AUTHOR = "periods";

/** Corrections of closed periods that ended not too long ago, for users with news. */
async function correctClosed(
  options: ClosingOptions,
  guides: ReadonlyMap<string, Guide>,
  news: UsageNews,
): Promise<number> {
  const { store, now } = options;
  const after = idBegin(Math.max(0, now - limits.finalRecordsLateMs));
  let corrected = 0;
  for (const namePrefix of news.prefixes()) {
    const latest = new Map<string, FinalRecord>();
    const query = { kind: "final_record", after, ...(namePrefix === null ? {} : { namePrefix }) } as const;
    for await (const entry of entriesOf(store, query)) {
      const { record } = recordBody(entry);
      if (record.kind === "threshold") continue;
      const key = JSON.stringify([record.meterId, record.periodStart]);
      if ((latest.get(key)?.revision ?? 0) < record.revision) latest.set(key, record);
    }
    for (const record of latest.values()) {
      const guide = guides.get(record.meterKey);
      if (guide !== undefined && (await correctOne(options, guide, record))) corrected += 1;
    }
  }
  return corrected;
}

/** A new record where the figure of a closed period is not what its last record says. */
async function correctOne(options: ClosingOptions, guide: Guide, record: FinalRecord): Promise<boolean> {
  const { store, catalog, now, sinks } = options;
  const entry = await store.getEntry("bucket", record.meterId);
  if (entry === null) return false;
  // A deleted meter keeps its body: what was told of it can still be corrected.
  const bucket = bucketOf(entry);
  const span = { guide, bucket, from: Date.parse(record.periodStart), to: Date.parse(record.periodEnd) };
  const usage = await bucketUsage(store, catalog, span);
  const isSame = figureText(usage.figure) === record.value && areSameGroups(usage.groups, record.groups);
  if (isSame) return false;
  const known = await periodRecords(store, bucket.id, span.from, "final");
  const last = known.at(-1);
  if (last === undefined || last.revision !== record.revision) return false;
  const correction = finalRecord({
    kind: "correction",
    ...span,
    usage,
    carried: await carriedFields(store, catalog, span),
    thresholds: crossedThresholds(bucket.type, usage.figure ?? 0n),
    revision: last.revision + 1,
    corrected: last,
    now,
  });
  const { done } = await store.changeEntries([recordEntry(correction, sinks, AUTHOR)], now);
  return done;
}

/** Whether two figures are divided alike, as far as both are divided: an edited guide divides what comes after it. */
function areSameGroups(found: FinalRecord["groups"], told: FinalRecord["groups"]): boolean {
  const [now, before] = [groupTexts(found), groupTexts(told)];
  return [...now].every(([place, values]) => values === (before.get(place) ?? values));
}

function groupTexts(groups: FinalRecord["groups"]): ReadonlyMap<string, string> {
  return new Map(
    groups.flatMap(({ rule, breakdowns }) =>
      breakdowns.map(({ by, values, isCut }): [string, string] => {
        const texts = values.map(({ group, value, records }) => [
          by.map((label) => group[label] ?? ""),
          value,
          records,
        ]);
        return [JSON.stringify([rule, by]), JSON.stringify([texts, isCut])];
      }),
    ),
  );
}

/** Whose usage moved since the last round that was finished. */
interface UsageNews {
  /** Names under which the meters and the records of these users stand; null = all. */
  prefixes(): readonly (string | null)[];
  /** Makes this round the last one that was finished. */
  remember(): Promise<void>;
}

const SEEN_NOTE = "periods.seen";

/** New events tell of their users; a later fact about an old event, or a changed meter, may concern everybody. */
async function newUsage(store: Store, guides: ReadonlyMap<string, Guide>): Promise<UsageNews> {
  const revision = await store.usageRevision();
  const note = await store.getNote(SEEN_NOTE);
  const seen: { lastSeq: number; changes: string } = note === null ? { lastSeq: 0, changes: "" } : JSON.parse(note);
  const remember = async (): Promise<void> => {
    const next = JSON.stringify(revision);
    if (next !== note) await store.putNote(SEEN_NOTE, next);
  };
  if (seen.changes !== revision.changes) return { prefixes: () => [null], remember };
  const users = new Set<string>();
  if (seen.lastSeq !== revision.lastSeq) {
    const sources = new Map([...guides.keys()].map((key) => [guideSource(key), key]));
    for await (const page of eventPages(store, { afterSeq: seen.lastSeq })) {
      for (const { event } of page) {
        const guide = sources.get(event.source);
        if (guide === undefined || event.company === null) continue;
        users.add(partsPrefix("user", guide, event.company));
      }
    }
  }
  return {
    prefixes: () => [...users],
    remember,
  };
}
