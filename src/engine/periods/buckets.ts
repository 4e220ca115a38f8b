import { ownMembers } from "../../core/own-member.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { Json } from "../../core/event.ts";
import { checkIdentifier } from "../../core/event-rules.ts";
import type { MeterType } from "../../core/meter-type.ts";
import { nextReset } from "../../core/reset-schedule.ts";
import { ruleMeter, type Guide } from "../../core/guide.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, RegisterEntry, Store } from "../ports.ts";
import { bodyText, change, entriesOf, entryNamed, partsName, partsPrefix, type Desk } from "./entries.ts";
import { ensureGuideMeters, getGuide } from "./guides.ts";
import { toldUntil } from "./final-records.ts";
import { getMeterType, plainType } from "./meter-types.ts";

/** What is kept of one customer's meter: a frozen copy of its type, and the period that it is in. */
export type BucketBody = {
  readonly userId: string;
  /** The meter key: the guide whose records it takes. */
  readonly guide: string;
  readonly meterTypeId: string;
  readonly type: MeterType;
  readonly customFields: { readonly [field: string]: Json };
  readonly deleteOnReset: boolean;
  /** Where its first period began, milliseconds UTC; records of before are suspended. */
  readonly since: number;
  /** Half-open, milliseconds UTC. */
  readonly periodStart: number;
  readonly periodEnd: number;
};

