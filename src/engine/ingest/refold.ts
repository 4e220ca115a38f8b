import type { Catalog } from "../../core/catalog.ts";
import { bucketFold, type BucketFold } from "../../core/bucket-fold.ts";
import type { Bucket, CountedValue } from "../../core/usage.ts";
import { countsOf, settle, type SettledEvent } from "./amended-event.ts";
import { limits } from "../limits.ts";
import type { StoredEvent, StoreView, TimeRange } from "../ports.ts";

/** Called with the number of events read so far. */
export type OnProgress = (events: number) => void;

/** All stored events in order of arrival, a page at a time: memory holds one page, whatever the number of events. */
export async function* eventPages(
  store: Pick<StoreView, "events">,
  range: TimeRange & { readonly afterSeq?: number; readonly type?: string } = {},
): AsyncGenerator<readonly StoredEvent[]> {
  let afterSeq = range.afterSeq ?? 0;
  for (;;) {
    const page = await store.events({ ...range, afterSeq, order: "oldest", limit: limits.batchEventsMax });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    afterSeq = last.seq;
  }
}

/** What a settled event adds to the buckets. */
export function countedValues(settled: SettledEvent, seq: number, catalog: Catalog, bucketMs: number): CountedValue[] {
  return countsOf(settled, catalog, bucketMs).map((count) => ({ ...count, time: settled.event.time, order: seq }));
}

/** Events of a span of event time, a page at a time, in its order: the others are not looked at. */
export async function* spanPages(
  store: Pick<StoreView, "eventsInSpan">,
  range: TimeRange & { readonly type?: string },
): AsyncGenerator<readonly StoredEvent[]> {
  let after: { readonly time: number; readonly seq: number } | undefined;
  for (;;) {
    const page = await store.eventsInSpan({ ...range, after, limit: limits.batchEventsMax });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = { time: last.event.time, seq: last.seq };
  }
}

/** Usage of the stored events of a span by the meters of today, recomputed from nothing. */
export async function refold(
  store: Pick<StoreView, "eventsInSpan" | "bucketMs">,
  catalog: Catalog,
  range: TimeRange,
): Promise<readonly Bucket[]> {
  const fold = bucketFold();
  for await (const page of spanPages(store, range)) addPage(fold, page, catalog, store.bucketMs);
  return fold.buckets();
}

/** A recomputation of all usage that can go on where it ended, with the events that arrived since. */
export interface Recount {
  readonly fold: BucketFold;
  events: number;
  lastSeq: number;
}

export function recount(): Recount {
  return { fold: bucketFold(), events: 0, lastSeq: 0 };
}

/** Adds the events that the recount does not have, in order of arrival. */
export async function catchUp(
  counted: Recount,
  store: Pick<StoreView, "events" | "bucketMs">,
  catalog: Catalog,
  options: { readonly onProgress?: OnProgress; readonly onEvent?: (settled: SettledEvent) => void } = {},
): Promise<void> {
  for await (const page of eventPages(store, { afterSeq: counted.lastSeq })) {
    addPage(counted.fold, page, catalog, store.bucketMs, options.onEvent);
    counted.events += page.length;
    counted.lastSeq = page.at(-1)?.seq ?? counted.lastSeq;
    options.onProgress?.(counted.events);
  }
}

function addPage(
  fold: BucketFold,
  page: readonly StoredEvent[],
  catalog: Catalog,
  bucketMs: number,
  onEvent?: (settled: SettledEvent) => void,
): void {
  for (const stored of page) {
    const settled = settle(catalog, stored);
    onEvent?.(settled);
    fold.add(countedValues(settled, stored.seq, catalog, bucketMs));
  }
}
