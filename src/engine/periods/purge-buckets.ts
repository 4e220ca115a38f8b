import { MeterbookError } from "../../core/errors.ts";
import { limits } from "../limits.ts";
import { bucketEnd, bucketOf, getBucket, listBuckets, type BucketQuery, type StoredBucket } from "./buckets.ts";
import { closeEnded, type ClosingOptions } from "./close-periods.ts";
import type { Desk } from "./entries.ts";
import { getGuide } from "./guides.ts";

/** What purging deletes, or would. */
export interface PurgeSummary {
  readonly meters: number;
  readonly byType: readonly { readonly type: string; readonly meters: number }[];
  /** Final records of periods that had ended, which were made first; with a dry run, of how many meters there would be any. */
  readonly finalRecords: number;
  readonly applied: boolean;
}

/** What closing the ended periods of a meter needs before it is deleted. */
export type LastClosing = Pick<ClosingOptions, "catalog" | "sinks">;

/**
 * Deletes customers' meters: of a guide, of a type, or all. What was billed of them stays: final records, records and
 * usage. A period that is over gets its final record first; usage of one that is not makes none any more. Doing it again
 * deletes nothing.
 */
export async function purgeBuckets(
  desk: Desk,
  query: Pick<BucketQuery, "guide" | "meterType">,
  { dryRun, ...closing }: { readonly dryRun: boolean } & LastClosing,
): Promise<PurgeSummary> {
  const gone: StoredBucket[] = [];
  let finalRecords = 0;
  for (const bucket of await listBuckets(desk.store, query)) {
    if (dryRun) finalRecords += bucket.periodEnd <= desk.now ? 1 : 0;
    else finalRecords += await endBucket(desk, bucket, closing);
    gone.push(bucket);
  }
  const counts = new Map<string, number>();
  for (const { type } of gone) counts.set(type.name, (counts.get(type.name) ?? 0) + 1);
  const byType = [...counts].map(([type, meters]) => ({ type, meters }));
  return { meters: gone.length, byType, finalRecords, applied: !dryRun };
}

/** Ends a meter: periods that are over get their final records, the present one none. METER_NOT_FOUND. */
export async function deleteBucket(desk: Desk, id: string, closing: LastClosing): Promise<void> {
  await endBucket(desk, await getBucket(desk.store, id), closing);
}

/** How many final records were made. Closing and deleting are tried again where another process moved the meter on. */
async function endBucket(desk: Desk, { id, guide: key }: StoredBucket, closing: LastClosing): Promise<number> {
  const { store, now, author } = desk;
  const guide = await getGuide(store, key);
  const round = { final: 0, thresholds: 0, deleted: 0, isBehind: false };
  for (let tries = 0; tries < limits.amendTriesMax; ) {
    const entry = await store.getEntry("bucket", id);
    if (entry === null || entry.deletedAt !== null) return round.final;
    const bucket = bucketOf(entry);
    if (bucket.periodEnd <= now) {
      const before = round.final;
      await closeEnded({ store, now, latenessMs: 0, ...closing }, guide, bucket, round);
      if (round.final === before) tries += 1;
      continue;
    }
    if ((await store.changeEntries([bucketEnd(bucket, author)], now)).done) return round.final;
    tries += 1;
  }
  throw new MeterbookError("METER_CONFLICT", `The meter ${id} was changed meanwhile.`, { remedy: "Try again." });
}
