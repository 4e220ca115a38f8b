import { Stripe } from "stripe";
import { describe, expect, it } from "vitest";
import type { LocalStripeOptions } from "../../src/testing/index.ts";
import { failure, NOON, NOON_SECONDS, rawCall, seeded, withLocalStripe, type Running } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";

const HOUR = 3_600;
const DAY = 86_400;
/** The end of a daily subscription's first period. */
const END = NOON_SECONDS + DAY;

type Price = Partial<Stripe.PriceCreateParams>;

/** A daily subscription to `tokens` from noon on. */
async function withDaily(
  options: LocalStripeOptions,
  use: (running: Running & ReturnType<typeof seeded> & { readonly subscription: string }) => Promise<void>,
  price: Price = { unit_amount: 1 },
): Promise<void> {
  await withLocalStripe(options, async (running) => {
    const { client } = running;
    const seed = seeded(running);
    const recurring = { interval: "day", usage_type: "metered", meter: seed.meter } as const;
    const made = await client.prices.create({ currency: "usd", product_data: { name: "Tokens" }, recurring, ...price });
    const { customer } = seed;
    const { id: subscription } = await client.subscriptions.create({ customer, items: [{ price: made.id }] });
    await use({ ...running, ...seed, subscription });
  });
}

/** The lines of the oldest invoice: quantity, exact quantity, amount. */
async function oldestLines(client: Stripe): Promise<readonly (readonly [number | null, string | undefined, number])[]> {
  const invoice = (await client.invoices.list()).data.at(-1);
  return (invoice?.lines.data ?? []).map(({ quantity, quantity_decimal: exact, amount }) => [
    quantity,
    exact?.toString(),
    amount,
  ]);
}

describe("the end of a period", () => {
  it("[invoice.period_end] [invoice.grace] [invoice.retrieve] makes a draft, and finalises it after the grace by what is known then", async () => {
    await withDaily({}, async ({ client, local, send, subscription, customer }) => {
      await send("5", { timestamp: NOON_SECONDS });
      local.setTime(END * 1000);
      const [draft] = (await client.invoices.list({ subscription })).data;
      expect(draft).toMatchObject({
        status: "draft",
        customer,
        billing_reason: "subscription_cycle",
        automatically_finalizes_at: END + HOUR,
        created: END,
        period_start: NOON_SECONDS,
        period_end: END,
        total: 5,
      });
      await send("2", { timestamp: END - 1 });
      expect((await client.invoices.retrieve(draft?.id ?? "")).total).toBe(7);
      local.advance(HOUR * 1000);
      await send("100", { timestamp: END - 1 });
      const final = await client.invoices.retrieve(draft?.id ?? "");
      expect(final).toMatchObject({ status: "open", total: 7, amount_due: 7, automatically_finalizes_at: null });
      expect(final.status_transitions.finalized_at).toBe(END + HOUR);
      expect(local.invoiced()).toMatchObject([{ customer, eventName: "tokens", quantity: "7", isFinal: true }]);
      const types = (await client.events.list({ type: "invoice.*" })).data.map(({ type }) => type);
      expect(types).toEqual(["invoice.finalized", "invoice.created"]);
    });
  });

  it("[invoice.grace] takes another grace, up to 72 hours", async () => {
    await withDaily({ graceMs: 3 * HOUR * 1000 }, async ({ client, local }) => {
      local.setTime((END + 3 * HOUR) * 1000 - 1);
      expect((await client.invoices.list()).data[0]?.status).toBe("draft");
      local.advance(1);
      expect((await client.invoices.list()).data[0]?.status).toBe("paid");
    });
    await expect(withLocalStripe({ graceMs: 73 * HOUR * 1000 }, async () => undefined)).rejects.toThrow(/72 hours/);
  });

  it("[invoice.half_open] bills by timestamp: the first second of a period is in it, its end is the next one's", async () => {
    await withDaily({}, async ({ local, send }) => {
      await send("1000", { timestamp: NOON_SECONDS - 1 });
      await send("1", { timestamp: NOON_SECONDS });
      local.setTime(END * 1000);
      await send("20", { timestamp: END - 1 });
      await send("300", { timestamp: END });
      local.setTime((END + DAY + HOUR) * 1000);
      expect(local.invoiced().map(({ quantity }) => quantity)).toEqual(["21", "300"]);
    });
  });

  it("[invoice.negative] bills a negative total as 0", async () => {
    await withDaily({}, async ({ client, local, send, customer }) => {
      await send("5");
      await send("-8");
      local.setTime((END + HOUR) * 1000);
      expect(await oldestLines(client)).toEqual([[0, "0", 0]]);
      expect(local.total("tokens", customer)).toBe("-3");
    });
  });

  it("[invoice.visible_usage] does not bill what summaries do not show yet", async () => {
    await withDaily({ summaryLagMs: 600_000 }, async ({ client, local, send }) => {
      local.setTime((END + HOUR) * 1000 - 600_000);
      await send("1", { timestamp: END - 1 });
      local.advance(1);
      await send("20", { timestamp: END - 1 });
      local.setTime((END + HOUR) * 1000);
      expect(await oldestLines(client)).toEqual([[1, "1", 1]]);
    });
  });

  it("[invoice.first] makes no invoice when a subscription starts, and one for a period without usage", async () => {
    await withDaily({}, async ({ client, local }) => {
      expect((await client.invoices.list()).data).toEqual([]);
      local.setTime((END + HOUR) * 1000);
      expect((await client.invoices.list()).data).toMatchObject([{ status: "paid", total: 0 }]);
    });
  });
});

