import { emptyState, resultOf, type AggregateState, type StateDraft } from "../../core/aggregation.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { groupLabels } from "../../core/usage.ts";
import { limits } from "../limits.ts";
import type { JudgedQuestion } from "./judged-question.ts";
import type { MeterRow } from "./meter-question.ts";

/** Milliseconds UTC; null = not known. */
export interface RowBounds {
  readonly from: number | null;
  readonly to: number | null;
}

/** The rows of one customer, subject and group, by the begin of their window. */
export interface Series {
  readonly subject: string | null;
  readonly customer: string | null;
  readonly group: string;
  readonly drafts: Map<number, StateDraft>;
}

/** The one window where time is not cut. */
export const WHOLE = 0;

interface Window {
  readonly from: number;
  readonly to: number;
}

/** The rows of an answer: by window, then in the order of the series, which are those of customer, subject and group. */
export function rowsOf(question: JudgedQuestion, series: readonly Series[], bounds: RowBounds): readonly MeterRow[] {
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

/** METER_REQUEST_INVALID for an answer that would be too long. */
export function assertRows(count: number): void {
  if (count <= limits.queryRowsMax) return;
  const message = `The answer would have more than ${limits.queryRowsMax} rows: ask for a shorter span, wider windows or fewer groups.`;
  throw new MeterbookError("METER_REQUEST_INVALID", message, { mistakes: [{ pointer: "/window", message }] });
}
