import { expect, it } from "vitest";

import { templateShown } from "../../src/server/contract/meter.ts";
import { START } from "../engine/world.ts";
import { serveOpenmeter } from "./openmeter/served.ts";

const TIME = new Date(START).toISOString().replace(".000Z", "Z");

/** The tutorial's event, as its curl sends it. */
function agentRun(id: string, agent: string): string {
  return `{
           "specversion": "1.0",
           "type": "agent_run",
           "id": "${id}",
           "source": "acme-platform",
           "time": "${TIME}",
           "datacontenttype": "application/json",
           "subject": "acme-inc",
           "data": {
             "agent_name": "${agent}"
           }
         }`;
}

const RUNS = [
  agentRun("8655CDD7-0775-4AEA-AF8C-89C47EBC8828", "summarizer"),
  agentRun("3EC7EFD0-5B78-47A4-AE9E-15965675CF95", "summarizer"),
  agentRun("48FC220C-C124-4B73-B378-7DC5CF88DD1A", "translator"),
];

// curl's --json gives way to the type of -H; other clients send either.
it.each(["application/cloudevents+json", "application/json"])(
  "Konnect's tutorial meters three agent runs, sent as %s to its own path on our host",
  async (contentType) => {
    const served = await serveOpenmeter();
    const headers = { authorization: `Bearer ${await served.key("admin")}` };
    const template = await served.call("GET", "/v1/meter-templates/agent_runs_total", { headers });
    expect(template).toMatchObject({ status: 200, json: { title: "Count agent runs" } });
    const { meter } = templateShown.parse(template.json);
    expect((await served.call("POST", "/v1/meters", { headers, body: meter })).status).toBe(201);
    expect((await served.call("GET", "/v3/openmeter/meters/agent_runs_total", { headers })).json).toMatchObject({
      key: "agent_runs_total",
      event_type: "agent_run",
      aggregation: "count",
      dimensions: { agent_name: "$.agent_name" },
    });
    const customer = await served.call("POST", "/v3/openmeter/customers", {
      headers,
      body: { name: "Acme Inc.", key: "acme-inc" },
    });
    expect(customer).toMatchObject({ status: 201, json: { key: "acme-inc" } });

    for (const text of [...RUNS, RUNS[0] ?? ""]) {
      const answer = await served.call("POST", "/v3/openmeter/events", {
        headers: { ...headers, "content-type": contentType, accept: "application/json" },
        text,
      });
      expect(answer).toMatchObject({ status: 202, text: "" });
    }

    const total = await served.call("POST", "/v3/openmeter/meters/agent_runs_total/query", { headers, body: {} });
    expect(total.json).toMatchObject({ data: [{ value: "3" }] });
    const byAgent = await served.call("POST", "/api/v3/openmeter/meters/agent_runs_total/query", {
      headers,
      body: { group_by_dimensions: ["agent_name", "customer_id"] },
    });
    expect(byAgent.json).toMatchObject({
      data: [
        { value: "2", dimensions: { agent_name: "summarizer", customer_id: expect.any(String) } },
        { value: "1", dimensions: { agent_name: "translator" } },
      ],
    });
  },
);