describe("amounts", () => {
  const tiers = [
    { up_to: 10, unit_amount: 5, flat_amount: 100 },
    { up_to: 20, unit_amount: 3 },
    { up_to: "inf", unit_amount_decimal: Stripe.Decimal.from("0.5") },
  ] satisfies Stripe.PriceCreateParams.Tier[];
  const graduated: Price = { billing_scheme: "tiered", tiers_mode: "graduated", tiers };
  const volume: Price = { ...graduated, tiers_mode: "volume" };
  const perHour: Price = { unit_amount: 1_000, transform_quantity: { divide_by: 60, round: "up" } };

  it.each<[string, string, Price, (number | string)[][]]>([
    ["invoice.line_quantity", "12.75", { unit_amount: 2 }, [[12, "12.75", 26]]],
    ["invoice.rounding", "5", { unit_amount_decimal: Stripe.Decimal.from("0.1") }, [[5, "5", 1]]],
    ["invoice.rounding", "4", { unit_amount_decimal: Stripe.Decimal.from("0.1") }, [[4, "4", 0]]],
    [
      "invoice.rounding",
      "1234567890.12345",
      { unit_amount_decimal: Stripe.Decimal.from("0.000000000001") },
      [[1_234_567_890, "1234567890.12345", 0]],
    ],
    ["invoice.tiers", "4", graduated, [[4, "4", 120]]],
    [
      "invoice.tiers",
      "25.5",
      graduated,
      [
        [10, "10", 150],
        [10, "10", 30],
        [5, "5.5", 3],
      ],
    ],
    ["invoice.tiers", "0", graduated, [[0, "0", 0]]],
    ["invoice.tiers", "10", volume, [[10, "10", 150]]],
    ["invoice.tiers", "10.5", volume, [[10, "10.5", 32]]],
    ["price.create", "150", perHour, [[150, "150", 3_000]]],
    ["price.create", "120", perHour, [[120, "120", 2_000]]],
    [
      "price.create",
      "179",
      { ...perHour, transform_quantity: { divide_by: 60, round: "down" } },
      [[179, "179", 2_000]],
    ],
  ])("[%s] price %s units by the price's rule", async (_behaviour, usage, price, lines) => {
    const use = async ({ client, local, send }: Parameters<Parameters<typeof withDaily>[1]>[0]): Promise<void> => {
      await send(usage);
      local.setTime((END + HOUR) * 1000);
      expect(await oldestLines(client)).toEqual(lines);
    };
    await withDaily({}, use, price);
  });
});

