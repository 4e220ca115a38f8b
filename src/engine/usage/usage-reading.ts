import { DAY_MS, dayStart, type Bucket } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import type { StoreView, UsageQuery } from "../ports.ts";
import type { UsageSpans } from "./usage-spans.ts";

type Buckets = Pick<StoreView, "buckets">;

/** Usage of which companies is read; null = of all. */
export type Companies = readonly string[] | null;

/** A meter's buckets in these spans, a list at a time: what touches them, and `isDay` says which are whole UTC days. */
export async function* readUsage(
  store: Buckets,
  meter: string,
  companies: Companies,
  spans: UsageSpans,
): AsyncGenerator<{ readonly isDay: boolean; readonly buckets: readonly Bucket[] }> {
  for (const span of spans.days) {
    for await (const buckets of readSpan(store, { meter, grain: "day", ...rangeOf(span) }, companies))
      yield { isDay: true, buckets };
  }
  for (const span of spans.buckets) {
    const payers = companies ?? (await payersOf(store, meter, span));
    for await (const buckets of readSpan(store, { meter, ...rangeOf(span) }, payers)) yield { isDay: false, buckets };
  }
}

/** The whole UTC days, half-open, that have usage; null when none has. */
export async function usageExtent(store: Buckets, meter: string, companies: Companies): Promise<WindowSpan | null> {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for await (const buckets of readSpan(store, { meter, grain: "day" }, companies)) {
    for (const { start } of buckets) {
      from = Math.min(from, start);
      to = Math.max(to, start + DAY_MS);
    }
  }
  return from < to ? { from, to } : null;
}

/** The part of a query that a span is; open ends are left out. */
function rangeOf({ from, to }: WindowSpan): Pick<UsageQuery, "from" | "to"> {
  return { ...(Number.isFinite(from) ? { from } : {}), ...(Number.isFinite(to) ? { to } : {}) };
}

/** Who is read one after the other, so that memory holds the narrow buckets of one; null = a short span, read at once. */
async function payersOf(store: Buckets, meter: string, span: WindowSpan): Promise<Companies> {
  if (span.to - span.from <= DAY_MS) return null;
  const range = {
    ...rangeOf({ ...span, from: dayStart(span.from) }),
  };
  const days = await store.buckets({ meter, grain: "day", ...range });
  return [...new Set(days.map(({ company }) => company))];
}

async function* readSpan(store: Buckets, query: UsageQuery, companies: Companies): AsyncGenerator<readonly Bucket[]> {
  if (companies === null) yield await store.buckets(query);
  else for (const company of companies) yield await store.buckets({ ...query, company });
}
