import { OpenMeter } from "@openmeter/sdk";
import { expect, it, onTestFinished } from "vitest";

import { startLocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { cli, records, workspace } from "../cli/cli.ts";
import { served, type Served } from "../cli/served.ts";

const SLOW = 120_000;
const HOUR_MS = 3_600_000;

const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  prompt_tokens: { eventType: prompt, aggregate: sum, value: data.tokens, groupBy: { model: data.model }, report: true }
billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}
    apiBase: \${STRIPE_API_BASE}
    mode: test
    report: { window: hour, every: 100ms }
    map: { company_id: customer.metadata.company_id }
    noSubscription: send
`;

/** An ended hour; everything of it is due at once. */
const ENDED = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS;

async function post(service: Served, path: string, body: object, type = "application/json"): Promise<unknown> {
  const answer = await fetch(service.url + path, {
    method: "POST",
    headers: { "content-type": type },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** As curl sends it, in structured mode. */
function sendOne(service: Served, id: string, subject: string, tokens: string, time: number): Promise<unknown> {
  const event = {
    specversion: "1.0",
    id,
    source: "shell",
    type: "prompt",
    subject,
    time: new Date(time).toISOString(),
  };
  return post(service, "/v1/events", { ...event, data: { tokens, model: "large" } }, "application/cloudevents+json");
}

it(
  "bills a customer once for what both of its subjects sent over HTTP, from the call to Stripe's ledger",
  async () => {
    const stripe = await startLocalStripe({ clock: { now: () => Date.now() } });
    onTestFinished(() => stripe.close());
    stripe.createMeter({ event_name: "prompt_tokens" });
    const acme = stripe.createCustomer({ metadata: { company_id: "acme" } });
    const directory = workspace(YAML);
    const env = { STRIPE_API_KEY: "sk_test_chain", STRIPE_API_BASE: stripe.url };
    const service = await served(directory, [], env);
    await post(service, "/v1/customers", { name: "Acme", key: "acme", subjects: ["acme-eu", "acme-us"] });

    const openmeter = new OpenMeter({ baseUrl: service.url });
    const tenths = Array.from({ length: 10 }, (_, at) => ({
      id: `sdk-${at}`,
      source: "sdk",
      type: "prompt",
      subject: at % 2 === 0 ? "acme-eu" : "acme-us",
      time: new Date(ENDED + at * 60_000),
      data: { tokens: 0.1, model: "small" },
    }));
    await openmeter.events.ingest(tenths);
    await openmeter.events.ingest(tenths);
    expect(await sendOne(service, "1", "acme-eu", "31.5", ENDED)).toMatchObject({ stored: 1 });
    expect(await sendOne(service, "1", "acme-eu", "31.5", ENDED)).toMatchObject({ duplicates: 1 });
    await sendOne(service, "2", "acme-us", "0.5", ENDED + HOUR_MS);
    await sendOne(service, "3", "nobody-yet", "7", ENDED);
    const usage = await openmeter.meters.query("prompt_tokens", { groupBy: ["subject"] });
    expect(new Map(usage?.data.map(({ subject, value }) => [subject, value]))).toEqual(
      new Map([
        ["acme-eu", 32],
        ["acme-us", 1],
        ["nobody-yet", 7],
      ]),
    );

    while (stripe.total("prompt_tokens", acme.id) !== "33") await fetch(`${service.url}/v1/status`);
    // What comes late for an hour that is reported already is a report of its own.
    await sendOne(service, "4", "acme-us", "2", ENDED);
    while (stripe.total("prompt_tokens", acme.id) !== "35") await fetch(`${service.url}/v1/status`);
    expect(await service.stop("SIGTERM")).toEqual({ code: 143, signal: null });

    for (const args of [["report"], ["report"]]) expect((await cli(directory, args, env)).code).toBe(0);
    expect(stripe.total("prompt_tokens", acme.id)).toBe("35");
    const customers = new Set(stripe.ledger().map(({ customer }) => customer));
    expect([...customers]).toEqual([acme.id]);
    const [verified] = records(await cli(directory, ["verify", "--json"], env));
    expect(verified).toMatchObject({
      ok: true,
      meters: { prompt_tokens: { accepted: "42", reported: "35", held: "7" } },
    });
    const [explained] = records(await cli(directory, ["explain", "2", "--json"], env));
    expect(explained?.["verdicts"]).toMatchObject([
      { meter: "prompt_tokens", counted: true, value: "0.5", record: { state: "accepted", customer: acme.id } },
    ]);
  },
  SLOW,
);
