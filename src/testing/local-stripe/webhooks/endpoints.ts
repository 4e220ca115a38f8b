import { changedMetadata } from "../metadata.ts";
import { listPage, PAGE_PARAMETERS } from "../pages.ts";
import { missing, onlyParameters, optionalBoolean, requiredText, textList, unsettableText } from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { isLive, type LocalState } from "../state.ts";
import { loopbackUrl } from "./loopback.ts";
import type { WebhookRecord } from "./records.ts";
import { addWebhook, currentSecret, registeredWebhook } from "./registry.ts";

const PARAMETERS = ["url", "enabled_events", "description", "metadata"] as const;
const PATH = "/v1/webhook_endpoints";

export const webhookEndpointRoutes: readonly Route[] = [
  {
    operation: "webhook_endpoint.create",
    method: "POST",
    path: PATH,
    right: "rak_webhook_write",
    behaviours: ["webhook_endpoint.create"],
    answer: ({ state, form }) => {
      onlyParameters(form, PARAMETERS, ["api_version", "connect"]);
      const webhook = addWebhook(state, {
        api: "v1",
        payload: "snapshot",
        url: loopbackUrl(requiredText(form, "url"), "url"),
        events: enabledEvents(form),
        description: unsettableText(form, "description", 5000) ?? null,
        metadata: changedMetadata({}, form),
      });
      return { ...endpointObject(state, webhook), secret: currentSecret(webhook) };
    },
  },
  {
    operation: "webhook_endpoint.list",
    method: "GET",
    path: PATH,
    right: "rak_webhook_read",
    behaviours: ["webhook_endpoint.list", "page.cursor"],
    answer: ({ state, form }) => {
      onlyParameters(form, PAGE_PARAMETERS);
      const entries = [...state.webhooks.values()].toReversed().map((webhook) => ({
        id: webhook.id,
        object: webhook.api === "v1" ? endpointObject(state, webhook) : null,
      }));
      return listPage(entries, form, PATH, "webhook endpoint");
    },
  },
  {
    operation: "webhook_endpoint.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_webhook_read",
    behaviours: ["webhook_endpoint.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, []);
      return endpointObject(call.state, pathEndpoint(call));
    },
  },
  {
    operation: "webhook_endpoint.update",
    method: "POST",
    path: `${PATH}/:id`,
    right: "rak_webhook_write",
    behaviours: ["webhook_endpoint.update"],
    answer: (call) => {
      const { form } = call;
      onlyParameters(form, ["url", "enabled_events", "disabled"], ["description", "metadata"]);
      const webhook = pathEndpoint(call);
      const url = form["url"] === undefined ? webhook.url : loopbackUrl(requiredText(form, "url"), "url");
      const events = form["enabled_events"] === undefined ? webhook.events : enabledEvents(form);
      const disabled = optionalBoolean(form, "disabled");
      Object.assign(webhook, { url, events, isEnabled: disabled === null ? webhook.isEnabled : !disabled });
      return endpointObject(call.state, webhook);
    },
  },
  {
    operation: "webhook_endpoint.delete",
    method: "DELETE",
    path: `${PATH}/:id`,
    right: "rak_webhook_write",
    behaviours: ["webhook_endpoint.delete"],
    answer: (call) => {
      onlyParameters(call.form, []);
      const { id } = pathEndpoint(call);
      call.state.webhooks.delete(id);
      return { id, object: "webhook_endpoint", deleted: true };
    },
  },
];

function pathEndpoint({ state, path }: Call): WebhookRecord {
  return registeredWebhook(state, "v1", path["id"] ?? "");
}

function enabledEvents(form: Call["form"]): readonly string[] {
  const events = textList(form, "enabled_events");
  return events.length === 0 ? missing("enabled_events") : events;
}

function endpointObject(state: LocalState, webhook: WebhookRecord): object {
  return {
    id: webhook.id,
    object: "webhook_endpoint",
    api_version: null,
    application: null,
    created: Math.floor(webhook.createdMs / 1000),
    description: webhook.description,
    enabled_events: webhook.events,
    livemode: isLive(state),
    metadata: webhook.metadata,
    status: webhook.isEnabled ? "enabled" : "disabled",
    url: webhook.url,
  };
}
