import type { Catalog } from "../../core/catalog.ts";
import { crossedThresholds, figureText } from "../../core/meter-type.ts";
import type { Store } from "../ports.ts";
import { bucketUsage, type RuleUsage } from "./bucket-usage.ts";
import { getBucket, type StoredBucket } from "./buckets.ts";
import { getGuide } from "./guides.ts";

/** A meter with what it has counted in its present period. */
export interface BucketStanding extends StoredBucket {
  /** Exact decimal text. */
  readonly value: string;
  readonly records: number;
  readonly groups: readonly RuleUsage[];
  /** Names of the thresholds that the figure has reached. */
  readonly reached: readonly string[];
}

/** A meter as it stands now. METER_NOT_FOUND. */
export async function bucketStanding(store: Store, catalog: Catalog, id: string): Promise<BucketStanding> {
  const bucket = await getBucket(store, id);
  const guide = await getGuide(store, bucket.guide);
  const { periodStart: from, periodEnd: to, type } = bucket;
  const { figure, records, groups } = await bucketUsage(store, catalog, { guide, bucket, from, to });
  const reached = crossedThresholds(type, figure ?? 0n).map(({ name }) => name);
  return { ...bucket, value: figureText(figure), records, groups, reached };
}
