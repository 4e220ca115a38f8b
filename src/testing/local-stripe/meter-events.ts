import type { Decimal } from "../../core/decimal.ts";
import { localStripeBounds as bounds } from "./bounds.ts";
import { recordMeterEvent } from "./ledger.ts";
import { readMeteredValue } from "./metered-value.ts";
import { meterNamed } from "./meters.ts";
import { onlyParameters, optionalInteger, optionalText, requiredMap, requiredText, textMap } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { isLive, nextId, nowMs, nowSeconds, type LocalState, type MeterRecord } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

export const meterEventRoutes: readonly Route[] = [
  {
    operation: "meter_event.create",
    method: "POST",
    path: "/v1/billing/meter_events",
    right: "rak_billing_meter_event_write",
    behaviours: [
      "meter_event.create",
      "meter_event.check_order",
      "meter_event.timestamp_default",
      "meter_event.identifier_generated",
      "meter_event.identifier_memory",
      "meter_event.identifier_scope",
      "meter_event.negative_value",
      "meter_event.window",
    ],
    answer: createMeterEvent,
    lane: ({ state, form }) => {
      const { event_name: eventName, payload } = form;
      const meter = typeof eventName === "string" ? meterNamed(state, eventName) : null;
      return meter === null || typeof payload !== "object"
        ? null
        : JSON.stringify([eventName, payload[meter.customerKey]]);
    },
  },
];

function createMeterEvent({ state, form }: Call): object {
  onlyParameters(form, ["event_name", "payload", "identifier", "timestamp"]);
  const eventName = requiredText(form, "event_name", { lengthMax: bounds.eventNameLengthMax });
  const payload = textMap(requiredMap(form, "payload"), "payload");
  const given = optionalText(form, "identifier", { lengthMax: bounds.identifierLengthMax });
  const meter = activeMeter(state, eventName);
  const customer = payload[meter.customerKey] ?? noCustomerKey(meter);
  const value = meteredValue(meter, payload);
  const timestamp = optionalInteger(form, "timestamp") ?? nowSeconds(state);
  checkTimestamp(state, timestamp);
  checkCustomer(state, customer, meter);
  const identifier = given ?? nextId(state, "mevt");
  checkIdentifier(state, identifier);
  recordMeterEvent(state, { meter, customer, identifier, timestamp, value });
  return {
    object: "billing.meter_event",
    created: nowSeconds(state),
    event_name: eventName,
    identifier,
    livemode: isLive(state),
    payload,
    timestamp,
  };
}

function activeMeter(state: LocalState, eventName: string): MeterRecord {
  const meter = meterNamed(state, eventName);
  if (meter === null) {
    return refuse("meter_event.no_meter", {
      message: `No such meter with event_name '${eventName}'`,
      code: "resource_missing",
      param: "event_name",
    });
  }
  return meter.deactivatedAt === null
    ? meter
    : refuse("meter_event.inactive_meter", {
        message: `No active meter found with event_name '${eventName}'`,
        param: "event_name",
      });
}

function noCustomerKey(meter: MeterRecord): never {
  return refuse("meter_event.no_customer_key", {
    message: `The payload must contain the customer mapping key '${meter.customerKey}'.`,
    param: `payload[${meter.customerKey}]`,
  });
}

function meteredValue(meter: MeterRecord, payload: Readonly<Record<string, string>>): Decimal | null {
  const text = payload[meter.valueKey];
  if (text !== undefined) {
    return readMeteredValue(text, meter.valueKey);
  }
  return meter.formula === "count"
    ? null
    : refuse("meter_event.no_value", {
        message: `The payload must contain the value key '${meter.valueKey}'.`,
        param: `payload[${meter.valueKey}]`,
      });
}

function checkTimestamp(state: LocalState, timestamp: number): void {
  const oldest = nowSeconds(state) - bounds.eventAgeMaxSeconds;
  const newest = nowSeconds(state) + bounds.eventAheadMaxSeconds;
  if (timestamp < oldest) {
    refuse("meter_event.too_old", {
      message: `The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal to ${String(oldest)}.`,
      param: "timestamp",
    });
  }
  if (timestamp > newest) {
    refuse("meter_event.in_future", {
      message: `The event timestamp cannot be more than 5 minutes in the future. Expected a timestamp less than or equal to ${String(newest)}.`,
      param: "timestamp",
    });
  }
}

function checkCustomer(state: LocalState, customer: string, meter: MeterRecord): void {
  if (state.customers.get(customer)?.deleted !== false) {
    refuse("meter_event.no_such_customer", {
      message: `No such customer: '${customer}'`,
      code: "resource_missing",
      param: `payload[${meter.customerKey}]`,
    });
  }
}

function checkIdentifier(state: LocalState, identifier: string): void {
  const earlier = state.identifiers.get(identifier);
  if (earlier !== undefined && nowMs(state) - earlier.receivedAt < state.settings.identifierHorizonMs) {
    refuse("meter_event.duplicate_identifier", {
      message: `An event already exists with identifier ${identifier}.`,
      headers: { "stripe-should-retry": "false" },
    });
  }
}
