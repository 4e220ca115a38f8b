import { Stripe } from "stripe";
import { describe, expect, it } from "vitest";
import { failure, rawCall, withLocalStripe, type Running } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";

/** A meter, a product, and what a price on them needs. */
async function shop({ client, local }: Running) {
  const meter = local.createMeter({ event_name: "tokens" }).id;
  const product = await client.products.create({ name: "Tokens" });
  const recurring = { interval: "month", usage_type: "metered", meter } as const;
  return { meter, product: product.id, recurring, price: { currency: "usd", product: product.id, recurring } };
}

describe("products", () => {
  it("[product.create] [product.retrieve] [product.update] [product.id_taken] [product.not_found] are made, changed and found", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const made = await client.products.create({ id: "prod_mine", name: "Tokens", unit_label: "token" });
      expect(made).toMatchObject({ id: "prod_mine", active: true, name: "Tokens", unit_label: "token" });
      const changed = await client.products.update(made.id, { active: false, metadata: { a: "b" } });
      expect(changed).toMatchObject({ active: false, name: "Tokens", metadata: { a: "b" } });
      expect((await client.products.retrieve(made.id)).metadata).toEqual({ a: "b" });
      expect(await failure(client.products.create({ id: "prod_mine", name: "Again" }))).toMatchObject({
        status: 400,
        code: "resource_already_exists",
      });
      expect((await failure(client.products.retrieve("prod_none"))).message).toBe("No such product: 'prod_none'");
    });
  });

  it("[product.list] [http.parameter_not_boolean] are listed newest first, by whether they are active", async () => {
    await withLocalStripe({}, async ({ client, local }) => {
      const [first, second] = [
        await client.products.create({ name: "a" }),
        await client.products.create({ name: "b" }),
      ];
      await client.products.update(first.id, { active: false });
      expect((await client.products.list()).data.map(({ id }) => id)).toEqual([second.id, first.id]);
      expect((await client.products.list({ active: false })).data.map(({ id }) => id)).toEqual([first.id]);
      const wrong = await rawCall(local, "GET", "/v1/products?active=perhaps");
      expect([wrong.status, wrong.headers["local-stripe-behaviour"]]).toEqual([400, "http.parameter_not_boolean"]);
    });
  });
});

