import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { CountedValue } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import { settle } from "../ingest/amended-event.ts";
import { countedValues, spanPages } from "../ingest/refold.ts";
import { limits } from "../limits.ts";
import type { StoreView } from "../ports.ts";

/** Told after each page of events; what it promises is waited for, so that other work gets its turn. */
export type OnQueryProgress = (progress: { readonly read: number; readonly total: number }) => void | Promise<void>;

/** How many events a question has read, of whatever meter. */
export interface ReadingCount {
  events: number;
}

/** What the stored events of a span add to one meter, a page at a time, by the meters of today. */
export async function* countedInSpan(
  store: Pick<StoreView, "eventsInSpan" | "bucketMs">,
  catalog: Catalog,
  meter: string,
  span: WindowSpan,
  spent: ReadingCount,
): AsyncGenerator<readonly CountedValue[]> {
  for await (const page of spanPages(store, span)) {
    spent.events += page.length;
    if (spent.events > limits.queryEventsMax) throw tooManyEvents();
    yield page.flatMap((stored) =>
      countedValues(settle(catalog, stored), stored.seq, catalog, store.bucketMs).filter(
        (each) => each.meter === meter,
      ),
    );
  }
}

/** The refusal of a question that would read too much. */
export function tooManyEvents(): MeterbookError {
  const message = `The windows cut usage buckets, so more than ${limits.queryEventsMax} events would be read: ask for a shorter span, or for windows that begin and end on quarters of an hour.`;
  return new MeterbookError("METER_REQUEST_INVALID", message, { mistakes: [{ pointer: "/window", message }] });
}
