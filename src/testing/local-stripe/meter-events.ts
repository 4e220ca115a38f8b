import { localStripeBounds as bounds } from "./bounds.ts";
import { meterNamed } from "./meters.ts";
import { onlyParameters, optionalInteger, optionalText, requiredMap, requiredText, textMap } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { isLive, nextId, nowMs, nowSeconds, type LocalState } from "./state.ts";
import { refuse, StripeRefusal } from "./stripe-refusal.ts";
import { judgeMeterEvent } from "./validation/judge.ts";
import { receiveJudged, receiveUnjudged } from "./validation/receive.ts";
import { isRejection } from "./validation/rejection.ts";

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
    lane: meterEventLane,
  },
];

/** The (customer, meter) that a call is about; null = cannot be told. */
export function meterEventLane({ state, form }: Call): string | null {
  const { event_name: eventName, payload } = form;
  const meter = typeof eventName === "string" ? meterNamed(state, eventName) : null;
  return meter === null || typeof payload !== "object" ? null : JSON.stringify([eventName, payload[meter.customerKey]]);
}

/** Whether an identifier is still remembered. */
export function isIdentifierTaken(state: LocalState, identifier: string): boolean {
  const earlier = state.identifiers.get(identifier);
  return earlier !== undefined && nowMs(state) - earlier.receivedAt < state.settings.identifierHorizonMs;
}

function createMeterEvent({ state, form, idempotencyKey, rejectLater }: Call): object {
  onlyParameters(form, ["event_name", "payload", "identifier", "timestamp"]);
  const eventName = requiredText(form, "event_name", { lengthMax: bounds.eventNameLengthMax });
  const payload = textMap(requiredMap(form, "payload"), "payload");
  const given = optionalText(form, "identifier", { lengthMax: bounds.identifierLengthMax });
  const timestamp = optionalInteger(form, "timestamp") ?? nowSeconds(state);
  const sent = { eventName, payload, timestamp };
  const judged = state.settings.validateLater ? null : judgeMeterEvent(state, sent, nowMs(state));
  if (isRejection(judged)) {
    throw new StripeRefusal(judged.behaviour, judged.text);
  }
  const identifier = given ?? nextId(state, "mevt");
  if (isIdentifierTaken(state, identifier)) {
    refuse("meter_event.duplicate_identifier", {
      message: `An event already exists with identifier ${identifier}.`,
      headers: { "stripe-should-retry": "false" },
    });
  }
  if (judged === null || rejectLater !== null) {
    receiveUnjudged(state, sent, { identifier, idempotencyKey, doom: rejectLater });
  } else {
    receiveJudged(state, judged, identifier);
  }
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