/** One customer's meter. */
export interface StoredBucket extends BucketBody {
  readonly id: string;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a caller says of a new meter. */
export interface BucketDraft {
  readonly userId: string;
  /** Id or name of its type. */
  readonly meterType: string;
  readonly guide: string;
  readonly customFields?: { readonly [field: string]: Json } | undefined;
  readonly deleteOnReset?: boolean | undefined;
  /** Begin of the first period; where left out, now. What the final records of a deleted meter tell is not told again: later then. */
  readonly since?: number | undefined;
}

export interface BucketQuery {
  readonly guide?: string | undefined;
  /** Id or name. */
  readonly meterType?: string | undefined;
  readonly userId?: string | undefined;
}

/** Makes a customer's meter. METER_NOT_FOUND for its type or guide, METER_CONFLICT when the user has it already. */
export async function createBucket(desk: Desk, draft: BucketDraft): Promise<StoredBucket> {
  const [entry] = await change(desk.store, [await bucketMaking(desk, draft)], desk.now, "a meter");
  if (entry === undefined) throw new RangeError("expected an entry for each change");
  return bucketOf(entry);
}

/** The change that makes a customer's meter. METER_NOT_FOUND for its type or guide. */
export async function bucketMaking(desk: Desk, draft: BucketDraft): Promise<RegisterChange> {
  const { id, body } = await newBucket(desk, draft);
  return { kind: "bucket", id, seen: null, names: bucketNames(id, body), body, author: desk.author };
}

/** METER_NOT_FOUND. */
export async function getBucket(store: Store, id: string): Promise<StoredBucket> {
  return bucketOf(await entryNamed(store, "bucket", id, "meter"));
}

/** In the order of ids. */
export async function listBuckets(store: Store, query: BucketQuery = {}): Promise<readonly StoredBucket[]> {
  const { guide, userId, meterType } = ownMembers(query);
  const type = meterType === undefined ? null : (await getMeterType(store, meterType)).id;
  const namePrefix =
    guide !== undefined && userId !== undefined
      ? partsPrefix("user", guide, userId)
      : type === null
        ? guide === undefined
          ? undefined
          : partsPrefix("user", guide)
        : partsPrefix("type", type);
  const found: StoredBucket[] = [];
  for await (const entry of entriesOf(store, { kind: "bucket", ...(namePrefix === undefined ? {} : { namePrefix }) })) {
    const bucket = bucketOf(entry);
    const fits =
      (guide ?? bucket.guide) === bucket.guide &&
      (userId ?? bucket.userId) === bucket.userId &&
      (type ?? bucket.meterTypeId) === bucket.meterTypeId;
    if (fits) found.push(bucket);
  }
  return found;
}

/** What may be changed of a meter: only whether it goes after its final record. */
export async function updateBucket(
  desk: Desk,
  id: string,
  { deleteOnReset }: { readonly deleteOnReset: boolean },
): Promise<StoredBucket> {
  const { revision, ...bucket } = await getBucket(desk.store, id);
  const body = { ...bodyOfBucket({ revision, ...bucket }), deleteOnReset };
  const names = bucketNames(id, body);
  const changes: readonly RegisterChange[] = [
    { kind: "bucket", id: bucket.id, seen: revision, names, body, author: desk.author },
  ];
  const [entry] = await change(desk.store, changes, desk.now, "meter");
  if (entry === undefined) throw new RangeError("expected an entry for each change");
  return bucketOf(entry);
}

/** The change that deletes a meter as it was seen. */
export function bucketEnd({ id, revision }: StoredBucket, author: string): RegisterChange {
  return { kind: "bucket", id, seen: revision, names: [], body: null, author };
}

/** A meter of a draft, with its id, not stored yet. */
export async function newBucket(
  desk: Desk,
  draft: BucketDraft,
): Promise<{ readonly id: string; readonly body: BucketBody }> {
  const { store, now, newId } = desk;
  const { userId, guide, customFields = {}, deleteOnReset = false, since = now } = ownMembers(draft);
  const mistakes = [
    ...(checkIdentifier(userId, limits.identifierLengthMax) === null
      ? []
      : [{ pointer: "/userId", message: "expected a text of 1 to 256 characters without control characters" }]),
    ...(Number.isSafeInteger(since) && since <= now
      ? []
      : [{ pointer: "/since", message: "expected an instant that is past" }]),
  ];
  const [mistake] = mistakes;
  if (mistake !== undefined) throw new MeterbookError("METER_REQUEST_INVALID", `${mistake.message}.`, { mistakes });
  const rules = await getGuide(store, guide);
  const stored = await getMeterType(store, draft.meterType);
  await assureMeters(desk, rules, stored);
  const type = plainType(stored);
  const begin = Math.max(since, await toldUntil(store, { guide, userId, meterType: type.name }));
  const periodEnd = nextReset(type.resetSchedule, type.timezone, begin);
  const body = { userId, guide, meterTypeId: stored.id, type, customFields, deleteOnReset };
  return { id: newId(), body: { ...body, since: begin, periodStart: begin, periodEnd } };
}

/** The guide's meters for a type that came after it. METER_CONFLICT when no rule is for the type's category. */
async function assureMeters(desk: Desk, guide: Guide, type: MeterType): Promise<void> {
  const rule = guide.rules.find(({ category }) => category === type.category);
  if (rule === undefined)
    throw new MeterbookError("METER_CONFLICT", `${guide.key} has no rule for the category ${type.category}.`, {
      remedy: `Its categories: ${[...new Set(guide.rules.map(({ category }) => category))].join(", ")}.`,
    });
  const meter = ruleMeter(guide.key, rule.key, type.aggregation);
  const versions = await desk.store.meterVersions();
  const newest = versions.findLast(({ definition }) => definition.key === meter);
  if (newest === undefined || newest.ended === true) await ensureGuideMeters(desk, guide);
}

/** By what a meter is found; the first one makes user, type and guide unique. */
export function bucketNames(id: string, { userId, guide, meterTypeId }: BucketBody): readonly string[] {
  return [
    partsName("meter", guide, userId, meterTypeId),
    partsName("user", guide, userId, id),
    partsName("type", meterTypeId, id),
  ];
}

/** The meter that an entry of kind `bucket` is. */
export function bucketOf(entry: RegisterEntry): StoredBucket {
  const { id, revision, createdAt, updatedAt } = entry;
  const body: BucketBody = JSON.parse(bodyText(entry));
  return { ...body, id, revision, createdAt, updatedAt };
}

/** What of a meter is stored in its entry. */
export function bodyOfBucket(bucket: StoredBucket): BucketBody {
  const { id: _id, revision: _revision, createdAt: _createdAt, updatedAt: _updatedAt, ...body } = bucket;
  return body;
}
