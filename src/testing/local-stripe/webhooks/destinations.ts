import { changedMetadata } from "../metadata.ts";
import { pageLimit } from "../pages.ts";
import {
  missing,
  onlyParameters,
  optionalChoice,
  optionalText,
  requiredMap,
  requiredText,
  textList,
} from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { isLive, type LocalState } from "../state.ts";
import { loopbackUrl } from "./loopback.ts";
import type { WebhookRecord } from "./records.ts";
import { addWebhook, currentSecret, registeredWebhook } from "./registry.ts";
import { recordThinEvent, thinEventObject } from "./thin-events.ts";

const PATH = "/v2/core/event_destinations";
const PARAMETERS = [
  "type",
  "event_payload",
  "enabled_events",
  "name",
  "description",
  "webhook_endpoint",
  "include",
  "metadata",
];

export const eventDestinationRoutes: readonly Route[] = [
  {
    operation: "event_destination.create",
    method: "POST",
    path: PATH,
    right: "rak_event_destination_write",
    behaviours: ["event_destination.create", "event_destination.redacted"],
    answer: createDestination,
  },
  {
    operation: "event_destination.list",
    method: "GET",
    path: PATH,
    right: "rak_event_destination_read",
    behaviours: ["event_destination.list"],
    answer: ({ state, form }) => {
      onlyParameters(form, ["limit", "include"]);
      const known = [...state.webhooks.values()].toReversed().filter(({ api }) => api === "v2");
      const included = textList(form, "include");
      return {
        data: known.slice(0, pageLimit(form)).map((webhook) => destinationObject(state, webhook, included)),
        next_page_url: null,
        previous_page_url: null,
      };
    },
  },
  {
    operation: "event_destination.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_event_destination_read",
    behaviours: ["event_destination.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, ["include"]);
      return destinationObject(call.state, pathDestination(call), textList(call.form, "include"));
    },
  },
  {
    operation: "event_destination.delete",
    method: "DELETE",
    path: `${PATH}/:id`,
    right: "rak_event_destination_write",
    behaviours: ["event_destination.delete"],
    answer: (call) => {
      const { id } = pathDestination(call);
      call.state.webhooks.delete(id);
      return { id, object: "v2.core.event_destination" };
    },
  },
  {
    operation: "event_destination.ping",
    method: "POST",
    path: `${PATH}/:id/ping`,
    right: "rak_event_destination_write",
    behaviours: ["event_destination.ping"],
    answer: (call) => {
      const { id } = pathDestination(call);
      const related = { id, type: "v2.core.event_destination", url: `${PATH}/${id}` };
      const facts = { related, data: null, snapshot: null };
      return thinEventObject(call.state, recordThinEvent(call.state, "v2.core.event_destination.ping", facts));
    },
  },
  switchRoute("disable"),
  switchRoute("enable"),
];

function switchRoute(verb: "disable" | "enable"): Route {
  return {
    operation: `event_destination.${verb}`,
    method: "POST",
    path: `${PATH}/:id/${verb}`,
    right: "rak_event_destination_write",
    behaviours: ["event_destination.switch"],
    answer: (call) => {
      const webhook = pathDestination(call);
      webhook.isEnabled = verb === "enable";
      return destinationObject(call.state, webhook, []);
    },
  };
}

function createDestination({ state, form }: Call): object {
  onlyParameters(form, PARAMETERS, ["events_from", "snapshot_api_version", "amazon_eventbridge", "azure_event_grid"]);
  if (optionalChoice(form, "type", ["webhook_endpoint"]) === null) {
    missing("type");
  }
  const events = textList(form, "enabled_events");
  const endpoint = requiredMap(form, "webhook_endpoint");
  onlyParameters(endpoint, ["url"]);
  const webhook = addWebhook(state, {
    api: "v2",
    payload: optionalChoice(form, "event_payload", ["snapshot", "thin"]) ?? missing("event_payload"),
    events: events.length === 0 ? missing("enabled_events") : events,
    url: loopbackUrl(requiredText(endpoint, "url", { label: "webhook_endpoint[url]" }), "webhook_endpoint[url]"),
    name: requiredText(form, "name"),
    description: optionalText(form, "description"),
    metadata: changedMetadata({}, form),
  });
  return destinationObject(state, webhook, textList(form, "include"));
}

function pathDestination({ state, path }: Call): WebhookRecord {
  return registeredWebhook(state, "v2", path["id"] ?? "");
}

/** The JSON of a destination; its URL and secret are null unless they are asked for. */
function destinationObject(state: LocalState, webhook: WebhookRecord, included: readonly string[]): object {
  const created = new Date(webhook.createdMs).toISOString();
  return {
    id: webhook.id,
    object: "v2.core.event_destination",
    created,
    description: webhook.description ?? "",
    enabled_events: webhook.events,
    event_payload: webhook.payload,
    events_from: ["@self"],
    livemode: isLive(state),
    metadata: webhook.metadata,
    name: webhook.name,
    status: webhook.isEnabled ? "enabled" : "disabled",
    type: "webhook_endpoint",
    updated: created,
    webhook_endpoint: {
      ...(included.includes("webhook_endpoint.signing_secret") ? { signing_secret: currentSecret(webhook) } : {}),
      ...(included.includes("webhook_endpoint.url") ? { url: webhook.url } : {}),
    },
  };
}
