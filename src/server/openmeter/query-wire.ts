import { z } from "zod";

import type { LabelFilter, MeterQuestion, QueryWindow } from "../../engine/usage/meter-question.ts";
import { limits } from "../../engine/limits.ts";
import { instant } from "./instant.ts";
import { filterString, labelFilterOf, type FilterString } from "./label-filter-wire.ts";
import { sentList } from "./sent-list.ts";
import { refusal, type WireNames } from "./wire-mistakes.ts";

/** OpenMeter's windows, and three of our own behind them. */
export const WINDOW_SIZES = ["MINUTE", "HOUR", "DAY", "MONTH", "WEEK", "QUARTER", "YEAR"] as const;
type WindowSize = (typeof WINDOW_SIZES)[number];

const WINDOWS: Readonly<Record<WindowSize, QueryWindow>> = {
  MINUTE: { unit: "minute", count: 1 },
  HOUR: { unit: "hour", count: 1 },
  DAY: { unit: "day", count: 1 },
  WEEK: { unit: "week", count: 1 },
  MONTH: { unit: "month", count: 1 },
  QUARTER: { unit: "quarter", count: 1 },
  YEAR: { unit: "year", count: 1 },
};

/** The reserved name of the grouping by customer. */
export const CUSTOMER_LABEL = "customer_id";

/** What v1 calls the members of a question. */
export const QUERY_NAMES: WireNames = {
  window: "windowSize",
  zone: "windowTimeZone",
  subjects: "subject",
  customers: "filterCustomerId",
  filters: "filterGroupBy",
  progressId: "clientId",
};

const advancedText = z.string().transform((text, context): Readonly<Record<string, FilterString>> => {
  const read = z.record(z.string(), filterString).safeParse(parsed(text));
  if (read.success) return read.data;
  context.addIssue("a JSON object of filters by label is wanted");
  return z.NEVER;
});

const common = {
  clientId: z.string().min(1).max(limits.openmeterClientIdMax).optional(),
  from: instant.optional(),
  to: instant.optional(),
  windowSize: z.enum(WINDOW_SIZES).optional(),
  windowTimeZone: z.string().optional(),
};

/** The parameters of `GET …/query`. */
export const queryParameters = z.object({
  ...common,
  subject: sentList.optional(),
  filterCustomerId: sentList.pipe(z.array(z.string()).max(limits.openmeterFilterCustomersMax)).optional(),
  filterGroupBy: z.record(z.string(), sentList).optional(),
  advancedMeterGroupByFilters: advancedText.optional(),
  groupBy: sentList.optional(),
});

/** The body of `POST …/query`. */
export const queryBody = z.object({
  ...common,
  subject: z.array(z.string()).optional(),
  filterCustomerId: z.array(z.string()).max(limits.openmeterFilterCustomersMax).optional(),
  filterGroupBy: z.record(z.string(), z.array(z.string())).optional(),
  advancedMeterGroupByFilters: z.record(z.string(), filterString).optional(),
  groupBy: z.array(z.string()).optional(),
});

/** What a caller asks in v1, over either method. */
export type QueryAsked = z.output<typeof queryParameters>;

/** The question of a v1 query. Throws METER_REQUEST_INVALID. */
export function questionOf(meter: string, asked: QueryAsked): MeterQuestion {
  const { clientId, from, to, windowSize, windowTimeZone, subject, filterCustomerId, groupBy } = asked;
  checkSpan(from, to);
  const filters = filtersOf(asked);
  return {
    meter,
    window: windowSize === undefined ? null : WINDOWS[windowSize],
    zone: windowTimeZone ?? "UTC",
    groupBy: (groupBy ?? []).map(nativeLabel),
    fill: false,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(isEmpty(subject) ? {} : { subjects: subject ?? [] }),
    ...(isEmpty(filterCustomerId) ? {} : { customers: filterCustomerId ?? [] }),
    ...(filters === null ? {} : { filters }),
    ...(clientId === undefined ? {} : { progressId: clientId }),
  };
}

/** The name of a label in the engine: only the grouping by customer is called otherwise. */
export function nativeLabel(label: string): string {
  return label === CUSTOMER_LABEL ? "customer" : label;
}

/** Refuses a span that is empty or runs backwards. */
export function checkSpan(from: number | undefined, to: number | undefined): void {
  if (from === undefined || to === undefined || from < to) return;
  const message = from === to ? "from and to are the same instant" : "to lies before from";
  throw refusal([{ pointer: "/to", message }]);
}

function filtersOf({
  filterGroupBy,
  advancedMeterGroupByFilters,
}: QueryAsked): Readonly<Record<string, LabelFilter>> | null {
  if (filterGroupBy !== undefined && advancedMeterGroupByFilters !== undefined) {
    const message = "either this or filterGroupBy, not both";
    throw refusal([{ pointer: "/advancedMeterGroupByFilters", message }]);
  }
  if (advancedMeterGroupByFilters !== undefined) {
    return mapped(advancedMeterGroupByFilters, labelFilterOf);
  }
  if (filterGroupBy === undefined) return null;
  return mapped(filterGroupBy, ([only = "", ...others]) =>
    others.length === 0 ? { eq: only } : { in: [only, ...others] },
  );
}

function mapped<From, To>(
  record: Readonly<Record<string, From>>,
  map: (from: From) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(record).map(([label, from]) => [label, map(from)] as const));
}

function isEmpty(list: readonly string[] | undefined): boolean {
  return list === undefined || list.length === 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
