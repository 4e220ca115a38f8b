import { csvLine, safeText } from "../../core/csv-text.ts";
import { z } from "zod";

import type {
  LabelFilter,
  MeterAnswer,
  MeterQuestion,
  MeterRow,
  QueryWindow,
} from "../../engine/usage/meter-question.ts";
import { limits } from "../../engine/limits.ts";
import type { Customer } from "../../engine/registry/customer.ts";
import { instant, rfc3339 } from "./instant.ts";
import { figures, labelOf, ownLabels } from "./query-rows.ts";
import { checkSpan, CUSTOMER_LABEL, nativeLabel } from "./query-wire.ts";
import { refusal, type WireNames } from "./wire-mistakes.ts";

/** v3's windows by their ISO 8601 duration, and three of our own behind them. */
const GRANULARITIES = ["PT1M", "PT1H", "P1D", "P1M", "P1W", "P3M", "P1Y"] as const;
const WINDOWS: Readonly<Record<(typeof GRANULARITIES)[number], QueryWindow>> = {
  PT1M: { unit: "minute", count: 1 },
  PT1H: { unit: "hour", count: 1 },
  P1D: { unit: "day", count: 1 },
  P1W: { unit: "week", count: 1 },
  P1M: { unit: "month", count: 1 },
  P3M: { unit: "quarter", count: 1 },
  P1Y: { unit: "year", count: 1 },
};

/** What v3 calls the members of a question. */
export const V3_QUERY_NAMES: WireNames = {
  window: "granularity",
  zone: "time_zone",
  groupBy: "group_by_dimensions",
  filters: "filters/dimensions",
  customers: "filters/dimensions/customer_id",
};

interface DimensionFilter {
  readonly exists?: boolean | undefined;
  readonly eq?: string | undefined;
  readonly neq?: string | undefined;
  readonly in?: readonly string[] | undefined;
  readonly nin?: readonly string[] | undefined;
  readonly contains?: string | undefined;
  readonly ncontains?: string | undefined;
  readonly and?: readonly DimensionFilter[] | undefined;
  readonly or?: readonly DimensionFilter[] | undefined;
}

const texts = z.array(z.string()).max(limits.openmeterFilterCustomersMax).optional();
const dimensionFilter: z.ZodType<DimensionFilter> = z.strictObject({
  exists: z.boolean().optional(),
  eq: z.string().optional(),
  neq: z.string().optional(),
  in: texts,
  nin: texts,
  contains: z.string().optional(),
  ncontains: z.string().optional(),
  and: z.lazy(() => z.array(dimensionFilter)).optional(),
  or: z.lazy(() => z.array(dimensionFilter)).optional(),
});

/** The body of v3's `POST …/query`. */
export const v3Query = z.object({
  from: instant.nullish(),
  to: instant.nullish(),
  granularity: z.enum(GRANULARITIES).nullish(),
  time_zone: z.string().nullish(),
  group_by_dimensions: z.array(z.string()).max(limits.openmeterFilterCustomersMax).nullish(),
  filters: z.object({ dimensions: z.record(z.string(), dimensionFilter).nullish() }).nullish(),
});
export type V3Query = z.output<typeof v3Query>;

/** The question of a v3 query. Throws METER_REQUEST_INVALID. */
export function v3Question(meter: string, asked: V3Query): MeterQuestion {
  const [from, to] = [asked.from ?? undefined, asked.to ?? undefined];
  checkSpan(from, to);
  const filters = Object.entries(asked.filters?.dimensions ?? {});
  const customers = filters.find(([label]) => label === CUSTOMER_LABEL)?.[1];
  const others = filters.filter(([label]) => label !== CUSTOMER_LABEL);
  return {
    meter,
    window: asked.granularity ? WINDOWS[asked.granularity] : null,
    zone: asked.time_zone ?? "UTC",
    groupBy: (asked.group_by_dimensions ?? []).map(nativeLabel),
    fill: false,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(customers === undefined ? {} : { customers: named(customers) }),
    ...(others.length === 0
      ? {}
      : { filters: Object.fromEntries(others.map(([label, filter]) => [label, filterOf(filter)] as const)) }),
  };
}

