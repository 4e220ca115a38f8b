import { localStripeBounds } from "./bounds.ts";
import { createdFilter } from "./created-filter.ts";
import { listPage, PAGE_PARAMETERS } from "./pages.ts";
import { onlyParameters, optionalText, textList } from "./parameters.ts";
import type { Route } from "./route.ts";
import { isLive, nextId, nowMs, type AccountEvent, type LocalState } from "./state.ts";
import { refuseMissing } from "./stripe-refusal.ts";
import { enqueueDeliveries } from "./webhooks/enqueue.ts";
import { recordThinTwin } from "./webhooks/thin-events.ts";

export const accountEventRoutes: readonly Route[] = [
  {
    operation: "event.list",
    method: "GET",
    path: "/v1/events",
    right: "rak_event_read",
    behaviours: ["account_event.list", "page.cursor"],
    answer: ({ state, form }) => {
      onlyParameters(form, [...PAGE_PARAMETERS, "type", "types", "created"], ["delivery_success"]);
      const type = optionalText(form, "type");
      const types = textList(form, "types");
      const wanted = createdFilter(form);
      const entries = reachable(state).map((event) => {
        const typeFits =
          (type === null || typeFitsPattern(event.type, type)) && (types.length === 0 || types.includes(event.type));
        return { id: event.id, object: typeFits && wanted(seconds(event)) ? eventObject(state, event) : null };
      });
      return listPage(entries, form, "/v1/events", "event");
    },
  },
  {
    operation: "event.retrieve",
    method: "GET",
    path: "/v1/events/:id",
    right: "rak_event_read",
    behaviours: ["account_event.retrieve"],
    answer: ({ state, form, path }) => {
      onlyParameters(form, []);
      const id = path["id"] ?? "";
      const event = reachable(state).find((each) => each.id === id);
      return event === undefined ? refuseMissing("account_event.not_found", "event", id) : eventObject(state, event);
    },
  },
];

/** Writes a line into the account's event list, with the object as it is now, and sends it to the webhooks. No request = done in the dashboard. */
export function recordAccountEvent(
  state: LocalState,
  type: string,
  object: object,
  request: AccountEvent["request"] = { id: null, idempotencyKey: null },
): void {
  const event = { id: nextId(state, "evt"), type, createdMs: nowMs(state), object, request };
  state.accountEvents.push(event);
  enqueueDeliveries(state, {
    id: event.id,
    type,
    payload: "snapshot",
    body: () => JSON.stringify(eventObject(state, event), null, 2),
  });
  recordThinTwin(state, event);
}

function reachable(state: LocalState): readonly AccountEvent[] {
  const oldest = nowMs(state) - localStripeBounds.accountEventAgeMaxMs;
  return state.accountEvents.filter((event) => event.createdMs >= oldest).toReversed();
}

function typeFitsPattern(type: string, pattern: string): boolean {
  return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

function seconds(event: AccountEvent): number {
  return Math.floor(event.createdMs / 1000);
}

function eventObject(state: LocalState, event: AccountEvent): object {
  return {
    id: event.id,
    object: "event",
    api_version: null,
    created: seconds(event),
    data: { object: event.object },
    livemode: isLive(state),
    pending_webhooks: state.deliveries.filter((delivery) => delivery.event === event.id).length,
    request: { id: event.request.id, idempotency_key: event.request.idempotencyKey },
    type: event.type,
  };
}
