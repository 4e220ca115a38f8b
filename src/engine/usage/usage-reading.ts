import { DAY_MS, type Bucket } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import type { StoreView, UsageQuery } from "../ports.ts";
import type { OwnerTurns } from "./owner-turns.ts";
import type { UsageSpans } from "./usage-spans.ts";

type Buckets = Pick<StoreView, "eachBucket">;

/** Usage of which companies is read; null = of all. */
export type Companies = readonly string[] | null;

/**
 * Calls `visit` with a meter's buckets that touch these spans; `isDay` says which are whole UTC days. Of a day in which a
 * company's usage became another customer's, those are the narrow ones.
 */
export async function readUsage(
  store: Buckets,
  meter: string,
  companies: Companies,
  spans: UsageSpans,
  turns: OwnerTurns,
  visit: (bucket: Bucket, isDay: boolean) => void,
): Promise<void> {
  const split = new Map<string, Set<number>>();
  const ofDay = (bucket: Bucket): void => {
    const { company, start } = bucket;
    if (turns.within(company, start, start + DAY_MS).length === 0) return visit(bucket, true);
    const days = split.get(company);
    if (days === undefined) split.set(company, new Set([start]));
    else days.add(start);
  };
  const narrow = (bucket: Bucket): void => visit(bucket, false);
  for (const span of spans.days) await readSpan(store, { meter, grain: "day", ...rangeOf(span) }, companies, ofDay);
  for (const span of spans.buckets) await readSpan(store, { meter, ...rangeOf(span) }, companies, narrow);
  for (const [company, days] of split)
    for (const from of days) await store.eachBucket({ meter, company, from, to: from + DAY_MS }, narrow);
}

/** The whole UTC days, half-open, that have usage; null when none has. */
export async function usageExtent(store: Buckets, meter: string, companies: Companies): Promise<WindowSpan | null> {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  await readSpan(store, { meter, grain: "day" }, companies, ({ start }) => {
    from = Math.min(from, start);
    to = Math.max(to, start + DAY_MS);
  });
  return from < to ? { from, to } : null;
}

/** The part of a query that a span is; open ends are left out. */
function rangeOf({ from, to }: WindowSpan): Pick<UsageQuery, "from" | "to"> {
  return { ...(Number.isFinite(from) ? { from } : {}), ...(Number.isFinite(to) ? { to } : {}) };
}

async function readSpan(
  store: Buckets,
  query: UsageQuery & { readonly meter: string },
  companies: Companies,
  visit: (bucket: Bucket) => void,
): Promise<void> {
  if (companies === null) await store.eachBucket(query, visit);
  else for (const company of companies) await store.eachBucket({ ...query, company }, visit);
}