describe("invoices", () => {
  it("[invoice.preview] [invoice.no_upcoming] show the running period before its end, without keeping it", async () => {
    await withDaily({ summaryLagMs: 60_000 }, async ({ client, local, send, subscription, customer }) => {
      await send("5");
      const early = await client.invoices.createPreview({ subscription });
      expect([early.id?.startsWith("upcoming_in_"), early.total]).toEqual([true, 0]);
      local.advance(60_000);
      expect(await client.invoices.createPreview({ customer })).toMatchObject({
        status: "draft",
        total: 5,
        period_end: END,
      });
      expect((await client.invoices.list()).data).toEqual([]);
      local.cancelSubscription(subscription);
      const none = await failure(client.invoices.createPreview({ subscription }));
      expect(none).toMatchObject({ status: 404, code: "invoice_upcoming_none" });
      expect((await failure(client.invoices.createPreview({ customer }))).status).toBe(404);
    });
  });

  it("[invoice.finalize] [invoice.already_finalized] [invoice.not_found] are finalised by hand once", async () => {
    await withDaily({}, async ({ client, local, send }) => {
      await send("5");
      local.setTime(END * 1000);
      const id = (await client.invoices.list()).data[0]?.id ?? "";
      expect(await client.invoices.finalizeInvoice(id)).toMatchObject({ status: "open", total: 5 });
      await send("2", { timestamp: END - 1 });
      local.advance(2 * HOUR * 1000);
      expect((await client.invoices.retrieve(id)).total).toBe(5);
      expect((await failure(client.invoices.finalizeInvoice(id))).message).toContain("already finalized");
      expect((await failure(client.invoices.retrieve("in_none"))).message).toBe("No such invoice: 'in_none'");
    });
  });

  it("[invoice.list] [invoice.lines] are listed newest first by customer, subscription and status, with their lines", async () => {
    await withDaily({}, async ({ client, local, send, subscription, customer }) => {
      await send("5");
      local.setTime((END + DAY) * 1000);
      const [second, first] = (await client.invoices.list()).data;
      expect([second?.status, first?.status]).toEqual(["draft", "open"]);
      const ids = async (query: Stripe.InvoiceListParams): Promise<(string | undefined)[]> =>
        (await client.invoices.list(query)).data.map(({ id }) => id);
      expect(await ids({ customer, subscription })).toEqual([second?.id, first?.id]);
      expect(await ids({ status: "open" })).toEqual([first?.id]);
      expect(await ids({ customer: "cus_none" })).toEqual([]);
      const lines = await client.invoices.listLineItems(first?.id ?? "", { limit: 1 });
      expect(lines.data).toMatchObject([{ amount: 5, quantity: 5, period: { start: NOON_SECONDS, end: END } }]);
      expect(lines.data[0]?.parent?.subscription_item_details?.subscription).toBe(subscription);
      expect(lines.data[0]?.pricing?.price_details?.price).toMatch(/^price_/);
    });
  });

  it("count an hour or day window's last event, and a last meter's last", async () => {
    await withLocalStripe({}, async (running) => {
      const { local } = running;
      const { customer, send } = seeded(running, { event_name: "tokens", event_time_window: "hour" });
      local.createMeter({ event_name: "seats", formula: "last" });
      local.createSubscription({ customer, meters: ["tokens", "seats"], interval: "day" });
      for (const value of ["9", "4"]) {
        await send(value);
        const payload = { stripe_customer_id: customer, value };
        await running.client.billing.meterEvents.create({ event_name: "seats", payload });
      }
      local.setTime(NOON + DAY * 1000);
      expect(local.invoiced().map(({ quantity }) => quantity)).toEqual(["4", "4"]);
    });
  });

  it("are answered as Stripe's schema describes them", async () => {
    await withDaily({}, async ({ local, send, subscription }) => {
      await send("1.5");
      const preview = await rawCall(local, "POST", "/v1/invoices/create_preview", {
        body: `subscription=${subscription}`,
      });
      local.setTime((END + DAY) * 1000);
      const [{ invoice } = { invoice: "" }] = local.invoiced();
      const answers: [string, string, unknown][] = [["POST", "/v1/invoices/create_preview", JSON.parse(preview.body)]];
      for (const path of ["/v1/invoices", `/v1/invoices/${invoice}`, `/v1/invoices/${invoice}/lines`, "/v1/events"]) {
        answers.push(["GET", path, JSON.parse((await rawCall(local, "GET", path)).body)]);
      }
      const misfits = answers
        .map(([method, path, body]) => ({ path, verdict: validateStripeAnswer(method, path, body) }))
        .filter(({ verdict }) => verdict.kind === "invalid");
      expect(misfits).toEqual([]);
    });
  });
});
