import { absorb, accumulate, emptyDraft, type AggregateState, type StateDraft } from "../../core/aggregation.ts";
import type { MeteredValue } from "../../core/verdict.ts";
import { limits } from "../limits.ts";
import type { Attribution } from "../registry/customer.ts";
import { assertRows, rowsOf, WHOLE, type RowBounds } from "./answer-rows.ts";
import type { JudgedQuestion } from "./judged-question.ts";
import type { MeterRow } from "./meter-question.ts";
import { usageLanes } from "./usage-lanes.ts";

/** The rows of an answer while they are added up. What the question's filters keep out is left out. */
export interface RowTable {
  /** Adds usage that lies in the window of this instant. */
  addState(company: string, group: string, time: number, state: AggregateState): void;
  /** Adds one event's share. */
  addValue(company: string, group: string, time: number, value: MeteredValue, order: number): void;
  /** METER_REQUEST_INVALID when there are more rows than an answer may have: some were left out. */
  assertSize(): void;
  /** Whether the filters let usage pass. */
  passes(company: string, group: string, time: number): boolean;
  /** By window, then customer, subject and group; `bounds` are those of a row without a window. */
  rows(bounds: RowBounds): readonly MeterRow[];
}

/** An empty table for the rows of this question. */
export function rowTable(question: JudgedQuestion, attribution: Attribution): RowTable {
  const { windows } = question;
  const kind = question.meter.aggregate;
  const lanes = usageLanes(question, attribution);
  let rowCount = 0;
  const draftAt = (company: string, group: string, time: number): StateDraft | null => {
    const series = lanes.seriesOf(company, group, time);
    if (series === null) return null;
    const start = windows === null ? WHOLE : windows.spanOf(time).from;
    let draft = series.drafts.get(start);
    if (draft === undefined) {
      rowCount += 1;
      // Nothing is thrown while the store is read; beyond the bound nothing more is kept.
      if (rowCount > limits.queryRowsMax) return null;
      draft = emptyDraft(kind);
      series.drafts.set(start, draft);
    }
    return draft;
  };
  return {
    addState: (company, group, time, state) => {
      const draft = draftAt(company, group, time);
      if (draft !== null) absorb(kind, draft, state);
    },
    addValue: (company, group, time, value, order) => {
      const draft = draftAt(company, group, time);
      if (draft !== null) accumulate(kind, draft, value, time, order);
    },
    assertSize: () => assertRows(rowCount),
    passes: (company, group, time) => lanes.passes(company, group, time),
    rows: (bounds) => rowsOf(question, lanes.all(), bounds),
  };
}
