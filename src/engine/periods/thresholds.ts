import type { Catalog } from "../../core/catalog.ts";
import type { Guide } from "../../core/guide.ts";
import { crossedThresholds } from "../../core/meter-type.ts";
import type { Store } from "../ports.ts";
import { bucketUsage, carriedFields } from "./bucket-usage.ts";
import type { StoredBucket } from "./buckets.ts";
import { finalRecord, periodRecords, recordEntry } from "./final-records.ts";

/** What telling of thresholds needs. */
export interface ThresholdOptions {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly now: number;
  /** Names of the sinks that new records go to. */
  readonly sinks: readonly string[];
}

/**
 * Makes a record for thresholds of the present period that were reached and not told of yet; the meter goes on. Answers
 * how many thresholds that were. Each is told once a period, whatever the figure does afterwards.
 */
export async function tellThresholds(options: ThresholdOptions, guide: Guide, bucket: StoredBucket): Promise<number> {
  const { store, catalog, now, sinks } = options;
  const { periodStart: from, periodEnd: to, type } = bucket;
  if (type.thresholds.length === 0) return 0;
  const span = { guide, bucket, from, to };
  const usage = await bucketUsage(store, catalog, span);
  const reached = crossedThresholds(type, usage.figure ?? 0n);
  if (reached.length === 0) return 0;
  const told = await periodRecords(store, bucket.id, from, "threshold");
  const known = new Set(told.flatMap(({ thresholds }) => thresholds.map(({ name }) => name)));
  let count = 0;
  for (const threshold of reached.filter(({ name }) => !known.has(name))) {
    const carried = await carriedFields(store, catalog, span);
    const facts = { kind: "threshold", ...span, usage, carried, thresholds: [threshold] } as const;
    const record = finalRecord({ ...facts, revision: 1, corrected: null, now });
    const { done } = await store.changeEntries([recordEntry(record, sinks, "periods")], now);
    if (done) count += 1;
  }
  return count;
}
