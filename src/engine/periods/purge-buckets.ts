import { bucketEnd, listBuckets, type BucketQuery, type StoredBucket } from "./buckets.ts";
import type { Desk } from "./entries.ts";

/** What purging deletes, or would. */
export interface PurgeSummary {
  readonly meters: number;
  readonly byType: readonly { readonly type: string; readonly meters: number }[];
  readonly applied: boolean;
}

/**
 * Deletes customers' meters: of a guide, of a type, or all. What was billed of them stays: final records, records and
 * usage. Usage of a period that is not over makes no final record any more. Doing it again deletes nothing.
 */
export async function purgeBuckets(
  desk: Desk,
  query: Pick<BucketQuery, "guide" | "meterType">,
  { dryRun }: { readonly dryRun: boolean },
): Promise<PurgeSummary> {
  const buckets = await listBuckets(desk.store, query);
  const gone: StoredBucket[] = [];
  for (const bucket of buckets) {
    if (dryRun) {
      gone.push(bucket);
      continue;
    }
    // One that closed its period meanwhile is taken by the next purge: its final record is written first.
    const outcome = await desk.store.changeEntries([bucketEnd(bucket, desk.author)], desk.now);
    if (outcome.done) gone.push(bucket);
  }
  const counts = new Map<string, number>();
  for (const { type } of gone) counts.set(type.name, (counts.get(type.name) ?? 0) + 1);
  const byType = [...counts].map(([type, meters]) => ({ type, meters }));
  return { meters: gone.length, byType, applied: !dryRun };
}
