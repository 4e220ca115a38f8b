import { nowMs, type LocalState } from "../state.ts";
import type { WebhookRecord } from "./records.ts";

/** An event as it goes out; its body is made only when somebody wants it. */
export interface OutgoingEvent {
  readonly id: string;
  readonly type: string;
  readonly payload: "snapshot" | "thin";
  readonly body: () => string;
}

/** Puts an event on its way to every webhook that wants it. */
export function enqueueDeliveries(state: LocalState, event: OutgoingEvent): void {
  const dueMs = nowMs(state) + state.disturbance.delayMs;
  for (const webhook of state.webhooks.values()) {
    if (webhook.payload === event.payload && wants(webhook, event.type)) {
      const { id, type } = event;
      state.deliveries.push({
        webhook: webhook.id,
        event: id,
        type,
        body: event.body(),
        dueMs,
        firstDueMs: dueMs,
        attempts: 0,
      });
    }
  }
}

/** Whether some webhook wants thin events of a type: only then are they made for what has a snapshot event. */
export function isThinWanted(state: LocalState, type: string): boolean {
  return [...state.webhooks.values()].some((webhook) => webhook.payload === "thin" && wants(webhook, type));
}

function wants(webhook: WebhookRecord, type: string): boolean {
  return webhook.isEnabled && (webhook.events.includes(type) || webhook.events.includes("*"));
}
