import { MeterbookError } from "../../../core/errors.ts";
import { localStripeBounds as bounds } from "../bounds.ts";
import { clockMs, nextId, nowMs, type LocalState } from "../state.ts";
import { refuse } from "../stripe-refusal.ts";
import type { WebhookRecord } from "./records.ts";
import { madeSecret } from "./signature.ts";

/** A webhook as it is asked for. The URL was checked by the caller. */
export interface NewWebhook {
  readonly url: string;
  readonly events: readonly string[];
  readonly api: "v1" | "v2";
  readonly payload: "snapshot" | "thin";
  readonly name?: string;
  readonly description?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Registers a webhook; it gets the events from now on. */
export function addWebhook(state: LocalState, webhook: NewWebhook): WebhookRecord {
  if (state.webhooks.size >= bounds.webhooksMax) {
    refuse("webhook.too_many", { message: `You have reached the maximum of ${String(bounds.webhooksMax)} webhooks.` });
  }
  const id = nextId(state, webhook.api === "v1" ? "we" : "ed");
  const { url, events, api, payload } = webhook;
  const record: WebhookRecord = {
    id,
    api,
    createdMs: nowMs(state),
    url,
    events,
    payload,
    secrets: [{ secret: madeSecret(state.settings.account, id, 1), expiresMs: null }],
    isEnabled: true,
    name: webhook.name ?? "",
    description: webhook.description ?? null,
    metadata: webhook.metadata ?? {},
  };
  state.webhooks.set(id, record);
  return record;
}

/** Gives a webhook a new secret; the old ones sign beside it for `overlapMs` more. */
export function rollWebhookSecret(state: LocalState, id: string, overlapMs: number): string {
  const webhook = state.webhooks.get(id);
  if (webhook === undefined) {
    throw new MeterbookError("METER_OPTION_INVALID", `There is no webhook ${id} in this local Stripe.`);
  }
  const secret = madeSecret(state.settings.account, id, webhook.secrets.length + 1);
  const expiresMs = clockMs(state) + overlapMs;
  const older = webhook.secrets.map((each) => (each.expiresMs === null ? { ...each, expiresMs } : each));
  webhook.secrets = [{ secret, expiresMs: null }, ...older];
  return secret;
}

export function currentSecret(webhook: WebhookRecord): string {
  return webhook.secrets[0]?.secret ?? "";
}

/** The webhook of one API that a path names. */
export function registeredWebhook(state: LocalState, api: "v1" | "v2", id: string): WebhookRecord {
  const webhook = state.webhooks.get(id);
  return webhook?.api === api
    ? webhook
    : refuse("webhook.not_found", {
        status: 404,
        message: `No such ${api === "v1" ? "webhook endpoint" : "event destination"}: '${id}'`,
        code: api === "v1" ? "resource_missing" : "not_found",
        param: "id",
      });
}
