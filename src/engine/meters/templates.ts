import type { MeterTemplate } from "./meter-view.ts";
import { CATALOGUE_TEMPLATES } from "./catalogue-templates.ts";

/** Meters that others have documented, ready to be made; `draft` is what createMeter takes. */
const EXAMPLE_TEMPLATES: readonly MeterTemplate[] = [
  template("ai", "agent_runs_total", "Count agent runs", "Runs of AI agents, by agent.", {
    eventType: "agent_run",
    aggregate: "count",
    unit: "run",
    groupBy: { agent_name: "data.agent_name" },
  }),
  template(
    "ai",
    "llm_tokens_total",
    "Count LLM tokens",
    "Tokens of LLM calls that a gateway sends, by model, provider and type.",
    {
      eventType: "kong.llm_request",
      aggregate: "sum",
      value: "data.tokens",
      unit: "token",
      groupBy: { model: "data.model", provider: "data.provider", type: "data.type" },
    },
  ),
  template("ai", "tokens_total", "Tokens", "Tokens of prompts, by model and by type (input, output).", {
    eventType: "prompt",
    aggregate: "sum",
    value: "data.tokens",
    unit: "token",
    groupBy: { model: "data.model", type: "data.type" },
  }),
  template(
    "api",
    "gateway_requests_total",
    "Count API requests",
    "Requests that a gateway sends, by method, route and service.",
    {
      eventType: "kong.api_request",
      aggregate: "count",
      unit: "request",
      groupBy: {
        request_method: "data.request_method",
        route_name: "data.route_name",
        service_name: "data.service_name",
      },
    },
  ),
  template("api", "api_requests_total", "API requests", "Requests, by method and route.", {
    eventType: "request",
    aggregate: "count",
    unit: "request",
    groupBy: { method: "data.method", route: "data.route" },
  }),
  template(
    "api",
    "api_request_duration_seconds",
    "API request duration",
    "Seconds that requests took, by method and route.",
    {
      eventType: "request",
      aggregate: "sum",
      value: "data.duration_seconds",
      unit: "second",
      groupBy: { method: "data.method", route: "data.route" },
    },
  ),
  template(
    "api",
    "api_request_ingress_bytes",
    "API request bytes",
    "Bytes that came in with requests, by method and route.",
    {
      eventType: "request",
      aggregate: "sum",
      value: "data.ingress_bytes",
      unit: "byte",
      groupBy: { method: "data.method", route: "data.route" },
    },
  ),
  template(
    "compute",
    "gpu_execution_duration_seconds",
    "GPU time",
    "Seconds of work on GPUs, by type of GPU and region.",
    {
      eventType: "gpu_execution",
      aggregate: "sum",
      value: "data.duration_seconds",
      unit: "second",
      groupBy: { gpu_type: "data.gpu_type", region: "data.region" },
    },
  ),
  template("compute", "pod_execution_time", "Pod time", "Seconds that pods ran, by name.", {
    eventType: "pod_execution",
    aggregate: "sum",
    value: "data.duration_seconds",
    unit: "second",
    groupBy: { pod_name: "data.pod_name" },
  }),
  template("product", "unique_sessions_total", "Sessions", "Different sessions.", {
    eventType: "session",
    aggregate: "unique",
    value: "data.session_id",
    unit: "session",
  }),
  ...(["created", "succeeded", "failed"] as const).map((end) =>
    template(
      "workflow",
      `workflow_${end}`,
      `Workflows ${end}`,
      `Workflows that were ${end === "created" ? "created" : `ended: ${end}`}, by name.`,
      {
        eventType: `workflow_${end}`,
        aggregate: "count",
        unit: "workflow",
        groupBy: { workflow_name: "data.workflow_name" },
      },
    ),
  ),
  template("documents", "pages_total", "Pages", "Pages of documents.", {
    eventType: "document",
    aggregate: "sum",
    value: "data.pages",
    unit: "page",
  }),
  template("documents", "words_total", "Words", "Words of documents.", {
    eventType: "document",
    aggregate: "sum",
    value: "data.words",
    unit: "word",
  }),
];

/** All templates, each with a key of its own: what others have documented, then the catalogue of metered work. */
export const METER_TEMPLATES: readonly MeterTemplate[] = [...EXAMPLE_TEMPLATES, ...CATALOGUE_TEMPLATES];

/** The template of this key; null when there is none. */
export function meterTemplate(key: string): MeterTemplate | null {
  return METER_TEMPLATES.find((known) => known.key === key) ?? null;
}

function template(
  category: string,
  key: string,
  title: string,
  description: string,
  draft: Omit<MeterTemplate["draft"], "key" | "name" | "description">,
): MeterTemplate {
  return { key, title, description, category, draft: { key, name: title, description, ...draft } };
}
