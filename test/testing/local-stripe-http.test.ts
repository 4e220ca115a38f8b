import { describe, expect, it } from "vitest";
import { startLocalStripe } from "../../src/testing/index.ts";
import type { BehaviourKey } from "../../src/testing/local-stripe/behaviours.ts";
import { clientOf, failure, NOON, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";

describe("calls", () => {
  it("[http.headers] [account.retrieve] carries Stripe's headers and the date of its clock", async () => {
    await withLocalStripe({ account: "acct_mine" }, async ({ local, client }) => {
      const account = await client.accounts.retrieveCurrent();
      expect(account.id).toBe("acct_mine");
      expect(account.lastResponse.headers["date"]).toBe(new Date(NOON).toUTCString());
      expect(account.lastResponse.requestId).toMatch(/^req_/);
      expect(account.lastResponse.apiVersion).toBe("2026-10-28.endive");
      const customer = await client.customers.create({}, { idempotencyKey: "my-key" });
      expect(customer.lastResponse.idempotencyKey).toBe("my-key");
      expect(local.requests.map(({ method, path, status }) => `${method} ${path} ${String(status)}`)).toEqual([
        "GET /v1/account 200",
        "POST /v1/customers 200",
      ]);
      expect(JSON.stringify(local.requests)).not.toContain("sk_test_x");
    });
  });

  it("[http.key_missing] [http.key_invalid] refuses a call without a key, and keys of the other mode or unknown", async () => {
    await withLocalStripe({}, async ({ local }) => {
      const none = await rawCall(local, "GET", "/v1/account", { headers: { authorization: "" } });
      expect(none.status).toBe(401);
      const live = await failure(clientOf(local, "sk_live_abcdefgh").accounts.retrieveCurrent());
      expect(live).toMatchObject({ type: "StripeAuthenticationError", status: 401 });
      expect(live.message).toBe("Invalid API Key provided: sk_live_****efgh");
      const basic = `Basic ${Buffer.from("sk_test_x:").toString("base64")}`;
      expect((await rawCall(local, "GET", "/v1/account", { headers: { authorization: basic } })).status).toBe(200);
    });
    await withLocalStripe({ apiKeys: ["sk_test_mine"], mode: "live" }, async ({ local, client }) => {
      expect((await failure(client.accounts.retrieveCurrent())).status).toBe(401);
      const customer = await clientOf(local, "sk_test_mine").customers.create({});
      expect(customer.livemode).toBe(true);
    });
  });

  it("[http.right_missing] [http.right_names] names the right that a restricted key lacks", async () => {
    const apiKeys = [{ key: "rk_test_narrow", rights: ["rak_customer_read"] }];
    await withLocalStripe({ apiKeys }, async ({ local }) => {
      const client = clientOf(local, "rk_test_narrow");
      expect((await client.customers.list()).data).toEqual([]);
      const refused = await failure(client.billing.meters.list());
      expect(refused).toMatchObject({ type: "StripePermissionError", status: 403 });
      expect(refused.message).toContain("Having the 'rak_billing_meter_read' permission would allow this request");
    });
  });

  it("[http.unknown_url] [http.form_malformed] [http.body_too_large] refuses what is no call of the API", async () => {
    await withLocalStripe({}, async ({ local }) => {
      const unknown = await rawCall(local, "GET", "/v1/nonsense");
      expect([unknown.status, unknown.body]).toEqual([404, expect.stringContaining("Unrecognized request URL")]);
      expect(unknown.headers["local-stripe-behaviour"]).toBe("http.unknown_url");
      expect((await rawCall(local, "DELETE", "/v1/account")).status).toBe(404);
      expect((await rawCall(local, "POST", "/v1/customers", { body: "email=%zz" })).status).toBe(400);
      expect((await rawCall(local, "POST", "/v1/customers", { body: "metadata[a[b]=1" })).status).toBe(400);
      const large = await rawCall(local, "POST", "/v1/customers", { body: "x".repeat(1024 * 1024 + 1) });
      expect(large.status).toBe(413);
    });
  });

  it("[http.rate_limited] refuses over the rate, and takes calls again as its clock goes on", async () => {
    await withLocalStripe({ rateLimit: { perSecond: 1, burst: 2 } }, async (running) => {
      const { client, clock, local } = running;
      await client.accounts.retrieveCurrent();
      await client.accounts.retrieveCurrent();
      const limited = await failure(client.accounts.retrieveCurrent());
      expect(limited).toMatchObject({ type: "StripeRateLimitError", status: 429, code: "rate_limit" });
      expect(limited.headers["stripe-rate-limited-reason"]).toBe("global-rate");
      clock.advance(1_000);
      await client.accounts.retrieveCurrent();
      clock.advance(-60_000);
      expect((await failure(client.accounts.retrieveCurrent())).status).toBe(429);
      local.setRateLimit(null);
      await client.accounts.retrieveCurrent();
    });
  });

  it("refuses options and fault orders that are none", async () => {
    await expect(startLocalStripe({ searchLagMs: -1 })).rejects.toMatchObject({ code: "METER_OPTION_INVALID" });
    await withLocalStripe({}, async ({ local }) => {
      // @ts-expect-error a reset says when
      expect(() => local.failNext({ kind: "reset" })).toThrow(/Not a fault/);
      expect(() => local.failNext({ kind: "conflict", times: 0 })).toThrow(/Not a fault/);
      expect(() => local.deleteCustomer("cus_none")).toThrow(/no customer cus_none/);
      await local.close();
      await local.close();
    });
  });

  it("answers another process's questions: the ledger, and faults", async () => {
    await withLocalStripe({}, async (running) => {
      const { send } = seeded(running);
      await send("7");
      const ledger = await rawCall(running.local, "GET", "/_local/ledger");
      expect(JSON.parse(ledger.body)).toEqual(running.local.ledger());
      const order = { method: "POST", path: "/_local/faults" } as const;
      expect((await rawCall(running.local, order.method, order.path, { body: '{"kind":"conflict"}' })).status).toBe(
        200,
      );
      expect((await failure(send("8"))).status).toBe(409);
      expect((await rawCall(running.local, order.method, order.path, { body: "{" })).status).toBe(400);
      expect((await rawCall(running.local, order.method, order.path, { body: '{"kind":"gone"}' })).status).toBe(400);
      running.local.failNext({ kind: "conflict", times: 5 });
      expect((await rawCall(running.local, "DELETE", order.path)).status).toBe(200);
      await send("9");
      expect((await rawCall(running.local, "GET", "/_local/nothing")).status).toBe(404);
    });
  });
});

describe("parameters", () => {
  const cases: readonly [BehaviourKey, string, string, Record<string, string>][] = [
    [
      "http.parameter_missing",
      "/v1/billing/meters",
      "display_name=x&event_name=y",
      { param: "default_aggregation", code: "parameter_missing" },
    ],
    ["http.parameter_unknown", "/v1/customers", "colour=red", { param: "colour", code: "parameter_unknown" }],
    [
      "http.parameter_not_integer",
      "/v1/billing/meter_events",
      "event_name=tokens&payload[stripe_customer_id]=cus_1&payload[value]=1&timestamp=soon",
      { param: "timestamp", code: "parameter_invalid_integer" },
    ],
    [
      "http.parameter_empty",
      "/v1/billing/meters",
      "display_name=&event_name=y&default_aggregation[formula]=sum",
      { param: "display_name", code: "parameter_invalid_empty" },
    ],
    [
      "http.parameter_too_long",
      "/v1/billing/meter_events",
      `event_name=tokens&payload[a]=b&identifier=${"i".repeat(101)}`,
      { param: "identifier" },
    ],
    [
      "http.parameter_not_text",
      "/v1/billing/meter_events",
      "event_name=tokens&payload[value][deep]=1",
      { param: "payload[value]" },
    ],
    ["http.parameter_not_map", "/v1/billing/meter_events", "event_name=tokens&payload=1", { param: "payload" }],
    [
      "http.parameter_choice",
      "/v1/billing/meters",
      "display_name=x&event_name=y&default_aggregation[formula]=max",
      { param: "default_aggregation[formula]" },
    ],
    ["http.parameter_not_kept", "/v1/customers", "balance=5", { param: "balance" }],
  ];

  it.each(cases)("[%s] refuses %s with %s", async (behaviour, path, body, error) => {
    await withLocalStripe({}, async (running) => {
      running.local.createCustomer({ id: "cus_1" });
      running.local.createMeter({ event_name: "tokens" });
      const refused = await rawCall(running.local, "POST", path, { body });
      expect(refused.status).toBe(400);
      expect(refused.headers["local-stripe-behaviour"]).toBe(behaviour);
      expect(JSON.parse(refused.body)).toMatchObject({ error: { type: "invalid_request_error", ...error } });
      expect(running.local.ledger()).toEqual([]);
    });
  });
});
