import { localStripeBounds as bounds } from "./bounds.ts";
import { missing, onlyParameters, optionalChoice, requiredMap, requiredText } from "./parameters.ts";
import type { Route } from "./route.ts";
import { isLive, nowMs } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

export const adjustmentRoutes: readonly Route[] = [
  {
    operation: "meter_event_adjustment.create",
    method: "POST",
    path: "/v1/billing/meter_event_adjustments",
    right: "rak_billing_meter_event_write",
    behaviours: ["adjustment.cancel", "adjustment.status", "adjustment.window"],
    answer: ({ state, form }) => {
      onlyParameters(form, ["event_name", "type", "cancel"]);
      const eventName = requiredText(form, "event_name", { lengthMax: bounds.eventNameLengthMax });
      const type = optionalChoice(form, "type", ["cancel"]) ?? missing("type");
      const identifier = requiredText(requiredMap(form, "cancel"), "identifier", {
        label: "cancel[identifier]",
        lengthMax: bounds.identifierLengthMax,
      });
      const event = state.identifiers.get(identifier);
      if (event === undefined || event.eventName !== eventName) {
        return refuse("adjustment.unknown_identifier", {
          message: `No meter event exists with identifier ${identifier} for event_name '${eventName}'.`,
          param: "cancel[identifier]",
        });
      }
      if (nowMs(state) - event.receivedAt > bounds.cancelMs) {
        refuse("adjustment.too_late", {
          message: `The meter event with identifier ${identifier} was received more than 24 hours ago and cannot be cancelled.`,
          param: "cancel[identifier]",
        });
      }
      event.cancelled = true;
      return {
        object: "billing.meter_event_adjustment",
        cancel: { identifier },
        event_name: eventName,
        livemode: isLive(state),
        status: "complete",
        type,
      };
    },
  },
];