/** A v3 answer: values are decimal texts, and subject and customer are dimensions as any other. */
export function v3Answer(asked: V3Query, answer: MeterAnswer): object {
  const labels = ownLabels(asked.group_by_dimensions ?? []);
  return {
    ...(asked.from ? { from: rfc3339(asked.from) } : {}),
    ...(asked.to ? { to: rfc3339(asked.to) } : {}),
    data: figures(answer).map(({ value, row }) => ({
      value,
      from: rfc3339(row.from),
      to: rfc3339(row.to),
      dimensions: dimensionsOf(row, labels),
    })),
  };
}

/** A v3 answer as CSV (RFC 4180): from, to, subject, the customer, the dimensions, value. */
export function v3Csv(asked: V3Query, answer: MeterAnswer, customers: ReadonlyMap<string, Customer>): string {
  const groupBy = asked.group_by_dimensions ?? [];
  const [bySubject, byCustomer] = [groupBy.includes("subject"), groupBy.includes(CUSTOMER_LABEL)];
  const labels = ownLabels(groupBy);
  const head = [
    "from",
    "to",
    ...(bySubject ? ["subject"] : []),
    ...(byCustomer ? ["customer_id", "customer_key", "customer_name"] : []),
    ...labels,
    "value",
  ];
  const lines = figures(answer).map(({ value, row }) => {
    const customer = customers.get(row.customer ?? "");
    const cells = [
      ...(bySubject ? [row.subject ?? ""] : []),
      ...(byCustomer ? [row.customer ?? "", customer?.key ?? "", customer?.name ?? ""] : []),
      ...labels.map((label) => labelOf(row, label) ?? ""),
    ];
    return csvLine([rfc3339(row.from), rfc3339(row.to), ...cells.map(safeText), value]);
  });
  return [csvLine(head.map(safeText)), ...lines, ""].join("\r\n");
}

function dimensionsOf(row: MeterRow, labels: readonly string[]): Readonly<Record<string, string>> {
  const { subject, customer } = row;
  return {
    ...(subject === null ? {} : { subject }),
    ...(customer === null ? {} : { [CUSTOMER_LABEL]: customer }),
    ...Object.fromEntries(labels.map((label) => [label, labelOf(row, label) ?? ""] as const)),
  };
}

function named(filter: DimensionFilter): readonly string[] {
  const { eq, in: within, ...others } = filter;
  if (Object.keys(others).length === 0 && (eq === undefined) !== (within === undefined)) return within ?? [eq ?? ""];
  const pointer = `/filters/dimensions/${CUSTOMER_LABEL}`;
  throw refusal([{ pointer, message: "customers are named with eq or in" }]);
}

function filterOf(filter: DimensionFilter): LabelFilter {
  const { exists, eq, neq, in: within, nin, contains, ncontains, and, or } = filter;
  const presence: readonly LabelFilter[] = exists === undefined ? [] : [exists ? { ne: "" } : { eq: "" }];
  const all = [...presence, ...(and ?? []).map(filterOf)];
  return {
    ...(eq === undefined ? {} : { eq }),
    ...(neq === undefined ? {} : { ne: neq }),
    ...(within === undefined ? {} : { in: within }),
    ...(nin === undefined ? {} : { nin }),
    ...(contains === undefined ? {} : { like: `%${plain(contains)}%` }),
    ...(ncontains === undefined ? {} : { nlike: `%${plain(ncontains)}%` }),
    ...(all.length === 0 ? {} : { and: all }),
    ...(or === undefined ? {} : { or: or.map(filterOf) }),
  };
}

/** Only texts without signs of a pattern can be looked for by one. */
function plain(text: string): string {
  if (!/[%_\\]/.test(text)) return text;
  throw refusal([{ pointer: "/filters/dimensions", message: "contains takes no %, _ or backslash" }]);
}
