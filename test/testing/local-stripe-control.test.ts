import { describe, expect, it } from "vitest";
import type { LocalStripe } from "../../src/testing/index.ts";
import { control, failure, NOON_SECONDS, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";

/** Why a control was refused. */
async function refusal(local: LocalStripe, path: string, body: string): Promise<string> {
  const answer = await rawCall(local, "POST", `/_local/${path}`, { body });
  expect(answer.status).toBe(400);
  return (JSON.parse(answer.body) as { error: { message: string } }).error.message;
}

describe("another process", () => {
  it("puts customers, meters, subscriptions and webhooks there, all or told why not", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const seeds = await control(local, "POST seed", {
        customers: [{ id: "cus_a", name: "A", metadata: { company_id: "a" } }],
        meters: [{ event_name: "tokens", formula: "sum", event_time_window: null }],
        subscriptions: [{ customer: "cus_a", meters: ["tokens"], interval: "week", unitAmountDecimal: "0.5" }],
        webhooks: [{ url: "http://127.0.0.1:9/", events: ["*"], thin: true }],
      });
      expect(seeds).toEqual({
        customers: [{ id: "cus_a" }],
        meters: [{ id: expect.stringMatching(/^mtr_/), event_name: "tokens" }],
        subscriptions: [
          { id: expect.stringMatching(/^sub_/), items: [expect.objectContaining({ eventName: "tokens" })] },
        ],
        webhooks: [{ id: expect.stringMatching(/^ed_/), secret: expect.stringMatching(/^whsec_/) }],
      });
      expect((await client.customers.retrieve("cus_a")).lastResponse.statusCode).toBe(200);
    });
  });

  it.each([
    ['{"customers":{}}', "A seed has lists"],
    ['{"invoices":[]}', "not invoices"],
    ['{"customers":[1]}', "customers[0] must be an object"],
    ['{"customers":[{"id":5}]}', "customers[0].id is not a valid value: 5"],
    ['{"customers":[{"colour":"red"}]}', "customers[0].colour is not known"],
    ['{"customers":[{"metadata":{"a":1}}]}', "customers[0].metadata"],
    ['{"meters":[{}]}', "meters[0] needs event_name"],
    ['{"meters":[{"event_name":"a","formula":"max"}]}', "meters[0].formula"],
    ['{"meters":[{"event_name":"a"},{"event_name":"a"}]}', "already a meter"],
    ['{"subscriptions":[{"customer":"cus_x","meters":["a"]}]}', "no customer cus_x"],
    ['{"subscriptions":[{"customer":"cus_x","meters":"a"}]}', "subscriptions[0].meters"],
    ['{"webhooks":[{"url":"http://example.com","events":["*"]}]}', "this machine only"],
    ['{"__proto__":[]}', "not __proto__"],
    ["[]", "one JSON object"],
    ["{", "JSON"],
  ])("is told why %s is no seed", async (body, reason) => {
    await withLocalStripe({}, async ({ local }) => {
      expect(await refusal(local, "seed", body)).toContain(reason);
    });
  });

  it("sees the calls and the ledger, makes identifiers forgotten and changes the lags", async () => {
    await withLocalStripe({}, async (running) => {
      const { local, client } = running;
      const { customer, meter, send } = seeded(running);
      await send("5", { identifier: "a" });
      expect((await failure(send("5", { identifier: "a" }))).status).toBe(400);
      await control(local, "POST forget");
      await send("5", { identifier: "a" });
      expect(await control(local, "GET ledger")).toEqual(local.ledger());
      expect(local.total("tokens", customer)).toBe("10");
      expect(await control(local, "GET requests")).toMatchObject([{ status: 200 }, { status: 400 }, { status: 200 }]);
      expect(JSON.stringify(await control(local, "GET requests"))).not.toContain("sk_test");
      const range = { customer, start_time: NOON_SECONDS, end_time: NOON_SECONDS + 60 };
      await control(local, "POST lag", { summaryLagMs: 1_000, searchLagMs: 1_000 });
      expect((await client.billing.meters.listEventSummaries(meter, range)).data).toEqual([]);
      local.advance(1_000);
      expect((await client.billing.meters.listEventSummaries(meter, range)).data[0]?.aggregated_value).toBe(10);
      local.setLags({ summaryLagMs: 5_000 });
      expect((await client.billing.meters.listEventSummaries(meter, range)).data).toEqual([]);
      const fresh = await client.customers.create({ metadata: { company_id: "new" } });
      const search = async (): Promise<string[]> =>
        (await client.customers.search({ query: "metadata['company_id']:'new'" })).data.map(({ id }) => id);
      expect(await search()).toEqual([]);
      local.advance(1_000);
      expect(await search()).toEqual([fresh.id]);
    });
  });

  it("acts as the owner in the dashboard", async () => {
    await withLocalStripe({}, async (running) => {
      const { local } = running;
      const { customer, send } = seeded(running);
      await control(local, "POST meters/deactivate", { event_name: "tokens" });
      expect((await failure(send("1"))).message).toContain("No active meter");
      await control(local, "POST meters/reactivate", { event_name: "tokens" });
      const { id } = local.createSubscription({ customer, meters: ["tokens"], interval: "day" });
      await send("1");
      await control(local, "POST clock", { advanceMs: 86_400_000 });
      expect(await control(local, "GET invoiced")).toEqual(local.invoiced());
      expect(local.invoiced()).toMatchObject([{ subscription: id, quantity: "1", isFinal: false }]);
      await control(local, "POST subscriptions/cancel", { id });
      await control(local, "POST customers/delete", { id: customer });
      expect((await failure(send("1"))).message).toContain("No such customer");
    });
  });

  it("is told which controls there are, and what is wrong with an order", async () => {
    await withLocalStripe({}, async ({ local }) => {
      const unknown = await rawCall(local, "GET", "/_local/nothing");
      expect([unknown.status, unknown.body]).toEqual([404, expect.stringContaining("POST /_local/clock")]);
      expect((await rawCall(local, "GET", "/_local/toString")).status).toBe(404);
      expect(await control(local, "GET help")).toMatchObject({
        controls: expect.arrayContaining(["GET /_local/ledger"]),
      });
      expect(await refusal(local, "clock", "{}")).toContain("advanceMs must be whole milliseconds, not absent");
      expect(await refusal(local, "clock", '{"setMs":"1"}')).toContain("setMs");
      expect(await refusal(local, "lag", '{"summaryLagMs":-1}')).toContain("summaryLagMs must be a number, 0 or more");
      expect(await refusal(local, "webhooks", '{"duplicates":"2"}')).toContain("webhooks.duplicates");
      expect(await refusal(local, "customers/delete", '{"id":7}')).toContain("id must be a text");
      expect(await refusal(local, "subscriptions/cancel", '{"id":"sub_none"}')).toContain("no subscription sub_none");
      expect(await refusal(local, "webhooks/roll", '{"id":"we_none"}')).toContain("no webhook we_none");
    });
  });
});
