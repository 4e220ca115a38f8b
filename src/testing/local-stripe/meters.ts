import { localStripeBounds as bounds } from "./bounds.ts";
import type { FormTree } from "./form-body.ts";
import { listPage, PAGE_PARAMETERS } from "./pages.ts";
import { missing, onlyParameters, optionalChoice, optionalMap, requiredMap, requiredText } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { isLive, nextId, nowSeconds, type LocalState, type MeterRecord } from "./state.ts";
import { refuse, refuseMissing } from "./stripe-refusal.ts";

const FORMULAS = ["count", "last", "sum"] as const;
const METER_PARAMETERS = [
  "default_aggregation",
  "display_name",
  "event_name",
  "customer_mapping",
  "event_time_window",
  "value_settings",
];
const WINDOWS = ["day", "hour"] as const;

export const meterRoutes: readonly Route[] = [
  {
    operation: "meter.create",
    method: "POST",
    path: "/v1/billing/meters",
    right: "rak_billing_meter_write",
    behaviours: ["meter.create"],
    answer: ({ state, form }) => meterObject(state, addMeter(state, readMeter(form))),
  },
  {
    operation: "meter.list",
    method: "GET",
    path: "/v1/billing/meters",
    right: "rak_billing_meter_read",
    behaviours: ["meter.list", "page.cursor"],
    answer: ({ state, form }) => {
      onlyParameters(form, [...PAGE_PARAMETERS, "status"]);
      const status = optionalChoice(form, "status", ["active", "inactive"]);
      const entries = [...state.meters.values()].toReversed().map((meter) => {
        const listed = status === null || statusOf(meter) === status;
        return { id: meter.id, object: listed ? meterObject(state, meter) : null };
      });
      return listPage(entries, form, "/v1/billing/meters", "meter");
    },
  },
  {
    operation: "meter.retrieve",
    method: "GET",
    path: "/v1/billing/meters/:id",
    right: "rak_billing_meter_read",
    behaviours: ["meter.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, []);
      return meterObject(call.state, pathMeter(call));
    },
  },
  {
    operation: "meter.update",
    method: "POST",
    path: "/v1/billing/meters/:id",
    right: "rak_billing_meter_write",
    behaviours: ["meter.update"],
    answer: (call) => {
      const meter = pathMeter(call);
      onlyParameters(call.form, ["display_name"]);
      const name = call.form["display_name"] === undefined ? meter.displayName : displayName(call.form);
      meter.displayName = name;
      meter.updated = nowSeconds(call.state);
      return meterObject(call.state, meter);
    },
  },
  statusRoute("deactivate"),
  statusRoute("reactivate"),
];

/** A meter as it is asked for; absent keys take Stripe's defaults. */
export interface NewMeter {
  readonly eventName: string;
  readonly displayName?: string;
  readonly formula?: "sum" | "count" | "last";
  readonly customerKey?: string;
  readonly valueKey?: string;
  readonly window?: "hour" | "day" | null;
}

/** A meter of the API; the other fields are as Stripe documents them. */
export interface MeterObject {
  readonly id: string;
  readonly event_name: string;
  readonly [field: string]: unknown;
}

/** Adds a meter as a POST would, without one. */
export function addMeter(state: LocalState, meter: NewMeter): MeterRecord {
  if (meterNamed(state, meter.eventName) !== null) {
    refuse("meter.event_name_taken", {
      message: `There is already a meter with the event name '${meter.eventName}'.`,
      code: "resource_already_exists",
      param: "event_name",
    });
  }
  const created = nowSeconds(state);
  const record: MeterRecord = {
    id: nextId(state, "mtr"),
    created,
    updated: created,
    displayName: meter.displayName ?? meter.eventName,
    eventName: meter.eventName,
    formula: meter.formula ?? "sum",
    customerKey: meter.customerKey ?? "stripe_customer_id",
    valueKey: meter.valueKey ?? "value",
    window: meter.window ?? null,
    deactivatedAt: null,
  };
  state.meters.set(record.id, record);
  return record;
}

/** Switches a meter on or off; one that is so already keeps its time. */
export function setMeterStatus(state: LocalState, meter: MeterRecord, isActive: boolean): void {
  const now = nowSeconds(state);
  meter.deactivatedAt = isActive ? null : (meter.deactivatedAt ?? now);
  meter.updated = now;
}

export function meterNamed(state: LocalState, eventName: string): MeterRecord | null {
  return [...state.meters.values()].find((meter) => meter.eventName === eventName) ?? null;
}

/** The meter that the path names. */
export function pathMeter({ state, path }: Call): MeterRecord {
  const id = path["id"] ?? "";
  return state.meters.get(id) ?? refuseMissing("meter.not_found", "meter", id);
}

/** The JSON of a meter as the API answers it. */
export function meterObject(state: LocalState, meter: MeterRecord): MeterObject {
  return {
    id: meter.id,
    object: "billing.meter",
    created: meter.created,
    customer_mapping: { event_payload_key: meter.customerKey, type: "by_id" },
    default_aggregation: { formula: meter.formula },
    display_name: meter.displayName,
    event_name: meter.eventName,
    event_time_window: meter.window,
    livemode: isLive(state),
    status: statusOf(meter),
    status_transitions: { deactivated_at: meter.deactivatedAt },
    updated: meter.updated,
    value_settings: { event_payload_key: meter.valueKey },
  };
}

function statusOf(meter: MeterRecord): "active" | "inactive" {
  return meter.deactivatedAt === null ? "active" : "inactive";
}

function statusRoute(verb: "deactivate" | "reactivate"): Route {
  const target = verb === "deactivate" ? "inactive" : "active";
  return {
    operation: `meter.${verb}`,
    method: "POST",
    path: `/v1/billing/meters/:id/${verb}`,
    right: "rak_billing_meter_write",
    behaviours: [`meter.${verb}`],
    answer: (call) => {
      onlyParameters(call.form, []);
      const meter = pathMeter(call);
      if (statusOf(meter) === target) {
        refuse("meter.same_status", { message: `The meter '${meter.id}' is already ${target}.` });
      }
      setMeterStatus(call.state, meter, target === "active");
      return meterObject(call.state, meter);
    },
  };
}

function readMeter(form: FormTree): NewMeter {
  onlyParameters(form, METER_PARAMETERS);
  const aggregation = requiredMap(form, "default_aggregation");
  const mapping = optionalMap(form, "customer_mapping");
  const values = optionalMap(form, "value_settings");
  if (mapping !== null && optionalChoice(mapping, "type", ["by_id"], "customer_mapping[type]") === null) {
    missing("customer_mapping[type]");
  }
  return {
    displayName: displayName(form),
    eventName: requiredText(form, "event_name", { lengthMax: bounds.eventNameLengthMax }),
    formula:
      optionalChoice(aggregation, "formula", FORMULAS, "default_aggregation[formula]") ??
      missing("default_aggregation[formula]"),
    ...(mapping === null ? {} : { customerKey: payloadKey(mapping, "customer_mapping") }),
    ...(values === null ? {} : { valueKey: payloadKey(values, "value_settings") }),
    window: optionalChoice(form, "event_time_window", WINDOWS),
  };
}

function displayName(form: FormTree): string {
  return requiredText(form, "display_name", { lengthMax: bounds.displayNameLengthMax });
}

function payloadKey(tree: FormTree, outer: string): string {
  return requiredText(tree, "event_payload_key", {
    label: `${outer}[event_payload_key]`,
    lengthMax: bounds.payloadKeyLengthMax,
  });
}
