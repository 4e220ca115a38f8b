import {
  absorb,
  accumulate,
  emptyDraft,
  emptyState,
  resultOf,
  type AggregateState,
  type StateDraft,
} from "../../core/aggregation.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ownMember } from "../../core/own-member.ts";
import { groupLabels, groupText, SUBJECT_LABEL } from "../../core/usage.ts";
import type { MeteredValue } from "../../core/verdict.ts";
import { limits } from "../limits.ts";
import type { Attribution } from "../registry/customer.ts";
import type { JudgedQuestion } from "./judged-question.ts";
import type { MeterRow } from "./meter-question.ts";

/** The rows of an answer while they are added up. */
export interface RowTable {
  /** Adds usage that lies in the window of this instant; false when a filter keeps it out. */
  addState(company: string, group: string, time: number, state: AggregateState): boolean;
  /** Adds one event's share. */
  addValue(company: string, group: string, time: number, value: MeteredValue, order: number): boolean;
  /** Whether the filters let usage pass. */
  passes(company: string, group: string, time: number): boolean;
  /** By window, then customer, subject and group; `bounds` are those of a row without a window. */
  rows(bounds: RowBounds): readonly MeterRow[];
}

/** Milliseconds UTC; null = not known. */
export interface RowBounds {
  readonly from: number | null;
  readonly to: number | null;
}

/** The rows of one customer, subject and group, by the begin of their window. */
interface Series {
  readonly subject: string | null;
  readonly customer: string | null;
  readonly group: string;
  readonly drafts: Map<number, StateDraft>;
}

/** What one company's group stands for; the series by customer, since a subject may change hands. */
interface Lane {
  readonly subject: string;
  readonly group: string;
  readonly series: Map<string | null, Series>;
}

/** The one window where time is not cut. */
const WHOLE = 0;

export function rowTable(question: JudgedQuestion, attribution: Attribution): RowTable {
  const { windows, byCustomer, bySubject } = question;
  const kind = question.meter.aggregate;
  const wanted = question.customers === null ? null : new Set(question.customers.map(({ id }) => id));
  const lanes = new Map<string, Map<string, Lane | null>>();
  const all = new Map<string, Series>();
  let rowCount = 0;
  for (const { subject, customer } of stated(question)) seriesAt(customer, subject, "{}");

  const laneAt = (company: string, group: string): Lane | null => {
    let own = lanes.get(company);
    if (own === undefined) {
      own = new Map();
      lanes.set(company, own);
    }
    let lane = own.get(group);
    if (lane === undefined) {
      lane = laneOf(question, company, group);
      own.set(group, lane);
    }
    return lane;
  };
  const customerAt = (lane: Lane, company: string, time: number): string | null | undefined => {
    if (!byCustomer) return null;
    const id = attribution.customerOf(company, lane.subject, time)?.id ?? null;
    return wanted === null || (id !== null && wanted.has(id)) ? id : undefined;
  };
  const draftAt = (company: string, group: string, time: number): StateDraft | null => {
    const lane = laneAt(company, group);
    const customer = lane === null ? undefined : customerAt(lane, company, time);
    if (lane === null || customer === undefined) return null;
    let series = lane.series.get(customer);
    if (series === undefined) {
      series = seriesAt(customer, bySubject ? lane.subject : null, lane.group);
      lane.series.set(customer, series);
    }
    const start = windows === null ? WHOLE : windows.spanOf(time).from;
    let draft = series.drafts.get(start);
    if (draft === undefined) {
      rowCount += 1;
      assertRows(rowCount);
      draft = emptyDraft(kind);
      series.drafts.set(start, draft);
    }
    return draft;
  };
  function seriesAt(customer: string | null, subject: string | null, group: string): Series {
    const key = JSON.stringify([customer, subject, group]);
    let series = all.get(key);
    if (series === undefined) {
      series = { customer, subject, group, drafts: new Map() };
      all.set(key, series);
    }
    return series;
  }

  return {
    addState: (company, group, time, state) => {
      const draft = draftAt(company, group, time);
      if (draft !== null) absorb(kind, draft, state);
      return draft !== null;
    },
    addValue: (company, group, time, value, order) => {
      const draft = draftAt(company, group, time);
      if (draft !== null) accumulate(kind, draft, value, time, order);
      return draft !== null;
    },
    passes: (company, group, time) => {
      const lane = laneAt(company, group);
      return lane !== null && customerAt(lane, company, time) !== undefined;
    },
    rows: (bounds) => rowsOf(question, [...all.values()].toSorted(bySeries), bounds),
  };
}

/** Null when the filters keep the group out. */
function laneOf({ subjects, subjectTest, tests, labels }: JudgedQuestion, company: string, group: string): Lane | null {
  const stored = groupLabels(group);
  const text = (label: string): string => ownMember(stored, label) ?? "";
  const subject = ownMember(stored, SUBJECT_LABEL) ?? company;
  if (subjects !== null && !subjects.has(subject)) return null;
  if (subjectTest !== null && !subjectTest(subject)) return null;
  if (!tests.every(([label, test]) => test(text(label)))) return null;
  const kept = labels.length === 0 ? "{}" : groupText(Object.fromEntries(labels.map((label) => [label, text(label)])));
  return { subject, group: kept, series: new Map() };
}

