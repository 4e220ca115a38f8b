import type { AggregateKind, AggregateState } from "../../core/aggregation.ts";
import { bucketFold } from "../../core/bucket-fold.ts";
import type { Catalog } from "../../core/catalog.ts";
import { isSameKey, mergeBuckets, type Bucket, type BucketKey } from "../../core/usage.ts";
import type { MeteredValue } from "../../core/verdict.ts";
import { countsOf, settle } from "./amended-event.ts";
import type { BucketChange, Count, Store, StoredEvent } from "../ports.ts";
import { countedValues, spanPages } from "./refold.ts";

type Books = Pick<Store, "bucketMs" | "buckets" | "archivedBuckets" | "eventsInSpan">;

/** What taking a stored event's share back makes of the buckets that it is counted in. */
export async function bucketsWithout(store: Books, catalog: Catalog, stored: StoredEvent): Promise<BucketChange[]> {
  const changes: BucketChange[] = [];
  for (const count of countsOf(settle(catalog, stored), catalog, store.bucketMs)) {
    const { meter, company, group, bucketStart: start, aggregate } = count;
    const key = { meter, company, group, start };
    const seen = (await bucketAt(store, key))?.state ?? null;
    const plain = seen === null ? null : without(aggregate, seen, count.value);
    if (plain !== null) changes.push({ ...key, aggregate, seen, next: plain.events === 0 ? null : plain, basis: null });
    else if (seen !== null)
      changes.push({ ...key, aggregate, seen, ...(await recomputed(store, catalog, key, stored)) });
  }
  return changes;
}

/** These buckets as they will be: changed, then with the counts of a new event. */
export function changedBuckets(
  buckets: readonly Bucket[],
  changes: readonly BucketChange[],
  counts: readonly Count[],
  time: number,
): readonly Bucket[] {
  const isChanged = (bucket: Bucket): boolean => changes.some((change) => isSameKey(change, bucket));
  const changed = changes.flatMap(({ next, seen: _seen, basis: _basis, ...key }) =>
    next === null ? [] : [{ ...key, state: next }],
  );
  const fold = bucketFold();
  // A new event arrives after all that are there.
  fold.add(counts.map((count) => ({ ...count, time, order: Number.MAX_SAFE_INTEGER })));
  return mergeBuckets([...buckets.filter((bucket) => !isChanged(bucket)), ...changed], fold.buckets());
}

/** The state less one value where that can be subtracted; null where the other events must tell. */
function without(aggregate: AggregateKind, state: AggregateState, value: MeteredValue): AggregateState | null {
  const events = state.events - 1;
  if (aggregate === "count") return { ...state, events };
  const isSum = aggregate === "sum" || aggregate === "avg";
  return isSum && typeof value === "bigint" ? { ...state, events, value: (state.value ?? 0n) - value } : null;
}

async function recomputed(
  store: Books,
  catalog: Catalog,
  key: BucketKey,
  voided: StoredEvent,
): Promise<Pick<BucketChange, "next" | "basis">> {
  const fold = bucketFold();
  const basis = { events: 0, amendments: 0 };
  const range = { from: key.start, to: key.start + store.bucketMs };
  for await (const page of spanPages(store, range)) {
    for (const stored of page) {
      basis.events += 1;
      basis.amendments += stored.amendments.length;
      if (stored.seq === voided.seq) continue;
      const values = countedValues(settle(catalog, stored), stored.seq, catalog, store.bucketMs);
      fold.add(values.filter(({ bucketStart: start, ...value }) => isSameKey({ ...value, start }, key)));
    }
  }
  const archived = await store.archivedBuckets({ meter: key.meter, company: key.company, ...range });
  const [whole] = mergeBuckets(
    fold.buckets(),
    archived.filter((bucket) => isSameKey(bucket, key)),
  );
  return { next: whole?.state ?? null, basis };
}

async function bucketAt(store: Books, key: BucketKey): Promise<Bucket | undefined> {
  const { meter, company, start } = key;
  const found = await store.buckets({ meter, company, from: start, to: start + store.bucketMs });
  return found.find((bucket) => isSameKey(bucket, key));
}
