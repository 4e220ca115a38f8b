import type { Catalog } from "../../core/catalog.ts";
import { bucketStart, DAY_MS, type Bucket } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import { countedInSpan, type ReadingCount } from "./cut-usage.ts";
import type { JudgedQuestion } from "./judged-question.ts";
import type { QueryView } from "./meter-query.ts";
import type { OwnerTurns } from "./owner-turns.ts";
import type { RowTable } from "./row-table.ts";
import { readUsage, type Companies } from "./usage-reading.ts";
import { narrowSpans, wholeSpans, type UsageSpans } from "./usage-spans.ts";

interface MinutesQuestion {
  readonly view: QueryView;
  readonly catalog: Catalog;
  readonly question: JudgedQuestion;
  readonly companies: Companies;
  readonly table: RowTable;
  readonly turns: OwnerTurns;
  readonly spent: ReadingCount;
  readonly mayReadEvents: boolean;
}

const MINUTE_MS = 60_000;

/**
 * The first minute with usage and the end of the last one, of all that the question's filters let pass: of the outer
 * buckets the events are read. Where they are purged, it is the bucket's edge. Null when there is no usage; `events` when
 * events must be read and may not.
 */
export async function usageMinutes(asked: MinutesQuestion): Promise<WindowSpan | null | "events"> {
  const { view, question, mayReadEvents } = asked;
  const [from, to] = [question.from ?? Number.NEGATIVE_INFINITY, question.to ?? Number.POSITIVE_INFINITY];
  const days = await edgesOf(asked, wholeSpans(from, to));
  if (days === null) return null;
  const first = await edgesOf(asked, narrowSpans(days.first, days.first + DAY_MS));
  const last = await edgesOf(asked, narrowSpans(days.last, days.last + DAY_MS));
  if (first === null || last === null) return null;
  const buckets = { from: first.first, to: last.last + view.bucketMs };
  if (view.bucketMs <= MINUTE_MS) return buckets;
  if (!mayReadEvents) return "events";
  const outer = { from: first.first, to: first.first + view.bucketMs };
  const inner = { from: last.last, to: last.last + view.bucketMs };
  const firstTime = question.from === null ? await timeIn(asked, outer, "first") : null;
  const lastTime = question.to === null ? await timeIn(asked, inner, "last") : null;
  return {
    from: firstTime === null ? buckets.from : bucketStart(firstTime, MINUTE_MS),
    to: lastTime === null ? buckets.to : bucketStart(lastTime, MINUTE_MS) + MINUTE_MS,
  };
}

/** Begins of the first and the last bucket that pass. */
async function edgesOf(
  { view, question, companies, table, turns }: MinutesQuestion,
  spans: UsageSpans,
): Promise<{ readonly first: number; readonly last: number } | null> {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const passes = ({ company, group, start, state }: Bucket): boolean =>
    state.events > 0 &&
    [start, ...turns.within(company, start, start + view.bucketMs)].some((time) => table.passes(company, group, time));
  await readUsage(view, question.meter.key, companies, spans, turns, (bucket) => {
    if ((bucket.start >= first && bucket.start <= last) || !passes(bucket)) return;
    first = Math.min(first, bucket.start);
    last = Math.max(last, bucket.start);
  });
  return first <= last ? { first, last } : null;
}

async function timeIn(
  { view, catalog, question, table, spent }: MinutesQuestion,
  span: WindowSpan,
  which: "first" | "last",
): Promise<number | null> {
  let found: number | null = null;
  // When purged usage was counted within its bucket is not known any more.
  if ((await view.archivedBuckets({ meter: question.meter.key, ...span })).length > 0) return null;
  for await (const values of countedInSpan(view, catalog, question.meter.key, span, spent)) {
    const times = values
      .filter(({ company, group, time }) => table.passes(company, group, time))
      .map(({ time }) => time);
    // Pages come in the order of event time.
    if (which === "first" && times[0] !== undefined) return times[0];
    found = times.at(-1) ?? found;
  }
  return found;
}