/** Series that have rows also without usage, where empty windows are filled. */
function stated(
  question: JudgedQuestion,
): readonly { readonly subject: string | null; readonly customer: string | null }[] {
  const { fill, labels, bySubject, byCustomer, subjects, customers } = question;
  if (!fill || labels.length > 0 || (bySubject && byCustomer)) return [];
  if (bySubject) return [...(subjects ?? [])].map((subject) => ({ subject, customer: null }));
  if (byCustomer) return (customers ?? []).map(({ id }) => ({ subject: null, customer: id }));
  return [{ subject: null, customer: null }];
}

interface Window {
  readonly from: number;
  readonly to: number;
}

function rowsOf(question: JudgedQuestion, series: readonly Series[], bounds: RowBounds): readonly MeterRow[] {
  const { windows, fill } = question;
  const kind = question.meter.aggregate;
  const rowOf = (
    { subject, customer }: Series,
    group: MeterRow["group"],
    span: Window,
    state: AggregateState,
  ): MeterRow => {
    const value = resultOf(kind, state);
    const figure = value === null ? null : formatDecimal(value);
    return { from: span.from, to: span.to, value: figure, events: state.events, subject, customer, group };
  };
  if (windows === null) return wholeRows(question, series, bounds, rowOf);
  const starts = fill
    ? filledStarts(question, series, bounds)
    : new Set(series.flatMap(({ drafts }) => [...drafts.keys()]));
  const ordered = [...starts].toSorted((a, b) => a - b);
  if (fill) assertRows(ordered.length * series.length);
  const none = emptyState(kind);
  // The series are in order already, so each window's rows come in order too.
  const byWindow = new Map<number, { readonly span: Window; readonly rows: MeterRow[] }>(
    ordered.map((start) => [start, { span: windows.spanOf(start), rows: [] }]),
  );
  for (const each of series) {
    const group = groupLabels(each.group);
    for (const start of fill ? ordered : each.drafts.keys()) {
      const window = byWindow.get(start);
      window?.rows.push(rowOf(each, group, window.span, each.drafts.get(start) ?? none));
    }
  }
  return [...byWindow.values()].flatMap(({ rows }) => rows);
}

type MakeRow = (series: Series, group: MeterRow["group"], span: Window, state: AggregateState) => MeterRow;

/** One row for each series; how many there were of nothing at all is 0, while the greatest of nothing is no row. */
function wholeRows(
  question: JudgedQuestion,
  series: readonly Series[],
  { from, to }: RowBounds,
  rowOf: MakeRow,
): MeterRow[] {
  if (from === null || to === null) return [];
  const { meter, labels, bySubject, byCustomer, fill } = question;
  const span = { from, to };
  const none = emptyState(meter.aggregate);
  const rows = series.map((each) => rowOf(each, groupLabels(each.group), span, each.drafts.get(WHOLE) ?? none));
  const isCounted = meter.aggregate === "count" || meter.aggregate === "unique";
  if (rows.length > 0 || !(isCounted || fill) || labels.length > 0 || bySubject || byCustomer) return rows;
  return [rowOf({ subject: null, customer: null, group: "{}", drafts: new Map() }, {}, span, none)];
}

/** Windows from the first to the last that the question, or else its usage, has. */
function filledStarts(
  { windows }: JudgedQuestion,
  series: readonly Series[],
  { from, to }: RowBounds,
): ReadonlySet<number> {
  let [first, last] = [from ?? Number.POSITIVE_INFINITY, to ?? Number.NEGATIVE_INFINITY];
  for (const { drafts } of series) {
    for (const start of drafts.keys()) {
      if (from === null) first = Math.min(first, start);
      if (to === null) last = Math.max(last, start + 1);
    }
  }
  const starts = new Set<number>();
  if (windows === null || !Number.isFinite(first) || !Number.isFinite(last)) return starts;
  for (const span of windows.spansOf(first, last)) {
    starts.add(span.from);
    assertRows(starts.size);
  }
  return starts;
}

function assertRows(count: number): void {
  if (count <= limits.queryRowsMax) return;
  const message = `The answer would have more than ${limits.queryRowsMax} rows: ask for a shorter span, wider windows or fewer groups.`;
  throw new MeterbookError("METER_REQUEST_INVALID", message, { mistakes: [{ pointer: "/window", message }] });
}

function bySeries(a: Series, b: Series): number {
  return (
    byCodeUnit(a.customer ?? "", b.customer ?? "") ||
    byCodeUnit(a.subject ?? "", b.subject ?? "") ||
    byCodeUnit(a.group, b.group)
  );
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
