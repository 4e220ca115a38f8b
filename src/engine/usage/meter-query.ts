import type { Catalog } from "../../core/catalog.ts";
import { bucketStart, DAY_MS } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";
import type { Attribution } from "../registry/customer.ts";
import { countedInSpan, tooManyEvents, type OnQueryProgress, type ReadingCount } from "./cut-usage.ts";
import { judgeQuestion, type JudgedQuestion } from "./judged-question.ts";
import type { MeterAnswer, MeterQuestion } from "./meter-question.ts";
import { ownerTurns, type OwnerTurns } from "./owner-turns.ts";
import { rowTable, type RowTable } from "./row-table.ts";
import { usageMinutes } from "./usage-minutes.ts";
import { readUsage, usageExtent, type Companies } from "./usage-reading.ts";
import { narrowSpans, wholeSpans, windowSpans, type UsageSpans } from "./usage-spans.ts";

/** What of a store a question is answered from. */
export type QueryView = Pick<
  StoreView,
  "bucketMs" | "eachBucket" | "archivedBuckets" | "eventsInSpan" | "meterVersions"
>;

/**
 * Usage of one meter by window, customer, subject and label. A row's window is whole, also where a bound cuts it; what
 * is counted lies between the bounds. A window that cuts usage buckets is exact as long as the events are kept; of
 * purged ones a bucket's usage lies where the bucket begins. Without a window the row's open bounds are the first and
 * last minute with usage. Throws METER_NOT_FOUND and METER_REQUEST_INVALID as judgeQuestion does.
 */
export async function queryMeter(
  store: QueryView & Pick<Store, "snapshot">,
  catalog: Catalog,
  attribution: Attribution,
  asked: MeterQuestion,
  onProgress: OnQueryProgress = () => undefined,
): Promise<MeterAnswer> {
  const question = await judgeQuestion(store, catalog, attribution, asked);
  const fromBuckets = await answered({ view: store, catalog, attribution, question, onProgress }, false);
  if (fromBuckets !== null) return fromBuckets;
  // Buckets and events must be of one instant: between two readings an event may be purged.
  const view = await store.snapshot();
  try {
    const exact = await answered({ view, catalog, attribution, question, onProgress }, true);
    if (exact === null) throw new TypeError("a question that reads events has no answer");
    return exact;
  } finally {
    await view.close();
  }
}

interface Answering {
  readonly view: QueryView;
  readonly catalog: Catalog;
  readonly attribution: Attribution;
  readonly question: JudgedQuestion;
  readonly onProgress: OnQueryProgress;
}

/** Null when events must be read and may not. */
async function answered(answering: Answering, mayReadEvents: boolean): Promise<MeterAnswer | null> {
  const { view, attribution, question } = answering;
  const { meter, from, to, windows } = question;
  const companies = companiesOf(question, attribution);
  const table = rowTable(question, attribution);
  const spans = await spansOf(view, question, companies);
  const turns = ownerTurns(question, attribution);
  const cut = new CutBuckets(question, view.bucketMs, turns);
  await readUsage(view, meter.key, companies, spans, turns, ({ company, group, start, state }, isDay) => {
    if (isDay || !cut.has(company, start)) table.addState(company, group, start, state);
    else cut.note(start, state.events);
  });
  if (!cut.isEmpty && !mayReadEvents) return null;
  if (cut.events > limits.queryEventsMax) throw tooManyEvents();
  const spent: ReadingCount = { events: 0 };
  if (!cut.isEmpty) await addCut(answering, companies, table, cut, spent);
  table.assertSize();
  let bounds = { from, to };
  if (windows === null && (from === null || to === null)) {
    const minutes = await usageMinutes({ ...answering, companies, table, turns, spent, mayReadEvents });
    if (minutes === "events") return null;
    bounds = { from: from ?? minutes?.from ?? null, to: to ?? minutes?.to ?? null };
  }
  return { meter: meter.key, from, to, rows: table.rows(bounds), eventsRead: spent.events };
}

