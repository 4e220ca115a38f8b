import { resultOf, type AggregateState } from "../../core/aggregation.ts";
import type { BucketFold } from "../../core/bucket-fold.ts";
import type { Catalog } from "../../core/catalog.ts";
import { fromInteger, type Decimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { dayBuckets, diffBuckets, type Bucket, type BucketDifference, type BucketKey } from "../../core/usage.ts";
import { assertNewest } from "../ingest/catalog-versions.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";
import { catchUp, recount, type OnProgress, type Recount } from "../ingest/refold.ts";
import { withSnapshot } from "./snapshot.ts";

/** A bucket whose stored figure is not what its events give; null = that side has none. */
interface RebuildDifference extends BucketKey {
  readonly expected: Decimal | null;
  readonly actual: Decimal | null;
  readonly expectedEvents: number;
  readonly actualEvents: number;
}

export interface RebuildSummary {
  readonly events: number;
  readonly differences: readonly RebuildDifference[];
  readonly applied: boolean;
}

interface RebuildOptions {
  readonly apply: boolean;
  readonly onProgress?: OnProgress;
}

/**
 * Recomputes all buckets from the events and compares, as of one instant; with `apply` it writes them, with what arrived
 * meanwhile, and changed windows are reported as corrections. Usage of purged events and of meters that left the
 * configuration is kept as it is. METER_METERS_CHANGED when the catalog is not the newest; METER_STORE_BUSY when usage
 * arrives faster than it can be caught up with.
 */
export async function rebuild(store: Store, catalog: Catalog, options: RebuildOptions): Promise<RebuildSummary> {
  let known: Compared | null = null;
  for (let tries = 0; tries < limits.rebuildTriesMax; tries++) {
    const { revision, kept, compared } = await withSnapshot(store, (view) =>
      compareOnce(view, catalog, options, known),
    );
    known = compared;
    const { counted, differences } = compared;
    const summary = { events: counted.events, differences: differences.map(shown) };
    if (!options.apply || differences.length === 0) return { ...summary, applied: false };
    const recomputed = [...counted.fold.buckets(), ...kept];
    if (await store.replaceBuckets(recomputed, revision)) return { ...summary, applied: true };
  }
  throw new MeterbookError("METER_STORE_BUSY", "Usage kept arriving while it was recomputed; nothing was changed.", {
    remedy: "Run rebuild --apply when there is less traffic, or while the app is stopped.",
  });
}

interface Compared {
  /** What may only grow: with other amendments or purged events it must begin anew. */
  readonly changes: string;
  readonly counted: Recount;
  readonly differences: readonly BucketDifference[];
}

/** Begins, or goes on where `known` ended: then only new events are read, so that little can arrive meanwhile. */
async function compareOnce(
  view: StoreView,
  catalog: Catalog,
  { apply, onProgress }: RebuildOptions,
  known: Compared | null,
) {
  await assertNewest(view, catalog);
  const revision = await view.usageRevision();
  const isSame = known !== null && known.changes === revision.changes;
  const counted = isSame ? known.counted : recount();
  await catchUp(counted, view, catalog, onProgress === undefined ? {} : { onProgress });
  const differences: BucketDifference[] = isSame ? [...known.differences] : [];
  const kept: Bucket[] = [];
  for (const meter of await accountedMeters(view, catalog, counted.fold)) {
    const isKept = catalog.aggregateOf(meter) === null;
    if (isSame && !isKept) continue;
    const account = await readAccount(view, meter);
    if (!isSame && !isKept) for (const difference of differencesOf(counted.fold, account)) differences.push(difference);
    if (!isSame) for (const difference of dayDifferences(account)) differences.push(difference);
    if (apply && isKept) kept.push(...withoutArchive(account.stored, account.archive));
  }
  return { revision, kept, compared: { changes: revision.changes, counted, differences } };
}

/** One meter's stored usage, and the archived part of it. */
export interface MeterAccount {
  readonly meter: string;
  readonly stored: readonly Bucket[];
  readonly archive: readonly Bucket[];
  /** What the store keeps by UTC day; of different texts nothing is kept. */
  readonly days: readonly Bucket[];
}

export async function readAccount(view: StoreView, meter: string): Promise<MeterAccount> {
  const stored = await view.buckets({ meter });
  const hasDays = stored[0]?.aggregate !== "unique";
  const days = hasDays ? await view.buckets({ meter, grain: "day" }) : [];
  return { meter, stored, archive: await view.archivedBuckets({ meter }), days };
}

/** Where a meter's days are not what its buckets add up to. */
export function dayDifferences({ stored, days }: MeterAccount): readonly BucketDifference[] {
  return stored[0]?.aggregate === "unique" ? [] : diffBuckets(dayBuckets(stored), days);
}

/** Meters that have usage by the events or by the store; one is compared after the other, so that memory holds one. */
export async function accountedMeters(view: StoreView, catalog: Catalog, fold: BucketFold): Promise<readonly string[]> {
  const keys = [...catalog.meters.map(({ key }) => key), ...fold.meters(), ...(await view.bucketMeters())];
  return [...new Set(keys)].toSorted();
}

/** Where a meter's stored usage is not what its events and the archive give. */
export function differencesOf(fold: BucketFold, account: MeterAccount): readonly BucketDifference[] {
  return fold.differences(account.meter, account.archive, account.stored);
}

/**
 * The part of these buckets that is not archived. Only for a meter that left the file: it cannot be judged again, since
 * where its counting ended is not known.
 */
function withoutArchive(stored: readonly Bucket[], archive: readonly Bucket[]): readonly Bucket[] {
  const archived = new Map(archive.map((bucket) => [keyOf(bucket), bucket.state]));
  return stored.flatMap((bucket) => {
    const past = archived.get(keyOf(bucket));
    if (past === undefined) return [bucket];
    const events = bucket.state.events - past.events;
    if (events === 0) return [];
    const isSum = bucket.aggregate === "sum" || bucket.aggregate === "avg";
    const value = isSum ? (bucket.state.value ?? NOTHING) - (past.value ?? NOTHING) : bucket.state.value;
    return [{ ...bucket, state: { ...bucket.state, events, value } }];
  });
}

const NOTHING = fromInteger(0);

function keyOf({ meter, company, group, start }: Bucket): string {
  return JSON.stringify([meter, company, group, start]);
}

function shown(difference: BucketDifference): RebuildDifference {
  const { meter, company, group, start, aggregate, expected, actual } = difference;
  return {
    meter,
    company,
    group,
    start,
    expected: figure(aggregate, expected),
    actual: figure(aggregate, actual),
    expectedEvents: expected?.events ?? 0,
    actualEvents: actual?.events ?? 0,
  };
}

function figure(aggregate: Bucket["aggregate"], state: AggregateState | null): Decimal | null {
  return state === null ? null : resultOf(aggregate, state);
}
