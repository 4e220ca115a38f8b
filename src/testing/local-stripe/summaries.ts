import { formatDecimal } from "../../core/decimal.ts";
import { aggregate, countedEvents } from "./ledger.ts";
import { pathMeter } from "./meters.ts";
import { listPage, PAGE_PARAMETERS, type ListEntry } from "./pages.ts";
import { onlyParameters, optionalChoice, requiredInteger, requiredText } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { isLive, nowMs, type LocalState, type MeterEventRecord, type MeterRecord } from "./state.ts";
import { refuse, refuseMissing } from "./stripe-refusal.ts";

const GROUP_SECONDS = { hour: 3_600, day: 86_400 } as const;
const MINUTE_SECONDS = 60;

export const summaryRoutes: readonly Route[] = [
  {
    operation: "meter_event_summary.list",
    method: "GET",
    path: "/v1/billing/meters/:id/event_summaries",
    right: "rak_billing_meter_read",
    behaviours: [
      "summary.range",
      "summary.grouping",
      "summary.order",
      "summary.empty",
      "summary.lag",
      "summary.number",
      "page.cursor",
    ],
    answer: listSummaries,
  },
];

function listSummaries(call: Call): object {
  const { state, form } = call;
  onlyParameters(form, [...PAGE_PARAMETERS, "customer", "start_time", "end_time", "value_grouping_window"]);
  const meter = pathMeter(call);
  const customer = requiredText(form, "customer");
  const start = requiredInteger(form, "start_time");
  const end = requiredInteger(form, "end_time");
  const grouping = optionalChoice(form, "value_grouping_window", ["day", "hour"]);
  checkAligned(start, end, grouping);
  if (!state.customers.has(customer)) refuseMissing("customer.not_found", "customer", customer, "customer");
  const visibleUpTo = nowMs(state) - state.lags.summaryMs;
  const events = countedEvents(state, meter, customer, visibleUpTo).filter(
    ({ timestamp }) => timestamp >= start && timestamp < end,
  );
  const entries = spans(events, start, end, grouping).map((span) => summaryEntry(state, meter, customer, span));
  return listPage(entries, form, `/v1/billing/meters/${meter.id}/event_summaries`, "billing.meter_event_summary");
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly events: readonly MeterEventRecord[];
}

/** Spans that hold events, newest first. */
function spans(
  events: readonly MeterEventRecord[],
  start: number,
  end: number,
  grouping: "hour" | "day" | null,
): readonly Span[] {
  if (grouping === null) {
    return events.length === 0 ? [] : [{ start, end, events }];
  }
  const seconds = GROUP_SECONDS[grouping];
  const groups = new Map<number, MeterEventRecord[]>();
  for (const event of events) {
    const from = Math.floor(event.timestamp / seconds) * seconds;
    groups.set(from, [...(groups.get(from) ?? []), event]);
  }
  return [...groups]
    .toSorted(([a], [b]) => b - a)
    .map(([from, grouped]) => ({ start: from, end: from + seconds, events: grouped }));
}

function summaryEntry(state: LocalState, meter: MeterRecord, customer: string, span: Span): ListEntry {
  const id = `mtrusg_L${[meter.id, customer].map((part) => part.slice(4)).join("")}${String(span.start)}${String(span.end)}`;
  return {
    id,
    object: {
      id,
      object: "billing.meter_event_summary",
      aggregated_value: Number(formatDecimal(aggregate(meter, span.events))),
      end_time: span.end,
      livemode: isLive(state),
      meter: meter.id,
      start_time: span.start,
    },
  };
}

function checkAligned(start: number, end: number, grouping: "hour" | "day" | null): void {
  const seconds = grouping === null ? MINUTE_SECONDS : GROUP_SECONDS[grouping];
  for (const [param, time] of [
    ["start_time", start],
    ["end_time", end],
  ] as const) {
    if (time % seconds !== 0) {
      refuse("summary.unaligned", {
        message: `The ${param} must be aligned with ${grouping ?? "minute"} boundaries.`,
        param,
      });
    }
  }
  if (end <= start) {
    refuse("summary.unaligned", { message: "The end_time must be after the start_time.", param: "end_time" });
  }
}
