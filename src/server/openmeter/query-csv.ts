import { csvLine, safeText } from "../../core/csv-text.ts";
import type { MeterAnswer } from "../../engine/usage/meter-question.ts";
import { rfc3339 } from "./instant.ts";
import { figures, labelOf, ownLabels } from "./query-rows.ts";

/** A name that stands beside a subject or customer in a table. */
export interface Names {
  /** Key → name for people. */
  readonly subjects: ReadonlyMap<string, string>;
}

/** Fraction digits that OpenMeter writes; a figure with more keeps them all. */
const FRACTION_DIGITS = 6;

/** A v1 answer as CSV (RFC 4180): window_start, window_end, the subject, the labels, value. */
export function queryCsv(groupBy: readonly string[], answer: MeterAnswer, names: Names): string {
  const rows = figures(answer);
  const bySubject = groupBy.includes("subject") || rows.some(({ row }) => row.subject !== null);
  const byCustomer = rows.some(({ row }) => row.customer !== null);
  const labels = ownLabels(groupBy);
  const head = [
    "window_start",
    "window_end",
    ...(bySubject ? ["subject", "subject_display_name"] : []),
    ...(byCustomer ? ["customer_id"] : []),
    ...labels,
    "value",
  ];
  const lines = rows.map(({ value, row }) => {
    const subject = row.subject ?? "";
    const before = [rfc3339(row.from), rfc3339(row.to)];
    const whose = [
      ...(bySubject ? [subject, names.subjects.get(subject) ?? ""] : []),
      ...(byCustomer ? [row.customer ?? ""] : []),
    ];
    const own = labels.map((label) => labelOf(row, label) ?? "");
    return csvLine([...before, ...[...whose, ...own].map(safeText), fixed(value)]);
  });
  return [csvLine(head.map(safeText)), ...lines, ""].join("\r\n");
}

/** An exact decimal with at least as many fraction digits as OpenMeter writes; none is ever cut. */
export function fixed(value: string): string {
  const [integer = "", fraction = ""] = value.split(".");
  return `${integer}.${fraction.padEnd(FRACTION_DIGITS, "0")}`;
}
