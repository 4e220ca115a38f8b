import type { Stripe } from "stripe";
import { describe, expect, it } from "vitest";
import { control, failure, NOON, NOON_SECONDS, rawCall, withLocalStripe, type Running } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";

const HOUR = 3_600;
const DAY = 86_400;

/** Two meters with a price each, and a customer. */
async function shop({ client, local }: Running, interval: "day" | "week" | "month" | "year" = "month") {
  const prices: string[] = [];
  for (const eventName of ["tokens", "calls"]) {
    const { id: meter } = local.createMeter({ event_name: eventName });
    const recurring = { interval, usage_type: "metered", meter } as const;
    prices.push(
      (await client.prices.create({ currency: "usd", product_data: { name: eventName }, recurring, unit_amount: 1 }))
        .id,
    );
  }
  const items = prices.map((price) => ({ price }));
  return { customer: local.createCustomer({ id: "cus_a" }).id, prices, items };
}

function periodOf(subscription: Stripe.Subscription): readonly string[] {
  const item = subscription.items.data[0];
  return [item?.current_period_start ?? 0, item?.current_period_end ?? 0].map((seconds) =>
    new Date(seconds * 1000).toISOString().slice(0, 16),
  );
}

describe("subscriptions", () => {
  it("[subscription.create] [subscription.retrieve] [subscription.periods] name the meter and the period on each item", async () => {
    await withLocalStripe({}, async (running) => {
      const { client } = running;
      const { customer, items, prices } = await shop(running);
      const made = await client.subscriptions.create({ customer, items, metadata: { plan: "gold" } });
      expect(made).toMatchObject({ customer, status: "active", start_date: NOON_SECONDS, metadata: { plan: "gold" } });
      expect(made.items.data.map(({ price, quantity }) => [price.id, quantity])).toEqual(
        prices.map((price) => [price, undefined]),
      );
      expect(made.items.data[0]?.price.recurring?.meter).toMatch(/^mtr_/);
      expect(periodOf(made)).toEqual(["2026-11-15T12:00", "2026-12-15T12:00"]);
      expect(await client.subscriptions.retrieve(made.id)).toEqual(made);
    });
  });

  it("[subscription.periods] keep the anchor's day of the month, or take the month's last", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      local.setTime(Date.UTC(2027, 0, 31, 9, 30));
      const { customer, items } = await shop(running);
      const { id } = await client.subscriptions.create({ customer, items });
      const ends: string[] = [];
      for (let month = 0; month < 4; month += 1) {
        const [, end = ""] = periodOf(await client.subscriptions.retrieve(id));
        ends.push(end);
        local.setTime(Date.parse(`${end}Z`));
      }
      expect(ends).toEqual(["2027-02-28T09:30", "2027-03-31T09:30", "2027-04-30T09:30", "2027-05-31T09:30"]);
    });
  });

  it.each([
    ["day", ["2026-11-15T12:00", "2026-11-16T03:00"], ["2026-11-16T03:00", "2026-11-17T03:00"]],
    ["week", ["2026-11-15T12:00", "2026-11-16T03:00"], ["2026-11-16T03:00", "2026-11-23T03:00"]],
    ["month", ["2026-11-15T12:00", "2026-11-16T03:00"], ["2026-11-16T03:00", "2026-12-16T03:00"]],
    ["year", ["2026-11-15T12:00", "2026-11-16T03:00"], ["2026-11-16T03:00", "2027-11-16T03:00"]],
  ] as const)(
    "[subscription.periods] of a %s begin short before an anchor that lies ahead",
    async (interval, first, second) => {
      await withLocalStripe({}, async (running) => {
        const { client, local } = running;
        const { customer, items } = await shop(running, interval);
        const anchor = Date.UTC(2026, 10, 16, 3) / 1000;
        const made = await client.subscriptions.create({ customer, items, billing_cycle_anchor: anchor });
        expect(periodOf(made)).toEqual(first);
        local.setTime(anchor * 1000);
        expect(periodOf(await client.subscriptions.retrieve(made.id))).toEqual(second);
      });
    },
  );

  it("[subscription.backdated] run since an anchor in the past, without invoices for what was closed", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, items } = await shop(running);
      const since = Date.UTC(2026, 8, 3, 6) / 1000;
      const made = await client.subscriptions.create({ customer, items, backdate_start_date: since });
      expect([made.start_date, ...periodOf(made)]).toEqual([since, "2026-11-03T06:00", "2026-12-03T06:00"]);
      const seed = local.createSubscription({ customer, meters: ["tokens", "calls"], interval: "week", anchor: since });
      expect(seed.items.map(({ eventName }) => eventName)).toEqual(["tokens", "calls"]);
      expect(periodOf(await client.subscriptions.retrieve(seed.id))).toEqual(["2026-11-12T06:00", "2026-11-19T06:00"]);
      expect((await client.invoices.list()).data).toEqual([]);
    });
  });

  it("[subscription.trial] are trialing until the trial's end, which anchors the periods; its usage is free", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, items } = await shop(running);
      const made = await client.subscriptions.create({ customer, items, trial_period_days: 2 });
      expect([made.status, made.trial_end]).toEqual(["trialing", NOON_SECONDS + 2 * DAY]);
      await client.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "9" },
      });
      local.advance(2 * DAY * 1000);
      await client.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "5" },
      });
      const running2 = await client.subscriptions.retrieve(made.id);
      expect([running2.status, ...periodOf(running2)]).toEqual(["active", "2026-11-17T12:00", "2026-12-17T12:00"]);
      local.setTime(Date.UTC(2026, 11, 17, 14));
      expect(
        local
          .invoiced()
          .filter(({ eventName }) => eventName === "tokens")
          .map(({ quantity }) => quantity),
      ).toEqual(["0", "5"]);
    });
  });

  it("[subscription.list] are listed newest first, without the canceled ones unless they are asked for", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, items, prices } = await shop(running);
      const other = local.createCustomer({ id: "cus_b" }).id;
      const ended = await client.subscriptions.create({ customer, items });
      const active = await client.subscriptions.create({ customer, items: items.slice(0, 1) });
      const trial = await client.subscriptions.create({ customer: other, items, trial_end: NOON_SECONDS + DAY });
      local.cancelSubscription(ended.id);
      const ids = async (query: Stripe.SubscriptionListParams): Promise<string[]> =>
        (await client.subscriptions.list(query)).data.map(({ id }) => id);
      expect(await ids({})).toEqual([trial.id, active.id]);
      expect(await ids({ customer, status: "all", limit: 100 })).toEqual([active.id, ended.id]);
      expect(await ids({ status: "ended" })).toEqual([ended.id]);
      expect(await ids({ status: "canceled" })).toEqual([ended.id]);
      expect(await ids({ status: "trialing" })).toEqual([trial.id]);
      expect(await ids({ price: prices[1] ?? "" })).toEqual([trial.id]);
      const paged: string[] = [];
      for await (const { id } of client.subscriptions.list({ status: "all", limit: 1 })) paged.push(id);
      expect(paged).toEqual([trial.id, active.id, ended.id]);
    });
  });

  it("[subscription.update] [subscription.cancel_at] end when they were told to, with a last invoice of the cut period", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, items } = await shop(running);
      const { id } = await client.subscriptions.create({ customer, items });
      const atEnd = await client.subscriptions.update(id, { cancel_at_period_end: true, metadata: { why: "left" } });
      expect(atEnd).toMatchObject({ cancel_at_period_end: true, metadata: { why: "left" }, canceled_at: NOON_SECONDS });
      expect(atEnd.cancel_at).toBe(Date.UTC(2026, 11, 15, 12) / 1000);
      const taken = await client.subscriptions.update(id, { cancel_at_period_end: false });
      expect(taken).toMatchObject({ cancel_at: null, canceled_at: null });
      const cut = NOON_SECONDS + 3 * HOUR + 60;
      expect(periodOf(await client.subscriptions.update(id, { cancel_at: cut }))).toEqual([
        "2026-11-15T12:00",
        "2026-11-15T15:01",
      ]);
      await client.billing.meterEvents.create({
        event_name: "calls",
        payload: { stripe_customer_id: customer, value: "2" },
        timestamp: NOON_SECONDS,
      });
      local.advance(5 * HOUR * 1000);
      const ended = await client.subscriptions.retrieve(id);
      expect([ended.status, ended.ended_at]).toEqual(["canceled", cut]);
      expect(local.invoiced()).toMatchObject([
        { eventName: "tokens", periodEnd: cut, quantity: "0", isFinal: true },
        { eventName: "calls", periodStart: NOON_SECONDS, periodEnd: cut, quantity: "2", isFinal: true },
      ]);
      local.advance(60 * DAY * 1000);
      expect(local.invoiced()).toHaveLength(2);
      await client.subscriptions.update(id, { metadata: { why: "" } });
    });
  });

  it("[subscription.cancel] [subscription.canceled_fixed] [subscription.not_found] end at once, their usage invoiced only on order", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, items } = await shop(running);
      const first = await client.subscriptions.create({ customer, items });
      const second = await client.subscriptions.create({ customer, items });
      await client.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "2" },
      });
      local.advance(1_000);
      expect((await client.subscriptions.cancel(first.id)).status).toBe("canceled");
      expect(local.invoiced()).toEqual([]);
      await client.subscriptions.cancel(second.id, { invoice_now: true });
      local.advance(HOUR * 1000);
      expect(local.invoiced()).toMatchObject([
        { subscription: second.id, eventName: "tokens", quantity: "2", isFinal: true },
        { subscription: second.id, eventName: "calls", quantity: "0" },
      ]);
      expect((await failure(client.subscriptions.update(first.id, { cancel_at_period_end: true }))).message).toContain(
        "canceled subscription",
      );
      expect((await failure(client.subscriptions.cancel(first.id))).code).toBe("resource_missing");
      expect((await failure(client.subscriptions.retrieve("sub_none"))).message).toBe(
        "No such subscription: 'sub_none'",
      );
    });
  });

  it("[subscription.customer_deleted] end with their customer", async () => {
    await withLocalStripe({}, async (running) => {
      const { client } = running;
      const { customer, items } = await shop(running);
      const { id } = await client.subscriptions.create({ customer, items });
      await client.customers.del(customer);
      expect((await client.subscriptions.retrieve(id)).status).toBe("canceled");
      const types = (await client.events.list({ limit: 2 })).data.map(({ type }) => type);
      expect(types).toEqual(["customer.deleted", "customer.subscription.deleted"]);
    });
  });

  it.each([
    ["subscription.metered_quantity", "items[0][price]=PRICE&items[0][quantity]=1", "items[0][quantity]"],
    ["subscription.mixed_intervals", "items[0][price]=PRICE&items[1][price]=WEEKLY", "items"],
    [
      "subscription.too_many_items",
      Array.from({ length: 21 }, (_, i) => `items[${i}][price]=PRICE`).join("&"),
      "items",
    ],
    [
      "subscription.start_in_past",
      `items[0][price]=PRICE&billing_cycle_anchor=${NOON_SECONDS}`,
      "billing_cycle_anchor",
    ],
    ["subscription.start_in_past", `items[0][price]=PRICE&trial_end=${NOON_SECONDS - 1}`, "trial_end"],
    ["price.not_found", "items[0][price]=price_none", "items[0][price]"],
    ["http.parameter_unknown", "items[0][price]=PRICE&coupon=", "coupon"],
    ["http.parameter_not_kept", "items[0][price]=PRICE&off_session=true", "off_session"],
  ])("[%s] refuses %s", async (behaviour, form, param) => {
    await withLocalStripe({}, async (running) => {
      const { customer, prices } = await shop(running);
      const weekly = running.local.createSubscription({ customer, meters: ["tokens"], interval: "week" });
      const items = form.replaceAll("PRICE", prices[0] ?? "").replace("WEEKLY", weekly.items[0]?.price ?? "");
      const body = `customer=${customer}&${items}`;
      const refused = await rawCall(running.local, "POST", "/v1/subscriptions", { body });
      expect([refused.status, refused.headers["local-stripe-behaviour"]]).toEqual([400, behaviour]);
      expect(JSON.parse(refused.body)).toMatchObject({ error: { param } });
    });
  });

  it("are put there and ended by another process, and misuse is told", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const seeded = await control(local, "POST seed", {
        customers: [{ id: "cus_s", metadata: { company_id: "acme" } }],
        meters: [{ event_name: "tokens" }],
        subscriptions: [{ customer: "cus_s", meters: ["tokens"], interval: "day" }],
      });
      expect(seeded).toMatchObject({
        customers: [{ id: "cus_s" }],
        subscriptions: [{ items: [{ eventName: "tokens" }] }],
      });
      const [subscription] = (await client.subscriptions.list({ customer: "cus_s" })).data;
      const id = subscription?.id ?? "";
      await control(local, "POST subscriptions/cancel", { id, atMs: NOON + 3_600_000 });
      expect((await client.subscriptions.retrieve(id)).cancel_at).toBe(NOON_SECONDS + HOUR);
      expect(() => local.createSubscription({ customer: "cus_none", meters: ["tokens"] })).toThrow(/no customer/);
      expect(() => local.createSubscription({ customer: "cus_s", meters: ["none"] })).toThrow(/no meter/);
      expect(() => local.createSubscription({ customer: "cus_s", meters: [] })).toThrow(/at least one meter/);
      expect(() => local.createSubscription({ customer: "cus_s", meters: ["tokens"], trialEnd: 1 })).toThrow(/ahead/);
      expect(() => local.cancelSubscription("sub_none")).toThrow(/no subscription/);
    });
  });

  it("are answered as Stripe's schema describes them", async () => {
    await withLocalStripe({}, async (running) => {
      const { local } = running;
      const { customer } = await shop(running);
      const { id } = local.createSubscription({ customer, meters: ["tokens"] });
      for (const path of ["/v1/subscriptions", `/v1/subscriptions/${id}`]) {
        const answer = await rawCall(local, "GET", path);
        const verdict = validateStripeAnswer("GET", path, JSON.parse(answer.body));
        expect([path, verdict.kind === "invalid" ? verdict : "fits"]).toEqual([path, "fits"]);
      }
    });
  });
});
