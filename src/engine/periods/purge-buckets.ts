import { MeterbookError } from "../../core/errors.ts";
import type { Guide } from "../../core/guide.ts";
import { ownMember } from "../../core/own-member.ts";
import { nextReset } from "../../core/reset-schedule.ts";
import { limits } from "../limits.ts";
import { bucketEnd, bucketOf, getBucket, listBuckets, type BucketQuery, type StoredBucket } from "./buckets.ts";
import { bucketUsage } from "./bucket-usage.ts";
import { closeEnded, type ClosingOptions } from "./close-periods.ts";
import type { Desk } from "./entries.ts";
import { getGuide } from "./guides.ts";

/** What purging deletes, or would. */
export interface PurgeSummary {
  readonly meters: number;
  readonly byType: readonly { readonly type: string; readonly meters: number }[];
  /** Final records of ended periods, which were made first; with a dry run, how many meters would get any. */
  readonly finalRecords: number;
  readonly applied: boolean;
}

/** What closing the ended periods of a meter needs before it is deleted. */
export type LastClosing = Pick<ClosingOptions, "catalog" | "sinks">;

/**
 * Deletes customers' meters: of a guide, of a type, or all. What was billed of them stays: final records, records and
 * usage. Periods that are over, up to the last one that counted anything, get their final records first; usage of one
 * that is not over makes none any more. Doing it again deletes nothing. METER_NOT_FOUND for the guide or the type.
 */
export async function purgeBuckets(
  desk: Desk,
  query: Pick<BucketQuery, "guide" | "meterType">,
  { dryRun, ...closing }: { readonly dryRun: boolean } & LastClosing,
): Promise<PurgeSummary> {
  const named = ownMember(query, "guide");
  if (named !== undefined) await getGuide(desk.store, named);
  const gone: StoredBucket[] = [];
  let finalRecords = 0;
  for (const bucket of await listBuckets(desk.store, query)) {
    const guide = await getGuide(desk.store, bucket.guide);
    if (dryRun) finalRecords += (await hasUntold(desk, guide, bucket, closing)) ? 1 : 0;
    else finalRecords += await endBucket(desk, guide, bucket, closing);
    gone.push(bucket);
  }
  const counts = new Map<string, number>();
  for (const { type } of gone) counts.set(type.name, (counts.get(type.name) ?? 0) + 1);
  const byType = [...counts].map(([type, meters]) => ({ type, meters }));
  return { meters: gone.length, byType, finalRecords, applied: !dryRun };
}

/** Ends a meter: periods that are over get their final records, the present one none. METER_NOT_FOUND. */
export async function deleteBucket(desk: Desk, id: string, closing: LastClosing): Promise<void> {
  const bucket = await getBucket(desk.store, id);
  await endBucket(desk, await getGuide(desk.store, bucket.guide), bucket, closing);
}

/** How many final records were made. Closing and deleting are tried again where another process moved the meter on. */
async function endBucket(desk: Desk, guide: Guide, { id }: StoredBucket, closing: LastClosing): Promise<number> {
  const { store, now, author } = desk;
  const round = { final: 0, thresholds: 0, deleted: 0, isBehind: false };
  for (let tries = 0; tries < limits.amendTriesMax;) {
    const entry = await store.getEntry("bucket", id);
    if (entry === null || entry.deletedAt !== null) return round.final;
    const bucket = bucketOf(entry);
    if (await hasUntold(desk, guide, bucket, closing)) {
      const before = round.final;
      const until = bucket.periodEnd;
      await closeEnded({ store, now, until, latenessMs: 0, ...closing }, guide, bucket, round);
      if (round.final === before) tries += 1;
      continue;
    }
    if ((await store.changeEntries([bucketEnd(bucket, author)], now)).done) return round.final;
    tries += 1;
  }
  throw new MeterbookError("METER_CONFLICT", `The meter ${id} was changed meanwhile.`, { remedy: "Try again." });
}

/** Whether a meter counted anything in periods that are over and have no final record. */
async function hasUntold(
  { store, now }: Desk,
  guide: Guide,
  bucket: StoredBucket,
  { catalog }: LastClosing,
): Promise<boolean> {
  const { resetSchedule, timezone } = bucket.type;
  let to = bucket.periodStart;
  for (let next = bucket.periodEnd; next <= now; next = nextReset(resetSchedule, timezone, next)) to = next;
  if (to === bucket.periodStart) return false;
  return (await bucketUsage(store, catalog, { guide, bucket, from: bucket.periodStart, to })).records > 0;
}