/** Companies under which usage of the asked customers is stored. */
function companiesOf({ customers }: JudgedQuestion, attribution: Attribution): Companies {
  if (customers === null) return null;
  return [...new Set(customers.flatMap((customer) => attribution.companiesOf(customer)))];
}

async function spansOf(view: QueryView, question: JudgedQuestion, companies: Companies): Promise<UsageSpans> {
  const { from, to, windows, isOfDays, isLong } = question;
  const [first, end] = [from ?? Number.NEGATIVE_INFINITY, to ?? Number.POSITIVE_INFINITY];
  if (isOfDays || windows === null) return wholeSpans(first, end);
  if (!isLong) return narrowSpans(first, end);
  if (end - first <= WALKED_MS) return windowSpans(first, end, windows);
  // Windows are walked: not those before and after all usage.
  const extent = await usageExtent(view, question.meter.key, companies);
  if (extent === null) return narrowSpans(first, first);
  return windowSpans(Math.max(first, extent.from), Math.min(end, extent.to), windows);
}

/** Questions over less than about a year are walked without asking where usage begins and ends. */
const WALKED_MS = 400 * DAY_MS;

/** Buckets that lie in two windows, only in part between the bounds, or are two customers': their events must be looked at. */
class CutBuckets {
  private readonly question: JudgedQuestion;
  private readonly bucketMs: number;
  private readonly turns: OwnerTurns;
  private readonly known = new Map<number, boolean>();
  private readonly starts = new Set<number>();
  /** Events that the meter counted in them. */
  events = 0;

  constructor(question: JudgedQuestion, bucketMs: number, turns: OwnerTurns) {
    this.question = question;
    this.bucketMs = bucketMs;
    this.turns = turns;
  }

  get isEmpty(): boolean {
    return this.starts.size === 0;
  }

  /** Whether a company's bucket that starts here is one of them. */
  has(company: string, start: number): boolean {
    return this.isCut(start) || this.turns.within(company, start, start + this.bucketMs).length > 0;
  }

  private isCut(start: number): boolean {
    let isCut = this.known.get(start);
    if (isCut === undefined) {
      const { from, to, windows } = this.question;
      const end = start + this.bucketMs;
      isCut = (from !== null && start < from) || (to !== null && end > to) || (windows?.spanOf(start).to ?? end) < end;
      this.known.set(start, isCut);
    }
    return isCut;
  }

  note(start: number, events: number): void {
    this.starts.add(start);
    this.events += events;
  }

  /** Their spans between the bounds, neighbours as one. */
  spans(): readonly WindowSpan[] {
    const { from, to } = this.question;
    const spans: WindowSpan[] = [];
    for (const start of [...this.starts].toSorted((a, b) => a - b)) {
      const last = spans.at(-1);
      const end = start + this.bucketMs;
      if (last?.to === start) spans[spans.length - 1] = { from: last.from, to: end };
      else spans.push({ from: start, to: end });
    }
    return spans.map((span) => ({
      from: from === null ? span.from : Math.max(span.from, from),
      to: to === null ? span.to : Math.min(span.to, to),
    }));
  }
}

/** Adds the events of cut buckets, and what purged events left in them. */
async function addCut(
  { view, catalog, question, onProgress }: Answering,
  companies: Companies,
  table: RowTable,
  cut: CutBuckets,
  spent: ReadingCount,
): Promise<void> {
  const meter = question.meter.key;
  const payers = companies === null ? null : new Set(companies);
  const total = cut.events;
  let read = 0;
  await onProgress({ read, total });
  for (const span of cut.spans()) {
    for await (const values of countedInSpan(view, catalog, meter, span, spent)) {
      for (const { company, group, time, value, order } of values) {
        if (payers !== null && !payers.has(company)) continue;
        if (!cut.has(company, bucketStart(time, view.bucketMs))) continue;
        table.addValue(company, group, time, value, order);
        read += 1;
      }
      await onProgress({ read: Math.min(read, total), total });
    }
    for (const { company, group, start, state } of await view.archivedBuckets({ meter, ...span }))
      if (start >= span.from && cut.has(company, start)) table.addState(company, group, start, state);
  }
  await onProgress({ read: total, total });
}
