import { localStripeBounds as bounds } from "./bounds.ts";
import { isIdentifierTaken, meterEventLane } from "./meter-events.ts";
import { onlyParameters, optionalText, requiredMap, requiredText, textMap } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { isLive, nextId, nowMs } from "./state.ts";
import { refuse, StripeRefusal } from "./stripe-refusal.ts";
import { judgeMeterEvent } from "./validation/judge.ts";
import { receiveJudged, receiveUnjudged } from "./validation/receive.ts";
import { isRejection, v2Code } from "./validation/rejection.ts";

/** RFC 3339 with a zone, as v2 writes instants. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

export const meterEventV2Routes: readonly Route[] = [
  {
    operation: "meter_event_v2.create",
    method: "POST",
    path: "/v2/billing/meter_events",
    right: "rak_billing_meter_event_write",
    behaviours: ["meter_event_v2.create", "meter_event_v2.codes"],
    answer: createMeterEvent,
    lane: meterEventLane,
  },
];

function createMeterEvent({ state, form, idempotencyKey, rejectLater }: Call): object {
  onlyParameters(form, ["event_name", "payload", "identifier", "timestamp"]);
  const eventName = requiredText(form, "event_name", { lengthMax: bounds.eventNameLengthMax });
  const payload = textMap(requiredMap(form, "payload"), "payload");
  const given = optionalText(form, "identifier", { lengthMax: bounds.identifierLengthMax });
  const instantMs = readInstant(optionalText(form, "timestamp")) ?? nowMs(state);
  const sent = { eventName, payload, timestamp: Math.floor(instantMs / 1000) };
  const judged = judgeMeterEvent(state, sent, nowMs(state));
  if (isRejection(judged)) {
    throw new StripeRefusal(judged.behaviour, { message: judged.text.message, code: v2Code(judged) });
  }
  const identifier = given ?? nextId(state, "mevt");
  if (isIdentifierTaken(state, identifier)) {
    refuse("meter_event_v2.duplicate", {
      message: `An event already exists with identifier ${identifier}.`,
      code: "duplicate_meter_event",
    });
  }
  if (rejectLater === null) {
    receiveJudged(state, judged, identifier);
  } else {
    receiveUnjudged(state, sent, { identifier, idempotencyKey, doom: rejectLater });
  }
  return {
    object: "v2.billing.meter_event",
    created: new Date(nowMs(state)).toISOString(),
    event_name: eventName,
    identifier,
    livemode: isLive(state),
    payload,
    timestamp: new Date(instantMs).toISOString(),
  };
}

function readInstant(text: string | null): number | null {
  if (text === null) {
    return null;
  }
  const instantMs = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(instantMs)
    ? refuse("meter_event_v2.timestamp", { message: `Invalid timestamp: ${text}`, code: "invalid_fields" })
    : instantMs;
}
