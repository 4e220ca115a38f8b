import { isLive, nextId, nowMs, type LocalState } from "../state.ts";
import { enqueueDeliveries, isThinWanted } from "./enqueue.ts";
import type { ThinEvent } from "./records.ts";

/** Where the object of a snapshot event is retrieved. */
const RELATED_PATHS: Readonly<Record<string, string>> = {
  customer: "/v1/customers/",
  subscription: "/v1/subscriptions/",
  invoice: "/v1/invoices/",
  "billing.meter": "/v1/billing/meters/",
};

/** Makes a v2 event and puts it on its way. Returns it. */
export function recordThinEvent(
  state: LocalState,
  type: string,
  facts: Pick<ThinEvent, "related" | "data" | "snapshot">,
): ThinEvent {
  const event: ThinEvent = { id: nextId(state, "evt"), type, createdMs: nowMs(state), ...facts };
  state.thinEvents.push(event);
  enqueueDeliveries(state, {
    id: event.id,
    type,
    payload: "thin",
    body: () => JSON.stringify(notification(state, event)),
  });
  return event;
}

/** Makes the thin event that stands beside a snapshot event, when a destination wants it. */
export function recordThinTwin(
  state: LocalState,
  snapshot: { readonly id: string; readonly type: string; readonly object: object },
): void {
  const type = `v1.${snapshot.type}`;
  if (isThinWanted(state, type)) {
    recordThinEvent(state, type, { related: relatedTo(snapshot.object), data: null, snapshot: snapshot.id });
  }
}

export function relatedTo(object: object): ThinEvent["related"] {
  if (
    !("id" in object) ||
    !("object" in object) ||
    typeof object.id !== "string" ||
    typeof object.object !== "string"
  ) {
    return null;
  }
  const path = RELATED_PATHS[object.object];
  return path === undefined ? null : { id: object.id, type: object.object, url: `${path}${object.id}` };
}

/** The event as it is fetched: the notification with its data. */
export function thinEventObject(state: LocalState, event: ThinEvent): object {
  return { ...notification(state, event), ...(event.data === null ? {} : { data: event.data }) };
}

/** The event as it is sent: it names what changed and holds no data. */
function notification(state: LocalState, { id, type, createdMs, related, snapshot }: ThinEvent): object {
  return {
    id,
    object: "v2.core.event",
    created: new Date(createdMs).toISOString(),
    livemode: isLive(state),
    reason: null,
    related_object: related,
    ...(snapshot === null ? {} : { snapshot_event: snapshot }),
    type,
  };
}
