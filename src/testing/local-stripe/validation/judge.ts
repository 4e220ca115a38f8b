import type { Decimal } from "../../../core/decimal.ts";
import { localStripeBounds as bounds } from "../bounds.ts";
import { readMeteredValue } from "../metered-value.ts";
import { meterNamed } from "../meters.ts";
import type { LocalState, MeterRecord } from "../state.ts";
import { isRejection, rejection, type Rejection } from "./rejection.ts";

/** A meter event as it is sent. */
export interface SentEvent {
  readonly eventName: string;
  readonly payload: Readonly<Record<string, string>>;
  /** Seconds. */
  readonly timestamp: number;
}

/** An event whose meter, customer and value are known. */
export interface JudgedEvent {
  readonly meter: MeterRecord;
  readonly customer: string;
  readonly value: Decimal | null;
  readonly timestamp: number;
}

/** Judges an event as it was received at `receivedMs`, by the meters and customers of now. */
export function judgeMeterEvent(state: LocalState, sent: SentEvent, receivedMs: number): JudgedEvent | Rejection {
  const { eventName, payload, timestamp } = sent;
  const meter = activeMeter(state, eventName);
  if (isRejection(meter)) {
    return meter;
  }
  const customer = payload[meter.customerKey];
  if (customer === undefined) {
    return rejection("meter_event.no_customer_key", {
      message: `The payload must contain the customer mapping key '${meter.customerKey}'.`,
      param: `payload[${meter.customerKey}]`,
    });
  }
  const value = meteredValue(meter, payload);
  if (isRejection(value)) {
    return value;
  }
  return (
    timestampRejection(timestamp, receivedMs) ??
    customerRejection(state, customer, meter) ?? { meter, customer, value, timestamp }
  );
}

function activeMeter(state: LocalState, eventName: string): MeterRecord | Rejection {
  const meter = meterNamed(state, eventName);
  if (meter === null) {
    return rejection("meter_event.no_meter", {
      message: `No such meter with event_name '${eventName}'`,
      code: "resource_missing",
      param: "event_name",
    });
  }
  return meter.deactivatedAt === null
    ? meter
    : rejection("meter_event.inactive_meter", {
        message: `No active meter found with event_name '${eventName}'`,
        param: "event_name",
      });
}

function meteredValue(meter: MeterRecord, payload: SentEvent["payload"]): Decimal | null | Rejection {
  const text = payload[meter.valueKey];
  if (text !== undefined) {
    return readMeteredValue(text, meter.valueKey);
  }
  return meter.formula === "count"
    ? null
    : rejection("meter_event.no_value", {
        message: `The payload must contain the value key '${meter.valueKey}'.`,
        param: `payload[${meter.valueKey}]`,
      });
}

function timestampRejection(timestamp: number, receivedMs: number): Rejection | null {
  const received = Math.floor(receivedMs / 1000);
  const oldest = received - bounds.eventAgeMaxSeconds;
  const newest = received + bounds.eventAheadMaxSeconds;
  if (timestamp < oldest) {
    return rejection("meter_event.too_old", {
      message: `The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal to ${String(oldest)}.`,
      param: "timestamp",
    });
  }
  return timestamp <= newest
    ? null
    : rejection("meter_event.in_future", {
        message: `The event timestamp cannot be more than 5 minutes in the future. Expected a timestamp less than or equal to ${String(newest)}.`,
        param: "timestamp",
      });
}

function customerRejection(state: LocalState, customer: string, meter: MeterRecord): Rejection | null {
  return state.customers.get(customer)?.deleted === false
    ? null
    : rejection("meter_event.no_such_customer", {
        message: `No such customer: '${customer}'`,
        code: "resource_missing",
        param: `payload[${meter.customerKey}]`,
      });
}
