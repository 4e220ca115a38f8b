import { expect, it } from "vitest";

import { meterTemplate, METER_TEMPLATES } from "../../../src/engine/meters/templates.ts";
import { definitionOf } from "../../../src/engine/meters/meter-rules.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { metersDesk, sent } from "./meters-desk.ts";

it("has the templates of the tutorials, each with a legal draft and a key of its own", () => {
  expect(new Set(METER_TEMPLATES.map(({ key }) => key)).size).toBe(METER_TEMPLATES.length);
  for (const { key, title, description, category, draft } of METER_TEMPLATES) {
    expect(definitionOf(draft)).toMatchObject({
      key,
      name: title,
      missingValue: "skip",
      allowNegative: true,
      report: false,
    });
    expect([title, description, category].every((text) => text !== "")).toBe(true);
  }
  expect(
    METER_TEMPLATES.filter(({ category }) => category !== "documents" && category !== "chat").map(({ key }) => key),
  ).toEqual([
    "agent_runs_total",
    "llm_tokens_total",
    "tokens_total",
    "gateway_requests_total",
    "api_requests_total",
    "api_request_duration_seconds",
    "api_request_ingress_bytes",
    "gpu_execution_duration_seconds",
    "pod_execution_time",
    "unique_sessions_total",
    "workflow_created",
    "workflow_succeeded",
    "workflow_failed",
  ]);
});

it("has the catalogue of eighteen meters under the ids that their senders state", () => {
  const catalogue = METER_TEMPLATES.filter(
    ({ draft }) => draft.eventType.includes(".") && !draft.eventType.startsWith("kong."),
  );
  expect(catalogue.length).toBe(18);
  expect(meterTemplate("page_processed_basic")?.draft).toEqual({
    key: "page_processed_basic",
    name: "Basic Document Scanning",
    description: "Total number of basic pages processed",
    unit: "page",
    eventType: "page.processed.basic",
    aggregate: "sum",
    value: "data.total_usage",
    groupBy: {},
  });
  expect(["chat_on_time_hours", "chat_query_time_secs"].map((key) => meterTemplate(key)?.draft.unit)).toEqual([
    "hour",
    "second",
  ]);
  expect([meterTemplate("page.processed.basic"), meterTemplate("constructor")]).toEqual([null, null]);
});

it("makes a meter that counts agent runs by agent out of the first template", async () => {
  const { make, take, usage } = metersDesk(memoryStore({ bucketMs: 60_000 }));
  const { meter } = await make(METER_TEMPLATES[0]?.draft ?? { key: "", eventType: "", aggregate: "count" });
  expect(meter).toMatchObject({ key: "agent_runs_total", name: "Count agent runs", aggregate: "count" });
  await take(run("summarizer"), run("summarizer"), run("translator"), sent("other", {}));
  expect(await usage("agent_runs_total", ["agent_name"])).toEqual(["acme summarizer 2", "acme translator 1"]);
});

function run(name: string) {
  return sent("agent_run", { agent_name: name });
}