describe("prices", () => {
  it("[price.create] [price.retrieve] [price.update] [price.not_found] hold amounts of any precision on a meter", async () => {
    await withLocalStripe({}, async (running) => {
      const { client } = running;
      const { meter, price } = await shop(running);
      const made = await client.prices.create({ ...price, unit_amount_decimal: Stripe.Decimal.from("0.000123456789") });
      expect(made.unit_amount_decimal?.toString()).toBe("0.000123456789");
      expect(made).toMatchObject({ unit_amount: null, billing_scheme: "per_unit", type: "recurring" });
      expect(made.recurring).toMatchObject({ interval: "month", interval_count: 1, meter, usage_type: "metered" });
      const whole = await client.prices.create({ ...price, unit_amount: 7 });
      expect([whole.unit_amount, whole.unit_amount_decimal?.toString()]).toEqual([7, "7"]);
      await client.prices.update(whole.id, { active: false, nickname: "old" });
      expect(await client.prices.retrieve(whole.id)).toMatchObject({ active: false, nickname: "old", unit_amount: 7 });
      expect((await failure(client.prices.retrieve("price_none"))).code).toBe("resource_missing");
    });
  });

  it("[price.tiers_expanded] show their tiers only when asked to", async () => {
    await withLocalStripe({}, async (running) => {
      const { client } = running;
      const { price } = await shop(running);
      const tiered = {
        ...price,
        billing_scheme: "tiered",
        tiers_mode: "graduated",
        tiers: [
          { up_to: 10, unit_amount: 5, flat_amount: 100 },
          { up_to: "inf", unit_amount: 3 },
        ],
      } as const;
      const made = await client.prices.create({ ...tiered, tiers: [...tiered.tiers] });
      expect([made.tiers_mode, made.tiers, made.unit_amount]).toEqual(["graduated", undefined, null]);
      const shown = await client.prices.retrieve(made.id, { expand: ["tiers"] });
      expect(shown.tiers?.map(({ up_to, unit_amount, flat_amount }) => [up_to, unit_amount, flat_amount])).toEqual([
        [10, 5, 100],
        [null, 3, null],
      ]);
    });
  });

  it("[price.list] are found by what they charge for", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { meter, price, recurring } = await shop(running);
      const other = local.createMeter({ event_name: "calls" }).id;
      const a = await client.prices.create({ ...price, unit_amount: 1 });
      const b = await client.prices.create({
        currency: "eur",
        product_data: { name: "Calls" },
        recurring: { ...recurring, interval: "week", meter: other },
        unit_amount: 1,
      });
      const ids = async (query: object): Promise<string[]> =>
        (await client.prices.list(query)).data.map(({ id }) => id);
      expect(await ids({})).toEqual([b.id, a.id]);
      expect(await ids({ recurring: { meter } })).toEqual([a.id]);
      expect(await ids({ recurring: { interval: "week" } })).toEqual([b.id]);
      expect(await ids({ product: a.product })).toEqual([a.id]);
      expect(await ids({ currency: "eur", active: true })).toEqual([b.id]);
      expect(await ids({ type: "one_time" })).toEqual([]);
    });
  });

  it.each([
    ["price.needs_meter", "recurring[interval]=month&recurring[usage_type]=metered&unit_amount=1", "recurring[meter]"],
    ["price.licensed_not_kept", "recurring[interval]=month&unit_amount=1", "recurring[usage_type]"],
    ["price.one_amount", "METERED&unit_amount=1&unit_amount_decimal=1", "unit_amount"],
    ["price.bad_amount", "METERED&unit_amount_decimal=0.0000000000001", "unit_amount_decimal"],
    ["price.bad_amount", "METERED&unit_amount=-1", "unit_amount"],
    ["price.bad_amount", "METERED&unit_amount=1.5", "unit_amount"],
    [
      "price.tiers_order",
      "METERED&billing_scheme=tiered&tiers_mode=volume&tiers[0][up_to]=5&tiers[0][unit_amount]=1",
      "tiers",
    ],
    [
      "price.tiers_order",
      "METERED&billing_scheme=tiered&tiers_mode=volume&tiers[0][up_to]=5&tiers[1][up_to]=5&tiers[2][up_to]=inf",
      "tiers",
    ],
    [
      "price.transform_with_tiers",
      "METERED&billing_scheme=tiered&tiers_mode=volume&tiers[0][up_to]=inf&transform_quantity[divide_by]=2&transform_quantity[round]=up",
      "transform_quantity",
    ],
    [
      "meter.not_found",
      "recurring[interval]=month&recurring[usage_type]=metered&recurring[meter]=mtr_x&unit_amount=1",
      "recurring[meter]",
    ],
    ["http.parameter_not_kept", "METERED&unit_amount=1&tax_behavior=exclusive", "tax_behavior"],
  ])("[%s] refuses %s", async (behaviour, form, param) => {
    await withLocalStripe({}, async (running) => {
      const { meter, product } = await shop(running);
      const metered = `recurring[interval]=month&recurring[usage_type]=metered&recurring[meter]=${meter}`;
      const body = `currency=usd&product=${product}&${form.replace("METERED", metered)}`;
      const refused = await rawCall(running.local, "POST", "/v1/prices", { body });
      expect([refused.status, refused.headers["local-stripe-behaviour"]]).toEqual([400, behaviour]);
      expect(JSON.parse(refused.body)).toMatchObject({ error: { param } });
    });
  });
});

it("answers products and prices as Stripe's schema describes them", async () => {
  await withLocalStripe({}, async (running) => {
    const { client, local } = running;
    const { price, product } = await shop(running);
    const made = await client.prices.create({ ...price, unit_amount: 1 });
    for (const path of [
      "/v1/products",
      `/v1/products/${product}`,
      "/v1/prices",
      `/v1/prices/${made.id}?expand[0]=tiers`,
    ]) {
      const answer = await rawCall(local, "GET", path);
      const verdict = validateStripeAnswer("GET", path.split("?")[0] ?? "", JSON.parse(answer.body));
      expect([path, verdict.kind === "invalid" ? verdict : "fits"]).toEqual([path, "fits"]);
    }
  });
});
