import { request as httpRequest } from "node:http";
import { runDue } from "../agenda.ts";
import type { BehaviourKey } from "../behaviours.ts";
import { localStripeBounds as bounds } from "../bounds.ts";
import { clockMs, isLive, type LocalState } from "../state.ts";
import { loopbackLookup } from "./loopback.ts";
import type { PendingDelivery, WebhookRecord } from "./records.ts";
import { signatureHeader } from "./signature.ts";

/** The rows of the behaviours table that delivering shows. */
export const DELIVERY_BEHAVIOURS: readonly BehaviourKey[] = [
  "webhook.signature",
  "webhook.secret_rolled",
  "webhook.retries",
  "webhook.retry_times",
  "webhook.order",
  "webhook.at_least_once",
  "webhook.unregistered",
];

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** From one attempt that failed to the next, by mode. Live, the last pause repeats until three days are over. */
const RETRY_PAUSES_MS = {
  test: [5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS],
  live: [5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 12 * HOUR_MS],
} as const;
const RETRY_AGE_MAX_MS = 72 * HOUR_MS;

/** Tries every delivery that is due, one after the other, until none is. Returns how many attempts were made. */
export async function deliverDue(state: LocalState, signal: AbortSignal): Promise<number> {
  let attempts = 0;
  while (attempts < bounds.deliveriesPerRunMax && !signal.aborted) {
    runDue(state);
    const due = takeDue(state);
    if (due.length === 0) {
      break;
    }
    for (const delivery of due) {
      attempts += await deliver(state, delivery, signal);
    }
  }
  return attempts;
}

function takeDue(state: LocalState): readonly PendingDelivery[] {
  const limitMs = clockMs(state);
  const due = state.deliveries.filter((delivery) => delivery.dueMs <= limitMs);
  state.deliveries = state.deliveries.filter((delivery) => delivery.dueMs > limitMs);
  const inOrder = due.toSorted((a, b) => a.dueMs - b.dueMs);
  return state.disturbance.newestFirst ? inOrder.toReversed() : inOrder;
}

async function deliver(state: LocalState, delivery: PendingDelivery, signal: AbortSignal): Promise<number> {
  const webhook = state.webhooks.get(delivery.webhook);
  if (webhook === undefined || !webhook.isEnabled) {
    return 0;
  }
  const copies = 1 + state.disturbance.duplicates;
  let isDelivered = false;
  for (let copy = 0; copy < copies; copy += 1) {
    const status = await post(state, webhook, delivery, signal);
    isDelivered ||= status !== null && status >= 200 && status < 300;
    log(state, webhook, delivery, status);
  }
  if (!isDelivered) {
    retryLater(state, delivery);
  }
  return copies;
}

function retryLater(state: LocalState, delivery: PendingDelivery): void {
  const pauses = RETRY_PAUSES_MS[state.settings.mode];
  const last = state.settings.mode === "live" ? pauses.at(-1) : undefined;
  const pauseMs = pauses[delivery.attempts] ?? last;
  const now = clockMs(state);
  if (pauseMs !== undefined && now + pauseMs - delivery.firstDueMs <= RETRY_AGE_MAX_MS) {
    state.deliveries.push({ ...delivery, dueMs: now + pauseMs, attempts: delivery.attempts + 1 });
  }
}

/** One HTTP call; null when no answer came. A redirect is an answer like any other and is not followed. */
async function post(
  state: LocalState,
  webhook: WebhookRecord,
  { body }: PendingDelivery,
  signal: AbortSignal,
): Promise<number | null> {
  const now = clockMs(state);
  const secrets = webhook.secrets.filter(({ expiresMs }) => expiresMs === null || expiresMs > now);
  const signature = signatureHeader(body, {
    seconds: Math.floor(now / 1000),
    secrets: secrets.map(({ secret }) => secret),
    isLive: isLive(state),
  });
  return new Promise((resolve) => {
    const sent = httpRequest(
      webhook.url,
      {
        method: "POST",
        agent: false,
        lookup: loopbackLookup,
        signal,
        timeout: bounds.webhookAnswerMs,
        headers: {
          "content-type": "application/json; charset=utf-8",
          "content-length": Buffer.byteLength(body),
          "stripe-signature": signature,
          "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        },
      },
      (answer) => {
        answer.resume();
        answer.once("close", () => resolve(answer.statusCode ?? null));
      },
    );
    sent.once("timeout", () => sent.destroy());
    sent.once("error", () => resolve(null));
    sent.end(body);
  });
}

function log(state: LocalState, webhook: WebhookRecord, delivery: PendingDelivery, status: number | null): void {
  const { event, type, attempts } = delivery;
  const { id, url } = webhook;
  const entry = { at: clockMs(state), webhook: id, url, event, type, attempt: attempts + 1, status };
  state.deliveryLog.push(entry);
  if (state.deliveryLog.length > bounds.deliveriesLoggedMax) {
    state.deliveryLog.shift();
  }
  state.settings.onDelivery(entry);
}
