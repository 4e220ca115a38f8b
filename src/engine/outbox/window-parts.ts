import type { Catalog } from "../../core/catalog.ts";
import { fromInteger, type Decimal } from "../../core/decimal.ts";
import type { Bucket } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import { settle } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import type { DirtyWindow, StoreView, TimeRange } from "../ports.ts";

type PartStore = Pick<StoreView, "bucketMs" | "buckets" | "archivedBuckets" | "events">;

/**
 * Usage of each part of a window, from its buckets; a bucket that a cut goes through is recomputed from its events, and
 * what is archived of it belongs to the part in which it starts. Null when the parts are not the window's total: it
 * changed while this was read.
 */
export async function partTotals(
  store: PartStore,
  catalog: Catalog,
  window: DirtyWindow,
  parts: readonly WindowSpan[],
): Promise<readonly Decimal[] | null> {
  const { meter, company, windowStart: from, windowEnd: to } = window;
  const totals = parts.map(() => NOTHING);
  const add = (time: number, value: Decimal): void => {
    const part = parts.findIndex((each) => each.from <= time && time < each.to);
    if (part >= 0) totals[part] = (totals[part] ?? NOTHING) + value;
  };
  const isCut = (start: number): boolean =>
    parts.some((part) => part.from > start && part.from < start + store.bucketMs);
  const isInside = ({ start }: Bucket): boolean => start >= from && start < to;
  const buckets = (await store.buckets({ meter, company, from, to })).filter(isInside);
  for (const bucket of buckets) if (!isCut(bucket.start)) add(bucket.start, usageOf(bucket));
  const cut = new Set(buckets.map(({ start }) => start).filter(isCut));
  for (const start of cut) {
    const range = { from: start, to: start + store.bucketMs };
    for (const archived of await store.archivedBuckets({ meter, company, ...range }))
      if (archived.start === start) add(start, usageOf(archived));
    for await (const counted of countedEvents(store, catalog, { meter, company, ...range }))
      add(counted.time, counted.value);
  }
  return totals.reduce((sum, value) => sum + value, NOTHING) === window.total ? totals : null;
}

const NOTHING = fromInteger(0);

/** Only meters that add up are reported, so a bucket is a number of events or a sum. */
function usageOf({ aggregate, state }: Bucket): Decimal {
  return aggregate === "count" ? fromInteger(state.events) : (state.value ?? NOTHING);
}

/** What a meter counts of a company's events in a span of event time. */
async function* countedEvents(
  store: PartStore,
  catalog: Catalog,
  { meter, company, ...range }: TimeRange & { readonly meter: string; readonly company: string },
): AsyncGenerator<{ readonly time: number; readonly value: Decimal }> {
  for (let afterSeq = 0; ;) {
    const page = await store.events({ ...range, company, afterSeq, order: "oldest", limit: limits.batchEventsMax });
    for (const stored of page) {
      const { event, verdicts } = settle(catalog, stored);
      if (event.company !== company) continue;
      for (const verdict of verdicts)
        if (verdict.meter === meter && verdict.kind === "counted" && typeof verdict.value === "bigint")
          yield { time: event.time, value: verdict.value };
    }
    const last = page.at(-1);
    if (last === undefined || page.length < limits.batchEventsMax) return;
    afterSeq = last.seq;
  }
}
