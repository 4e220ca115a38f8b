import { describe, expect, it } from "vitest";
import { LOCAL_STRIPE_ROUTES } from "../../src/testing/local-stripe/routes.ts";
import { clientOf, NOON_SECONDS, rawCall, withLocalStripe } from "./running-stripe.ts";
import { SCHEMA_FILE, schemaPresent, validateStripeAnswer, validateStripeRequest } from "./stripe-schema.ts";

const valid = { kind: "valid" };

(schemaPresent ? heldAgainstSchema : notHeld)();

function heldAgainstSchema(): void {
  describe("against Stripe's schema", () => {
    it.each([
      ["POST", "/v1/billing/meter_events", "event_name=a&payload[value]=1&timestamp=5&identifier=x"],
      ["POST", "/v1/customers", "metadata[company_id]=acme&email=a%40b.c"],
      ["POST", "/v1/customers/cus_1", "metadata="],
      ["GET", "/v1/customers", "limit=100&created[gte]=5"],
      ["GET", "/v1/customers", "created=5"],
      ["GET", "/v1/events", "types[0]=customer.created&types[1]=customer.deleted"],
      ["GET", "/v1/customers/search", "query=metadata%5B%27k%27%5D%3A%27v%27"],
      ["DELETE", "/v1/customers/cus_1", ""],
    ])("accepts %s %s?%s", (method, path, form) => {
      expect(validateStripeRequest(method, path, form)).toEqual(valid);
    });

    it.each([
      ["POST", "/v1/billing/meter_events", "payload[value]=1"],
      ["POST", "/v1/billing/meter_events", "event_name=a&payload[value]=1&quantity=1"],
      ["POST", "/v1/billing/meter_events", "event_name=a&payload[value]=1&timestamp=5.5"],
      ["POST", "/v1/billing/meter_events", `event_name=a&payload[value]=1&identifier=${"x".repeat(101)}`],
      ["POST", "/v1/billing/meter_events", "event_name=a&payload[value][deep]=1"],
      ["GET", "/v1/billing/meters/mtr_1/event_summaries", "customer=cus_1&start_time=0"],
      ["GET", "/v1/customers", "metadata[company_id]=acme"],
      ["POST", "/v1/usage_records", "quantity=1"],
      ["DELETE", "/v1/billing/meters/mtr_1", ""],
    ])("refuses %s %s?%s", (method, path, form) => {
      expect(validateStripeRequest(method, path, form)).toMatchObject({
        kind: "invalid",
        problems: [expect.any(String)],
      });
    });

    it("holds every answer and every request of the genuine client", async () => {
      await withLocalStripe({}, async ({ local }) => {
        const client = clientOf(local);
        const customer = await client.customers.create({ metadata: { company_id: "acme" } });
        await client.customers.update(customer.id, { metadata: { plan: "gold" } });
        const meter = await client.billing.meters.create({
          display_name: "T",
          event_name: "t",
          default_aggregation: { formula: "sum" },
        });
        await client.billing.meters.update(meter.id, { display_name: "Tokens" });
        await client.billing.meters.deactivate(meter.id);
        await client.billing.meters.reactivate(meter.id);
        const payload = { stripe_customer_id: customer.id, value: "1.5" };
        await client.billing.meterEvents.create({ event_name: "t", payload, identifier: "i", timestamp: NOON_SECONDS });
        const cancelled = { event_name: "t", type: "cancel", cancel: { identifier: "i" } } as const;
        await client.billing.meterEvents.create({ event_name: "t", payload });
        await client.billing.meterEventAdjustments.create(cancelled);
        const event = (await client.events.list({ types: ["customer.created"] })).data[0];
        const reads = [
          ["/v1/customers", "limit=5"],
          [`/v1/customers/${customer.id}`, ""],
          ["/v1/customers/search", "query=metadata['company_id']:'acme'"],
          ["/v1/billing/meters", "status=active"],
          [`/v1/billing/meters/${meter.id}`, ""],
          [
            `/v1/billing/meters/${meter.id}/event_summaries`,
            `customer=${customer.id}&start_time=${String(NOON_SECONDS)}&end_time=${String(NOON_SECONDS + 60)}`,
          ],
          ["/v1/events", "limit=3"],
          [`/v1/events/${event?.id ?? ""}`, ""],
        ] as const;
        for (const [path, query] of reads) {
          const answer = await rawCall(local, "GET", `${path}?${query}`);
          expect([path, answer.status, validateStripeAnswer("GET", path, JSON.parse(answer.body))]).toEqual([
            path,
            200,
            valid,
          ]);
        }
        await client.customers.del(customer.id);
        const deleted = await rawCall(local, "GET", `/v1/customers/${customer.id}`);
        expect(validateStripeAnswer("GET", `/v1/customers/${customer.id}`, JSON.parse(deleted.body))).toEqual(valid);
        for (const { method, path, form, status } of local.requests) {
          expect([path, status, validateStripeRequest(method, path, form)]).toEqual([path, 200, valid]);
        }
      });
    });

    it("holds the answers to writes and the errors", async () => {
      await withLocalStripe({}, async ({ local }) => {
        local.createCustomer({ id: "cus_1" });
        local.createMeter({ event_name: "t" });
        const writes = [
          ["/v1/customers", "email=a@b.c"],
          ["/v1/billing/meters", "display_name=U&event_name=u&default_aggregation[formula]=sum"],
          ["/v1/billing/meter_events", "event_name=t&payload[stripe_customer_id]=cus_1&payload[value]=1&identifier=i"],
          ["/v1/billing/meter_event_adjustments", "event_name=t&type=cancel&cancel[identifier]=i"],
        ] as const;
        for (const [path, body] of writes) {
          const answer = await rawCall(local, "POST", path, { body });
          expect([path, answer.status, validateStripeAnswer("POST", path, JSON.parse(answer.body))]).toEqual([
            path,
            200,
            valid,
          ]);
        }
      });
    });

    it("knows every path of the local Stripe but the account's and the fetched thin events'", () => {
      const unknown = LOCAL_STRIPE_ROUTES.filter(({ method, path }) => {
        const verdict = validateStripeRequest(method, path.replace(":id", "x_1"), "");
        return (
          verdict.kind === "invalid" && verdict.problems.some((problem) => problem.endsWith("is not in Stripe's API"))
        );
      });
      expect(unknown.map(({ operation }) => operation)).toEqual([
        "account.retrieve",
        "thin_event.list",
        "thin_event.retrieve",
      ]);
    });
  });
}

function notHeld(): void {
  it(`NOT CHECKED: requests are not held against Stripe's schema, ${SCHEMA_FILE} is not there`, () => {
    console.warn(`Stripe's schema is not at ${SCHEMA_FILE}: no request was validated.`);
    expect(validateStripeRequest("POST", "/v1/billing/meter_events", "nonsense")).toEqual({ kind: "unchecked" });
    expect(validateStripeAnswer("GET", "/v1/customers", {})).toEqual({ kind: "unchecked" });
  });
}
