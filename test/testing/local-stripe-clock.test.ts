import { describe, expect, it } from "vitest";
import { startLocalStripe } from "../../src/testing/index.ts";
import { control, failure, NOON, NOON_SECONDS, seeded, withLocalStripe } from "./running-stripe.ts";

const HOUR = 3_600_000;

/** All that eight days with one customer leave behind, as text. */
async function aWeek(): Promise<string> {
  let text = "";
  await withLocalStripe({}, async (running) => {
    const { local } = running;
    const { customer, send } = seeded(running);
    const subscription = local.createSubscription({ customer, meters: ["tokens"], interval: "week" });
    const webhook = local.createWebhook({ url: "http://127.0.0.1:9/", events: ["*"] });
    await send("3", { identifier: "a" });
    local.advance(8 * 24 * HOUR);
    text = JSON.stringify([subscription, webhook, local.ledger(), local.invoiced()]);
  });
  return text;
}

describe("the clock", () => {
  it("[clock.moved] moves by itself on top of the one it was given, in every place that shows the time", async () => {
    await withLocalStripe({ summaryLagMs: 0 }, async (running) => {
      const { local, clock, client } = running;
      expect(local.advance(HOUR)).toBe(NOON + HOUR);
      clock.advance(1_000);
      expect(local.now()).toBe(NOON + HOUR + 1_000);
      const customer = await client.customers.create({});
      expect(customer.created).toBe(NOON_SECONDS + 3_601);
      expect(customer.lastResponse.headers["date"]).toBe(new Date(NOON + HOUR + 1_000).toUTCString());
      expect((await client.events.list()).data[0]?.created).toBe(NOON_SECONDS + 3_601);
      local.setTime(NOON - HOUR);
      expect((await client.customers.create({})).created).toBe(NOON_SECONDS - 3_600);
      expect(local.requests.at(-1)?.at).toBe(NOON - HOUR);
      expect(clock.now()).toBe(NOON + 1_000);
      expect(() => local.advance(0.5)).toThrow(/whole milliseconds/);
    });
  });

  it("[clock.moved] ages identifiers, idempotency keys and the 35 days by its own time", async () => {
    await withLocalStripe({}, async (running) => {
      const { local } = running;
      const { customer, send } = seeded(running);
      await send("1", { identifier: "a", timestamp: NOON_SECONDS });
      local.advance(24 * HOUR - 1);
      expect((await failure(send("1", { identifier: "a", timestamp: NOON_SECONDS }))).message).toContain("already");
      local.advance(1);
      await send("1", { identifier: "a", timestamp: NOON_SECONDS });
      expect(local.total("tokens", customer)).toBe("2");
      local.advance(34 * 24 * HOUR + 1_000);
      expect((await failure(send("1", { timestamp: NOON_SECONDS }))).message).toContain("35 days");
    });
  });

  it("[clock.moved] runs what became due in order of time, each at its own moment, however far it is moved", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const customer = local.createCustomer({}).id;
      local.createMeter({ event_name: "tokens" });
      local.createSubscription({ customer, meters: ["tokens"], interval: "day" });
      local.advance(3 * 24 * HOUR);
      const invoices = (await client.invoices.list()).data.toReversed();
      expect(invoices.map(({ created, status }) => [created - NOON_SECONDS, status])).toEqual([
        [86_400, "paid"],
        [2 * 86_400, "paid"],
        [3 * 86_400, "draft"],
      ]);
      const events = (await client.events.list({ type: "invoice.*" })).data.toReversed();
      expect(events.map(({ type, created }) => [type, created - NOON_SECONDS])).toEqual([
        ["invoice.created", 86_400],
        ["invoice.finalized", 90_000],
        ["invoice.created", 172_800],
        ["invoice.finalized", 176_400],
        ["invoice.created", 259_200],
      ]);
    });
  });

  it("runs what became due when only the given clock moved, at the next call or reading", async () => {
    await withLocalStripe({ validateLater: true, summaryLagMs: 5_000 }, async (running) => {
      const { customer, send } = seeded(running);
      await send("4");
      expect(running.local.total("tokens", customer)).toBe("0");
      running.clock.advance(5_000);
      expect(running.local.total("tokens", customer)).toBe("4");
    });
  });

  it("gives two runs of the same steps the same ids and answers", async () => {
    expect(await aWeek()).toBe(await aWeek());
  });

  it("is moved and read by another process", async () => {
    await withLocalStripe({}, async ({ local }) => {
      expect(await control(local, "POST clock", { advanceMs: 90_000 })).toEqual({ now: NOON + 90_000 });
      expect(await control(local, "POST clock", { setMs: NOON - 1 })).toEqual({ now: NOON - 1 });
      expect(await control(local, "GET clock")).toEqual({ now: NOON - 1 });
      expect(local.now()).toBe(NOON - 1);
    });
  });

  it("goes by itself when it is told to, without being asked", async () => {
    const local = await startLocalStripe({ automatic: true, graceMs: 0 });
    try {
      const customer = local.createCustomer({}).id;
      local.createMeter({ event_name: "tokens" });
      local.createWebhook({ url: "http://127.0.0.1:9/", events: ["invoice.finalized"] });
      local.createSubscription({ customer, meters: ["tokens"], interval: "day" });
      local.advance(24 * HOUR);
      while (local.deliveries.length === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(local.deliveries[0]).toMatchObject({ type: "invoice.finalized", status: null });
    } finally {
      await local.close();
    }
  });
});
