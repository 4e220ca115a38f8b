import type { MeterAnswer, MeterRow } from "../../engine/usage/meter-question.ts";
import { rfc3339 } from "./instant.ts";
import { CUSTOMER_LABEL, type QueryAsked } from "./query-wire.ts";

/**
 * A v1 answer as JSON text. It is written here, since its values are JSON numbers and JSON.stringify knows only doubles:
 * 0.3 stays 0.3, and 9007199254740993 what it is.
 */
export function queryText(asked: QueryAsked, answer: MeterAnswer): string {
  const { from, to, windowSize } = asked;
  const head = JSON.stringify({
    ...(from === undefined ? {} : { from: rfc3339(from) }),
    ...(to === undefined ? {} : { to: rfc3339(to) }),
    ...(windowSize === undefined ? {} : { windowSize }),
  }).slice(1, -1);
  const labels = ownLabels(asked.groupBy ?? []);
  const rows = figures(answer).map(({ value, row }) => rowText(value, row, labels));
  return `{${head}${head === "" ? "" : ","}"data":[${rows.join(",")}]}`;
}

/** A row with a figure; where there is none, OpenMeter has no row. */
export interface Figure {
  readonly value: string;
  readonly row: MeterRow;
}

/** The rows of an answer that have a figure. */
export function figures({ rows }: MeterAnswer): readonly Figure[] {
  return rows.flatMap((row) => (row.value === null ? [] : [{ value: row.value, row }]));
}

/** The labels of a grouping that are the meter's own. */
export function ownLabels(groupBy: readonly string[]): readonly string[] {
  return groupBy.filter((label) => label !== "subject" && label !== CUSTOMER_LABEL);
}

/** A group's text for a label; null where it has none. */
export function labelOf(row: MeterRow, label: string): string | null {
  return Object.hasOwn(row.group, label) ? (row.group[label] ?? null) : null;
}

function rowText(value: string, row: MeterRow, labels: readonly string[]): string {
  const { from, to, subject, customer } = row;
  const rest = JSON.stringify({
    windowStart: rfc3339(from),
    windowEnd: rfc3339(to),
    subject,
    ...(customer === null ? {} : { customerId: customer }),
    groupBy: Object.fromEntries(labels.map((label) => [label, labelOf(row, label)] as const)),
  });
  return `{"value":${value},${rest.slice(1)}`;
}
