import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Webhooks, event destinations, thin events. */
export const WEBHOOK_BEHAVIOURS = {
  "webhook_endpoint.create": documented("url and enabled_events; the secret is answered once, here only."),
  "webhook_endpoint.list": documented("Newest first."),
  "webhook_endpoint.retrieve": documented("An endpoint by id, without its secret."),
  "webhook_endpoint.update": documented("url, enabled_events, disabled."),
  "webhook_endpoint.delete": documented("Answers id, object, deleted: true; nothing more is sent."),
  "webhook.loopback_only": guessed(
    "This local Stripe calls http URLs of its own machine only. The real one takes any.",
  ),
  "webhook.too_many": documented("At most 16 endpoints; the words are guessed."),
  "webhook.not_found": seenLive("An unknown id is a 404: resource_missing in v1, not_found in v2."),
  "webhook.signature": documented(
    "Stripe-Signature: t and v1, the HMAC-SHA256 of 't.body'; in test mode a fake v0 besides.",
  ),
  "webhook.secret_rolled": documented("While a secret is rolled the old one signs too: several v1."),
  "webhook.at_least_once": documented("An event can arrive more than once; here on order."),
  "webhook.order": documented("Events arrive in any order; here in theirs, or newest first on order."),
  "webhook.retries": documented(
    "What is not answered with 2xx is tried again: live for 3 days, in test mode three times over some hours.",
  ),
  "webhook.retry_times": guessed("The pauses: 5 min, 30 min, 2 h, live also 5 h, 10 h, 12 h and so on."),
  "webhook.unregistered": guessed("What waits for a deleted or disabled endpoint is not sent any more."),
  "event_destination.create": documented("v2, JSON: type webhook_endpoint, event_payload thin or snapshot."),
  "event_destination.redacted": documented("The URL and the signing secret are answered only when include names them."),
  "event_destination.list": documented("Newest first; one page here."),
  "event_destination.retrieve": documented("A destination by id."),
  "event_destination.delete": documented("Answers id and object; nothing more is sent."),
  "event_destination.switch": documented("disable and enable."),
  "event_destination.ping": documented("Sends v2.core.event_destination.ping."),
  "thin_event.retrieve": documented("A thin event is fetched for its data."),
  "thin_event.list": documented("Newest first; types and object_id filters, next_page_url."),
  "thin_event.not_found": guessed("An unknown event is a 404 with code not_found."),
  "thin_event.twin": documented(
    "Snapshot events have thin ones, v1.customer.created and so on, that name snapshot_event; here once a destination wants them.",
  ),
} as const satisfies Readonly<Record<string, Behaviour>>;
