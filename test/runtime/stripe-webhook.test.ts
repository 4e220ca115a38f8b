import { createServer, request as httpRequest, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import connect from "connect";
import express from "express";
import { meter, type Meter } from "meterbook";
import { describe, expect, it, onTestFinished } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { reportCycle } from "../../src/runtime/report-cycle.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { startLocalStripe, type LocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { workspace } from "../cli/cli.ts";
import { chat, HOUR } from "../engine/world.ts";
import { signedCall } from "../stripe/webhook-receiver.ts";

const SECRET = "whsec_runtimetest";

interface Rig {
  readonly stripe: LocalStripe;
  readonly metering: Meter;
  readonly notices: { readonly code?: string; readonly text: string }[];
  readonly url: string;
  /** Where requests go; set it before any is made. */
  serve: RequestListener;
  readonly post: (
    body: Uint8Array | string,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; text: string }>;
  /** Opens the database beside the app. */
  readonly node: () => Promise<MeterNode>;
}

function configOf(directory: string, stripe: LocalStripe, webhookSecret: string | null): object {
  return {
    version: 1,
    storage: { path: join(directory, "meter.db") },
    meters: {
      chat_tokens: { aggregate: "sum", match: { "request.route": "/chat" }, value: "response.headers.X-Tokens-Used" },
    },
    billing: {
      stripe: {
        apiKey: "sk_test_webhook",
        apiBase: stripe.url,
        noSubscription: "send" as const,
        ...(webhookSecret === null ? {} : { webhookSecret }),
      },
    },
  };
}

/** An app with meter() before a local Stripe. `thin`: an event destination that posts to the app. */
async function rig(options: { readonly secret?: string | null; readonly thin?: boolean } = {}): Promise<Rig> {
  const stripe = await startLocalStripe();
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens" });
  stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
  const directory = workspace(null);
  const server = createServer((request, response) => made.serve(request, response));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let secret = options.secret === undefined ? SECRET : options.secret;
  if (options.thin === true) secret = stripe.createWebhook({ url: `${url}/hooks`, events: ["*"], thin: true }).secret;
  const config = configOf(directory, stripe, secret);
  const notices: { code?: string; text: string }[] = [];
  const tell = (facts: { code?: string }, text: string): void => void notices.push({ ...facts, text });
  const metering = meter({
    config,
    report: false,
    logger: { debug: tell, info: tell, warn: tell, error: tell },
    identifyCompany: () => "acme",
  });
  onTestFinished(() => metering.close());
  const made: Rig = {
    stripe,
    metering,
    notices,
    url,
    serve: metering.stripeWebhook(),
    post: async (body, headers = {}) => {
      const answer = await fetch(`${url}/hooks`, { method: "POST", body, headers });
      return { status: answer.status, text: await answer.text() };
    },
    node: async () => {
      const { settings } = loadConfig({ config, directory, env: {} });
      const node = await openNode({
        settings,
        clock: systemClock,
        ownWriter: null,
        adoptFrom: null,
        onNotice: () => undefined,
      });
      onTestFinished(() => node.close());
      return node;
    },
  };
  return made;
}

const customerEvent = {
  id: "evt_1",
  object: "event",
  type: "customer.created",
  livemode: false,
  data: { object: { id: "cus_1", metadata: { company_id: "globex" } } },
};
const signed = (event: object = customerEvent, secret = SECRET): [Uint8Array, Record<string, string>] => {
  const { body, signature } = signedCall(event, secret, Date.now());
  return [body, { "stripe-signature": signature, "content-type": "application/json; charset=utf-8" }];
};

async function companies(node: MeterNode): Promise<string[]> {
  return (await node.store.customerMappings()).map(({ company }) => company);
}

describe("meter.stripeWebhook()", () => {
  it("takes an error report from Stripe down to the row, and is not metered", async () => {
    const app = await rig({ thin: true });
    await app.metering.flush();
    const node = await app.node();
    await node.counting(async (catalog) =>
      ingest(node.store, catalog, [chat("5", { time: Date.now() - 2 * HOUR })], Date.now()),
    );
    app.stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await reportCycle(node, { clock: systemClock, holder: "test", onNotice: () => undefined });
    expect(await node.store.outbox({ state: "accepted", limit: 9 })).toHaveLength(1);
    const hosted = express();
    hosted.use(app.metering);
    hosted.post("/hooks", app.metering.stripeWebhook());
    app.serve = hosted;
    app.stripe.advance(60_000);
    expect(await app.stripe.deliverWebhooks()).toBeGreaterThan(0);
    expect(app.stripe.deliveries.map(({ status }) => status)).toContain(200);
    expect(await node.store.outbox({ state: "dead", limit: 9 })).toMatchObject([
      { reason: "rejected: meter_event_customer_not_found" },
    ]);
    await app.metering.flush();
    expect([app.metering.stats().recorded, app.metering.stats().skipped > 0]).toEqual([0, true]);
    expect(app.notices).toContainEqual(expect.objectContaining({ code: "METER_STRIPE_REJECTED" }));
  });

  it.each([
    ["node:http", ({ metering }: Rig): RequestListener => metering.stripeWebhook()],
    [
      "Express",
      ({ metering }: Rig): RequestListener => express().post("/hooks", metering.stripeWebhook()).use(express.json()),
    ],
    [
      "Express behind express.raw()",
      ({ metering }: Rig): RequestListener =>
        express()
          .use(express.raw({ type: "*/*" }))
          .post("/hooks", metering.stripeWebhook()),
    ],
    [
      "Express behind a parser of other types",
      ({ metering }: Rig): RequestListener =>
        express().use(express.urlencoded()).post("/hooks", metering.stripeWebhook()),
    ],
    ["Connect", ({ metering }: Rig): RequestListener => connect().use("/hooks", metering.stripeWebhook())],
  ])("serves on %s: 200 once the database has it, 400 for what is not Stripe's", async (_name, serve) => {
    const app = await rig();
    app.serve = serve(app);
    await app.metering.flush();
    expect(await app.post(...signed())).toEqual({ status: 200, text: "Taken.\n" });
    expect(await companies(await app.node())).toContain("globex");
    const [body, headers] = signed();
    expect(await app.post(Buffer.concat([body, Buffer.from(" ")]), headers)).toMatchObject({ status: 400 });
    expect(await app.post(...signed(customerEvent, "whsec_other"))).toMatchObject({ status: 400 });
    expect(await app.post("{}")).toMatchObject({ status: 400 });
    expect(app.notices.filter(({ code }) => code === "METER_WEBHOOK_REFUSED")).toHaveLength(1);
  });

  it("answers what it has no use for with 200, so that Stripe does not call again", async () => {
    const app = await rig();
    await app.metering.flush();
    expect(await app.post(...signed({ ...customerEvent, type: "invoice.paid" }))).toMatchObject({ status: 200 });
  });

  it("says how to mount it when the body was parsed before", async () => {
    const app = await rig();
    app.serve = express().use(express.json()).post("/hooks", app.metering.stripeWebhook());
    await app.metering.flush();
    for (let times = 0; times < 2; times++)
      expect(await app.post(...signed())).toMatchObject({
        status: 500,
        text: expect.stringContaining("before express.json()"),
      });
    expect(app.notices.filter(({ text }) => text.includes("before express.json()"))).toHaveLength(1);
  });

  it("refuses other methods, and bodies over its bound", async () => {
    const app = await rig();
    await app.metering.flush();
    const got = await fetch(`${app.url}/hooks`);
    expect([got.status, got.headers.get("allow")]).toEqual([405, "POST"]);
    const large = Buffer.alloc(limits.webhookBytesMax + 1, "x");
    expect(await app.post(large)).toMatchObject({ status: 413 });
    const chunked = await new Promise<number>((resolve, reject) => {
      const call = httpRequest(`${app.url}/hooks`, { method: "POST" }, (response) => resolve(response.statusCode ?? 0));
      call.on("error", reject);
      for (let sent = 0; sent < 3; sent++) call.write(large.subarray(0, limits.webhookBytesMax / 2));
      call.end();
    });
    expect(chunked).toBe(413);
  });

  it.each([
    ["without a secret", { secret: null }, false],
    ["after close()", {}, true],
  ])("%s answers 503, so that Stripe makes the call again", async (_when, options, closes) => {
    const app = await rig(options);
    await app.metering.flush();
    if (closes) await app.metering.close();
    expect(await app.post(...signed())).toMatchObject({ status: 503 });
  });

  it("is there, and answers 503, when metering is off", async () => {
    const off = meter({ enabled: false });
    const server = createServer(off.stripeWebhook());
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const [body, headers] = signed();
    expect((await fetch(url, { method: "POST", body, headers })).status).toBe(503);
  });

  it("keeps no other request while Stripe does not answer it", async () => {
    const app = await rig();
    const hosted = express();
    hosted.post("/hooks", app.metering.stripeWebhook());
    hosted.get("/ping", (_request, response) => void response.send("pong"));
    app.serve = hosted;
    await app.metering.flush();
    app.stripe.failNext({ kind: "hang", when: "before", on: "any", times: 9 });
    let answered = 0;
    const [body, headers] = signed({
      id: "evt_9",
      object: "v2.core.event",
      type: "v1.billing.meter.no_meter_found",
      livemode: false,
    });
    const hanging = Array.from({ length: 3 }, () =>
      app.post(body, headers).then(
        () => (answered += 1),
        () => undefined,
      ),
    );
    await expect.poll(() => app.stripe.requests.length, { timeout: 10_000 }).toBe(3);
    for (let times = 0; times < 20; times++) expect(await (await fetch(`${app.url}/ping`)).text()).toBe("pong");
    expect(answered).toBe(0);
    // A customer's change is taken meanwhile, too.
    expect(await app.post(...signed())).toMatchObject({ status: 200 });
    await app.stripe.close();
    await Promise.all(hanging);
  });

  it("answers 503 to more calls than it keeps, and takes them again after", async () => {
    const app = await rig();
    await app.metering.flush();
    app.stripe.failNext({ kind: "hang", when: "before", on: "any", times: 99 });
    const [body, headers] = signed({
      id: "evt_9",
      object: "v2.core.event",
      type: "v1.billing.meter.no_meter_found",
      livemode: false,
    });
    const hanging = Array.from({ length: limits.webhooksAtOnceMax }, () =>
      app.post(body, headers).catch(() => undefined),
    );
    await expect.poll(() => app.stripe.requests.length, { timeout: 20_000 }).toBe(limits.webhooksAtOnceMax);
    expect(await app.post(...signed())).toMatchObject({ status: 503 });
    await app.stripe.close();
    await Promise.all(hanging);
    expect(await app.post(...signed())).toMatchObject({ status: 200 });
  });
});
