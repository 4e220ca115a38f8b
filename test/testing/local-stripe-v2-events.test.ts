import { describe, expect, it } from "vitest";
import { failure, NOON, NOON_SECONDS, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";

const PATH = "/v2/billing/meter_events";

describe("v2 meter events", () => {
  it("[meter_event_v2.create] are sent by the genuine client and count like the others", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer } = seeded(running);
      const payload = { stripe_customer_id: customer, value: "1.5" };
      const made = await client.v2.billing.meterEvents.create({
        event_name: "tokens",
        payload,
        identifier: "a",
        timestamp: "2026-11-15T12:30:00.250+01:00",
      });
      expect(made).toEqual({
        object: "v2.billing.meter_event",
        created: new Date(NOON).toISOString(),
        event_name: "tokens",
        identifier: "a",
        livemode: false,
        payload,
        timestamp: "2026-11-15T11:30:00.250Z",
      });
      await client.v2.billing.meterEvents.create({ event_name: "tokens", payload });
      expect(local.ledger().map(({ timestamp, value }) => [timestamp - NOON_SECONDS, value])).toEqual([
        [-1800, "1.5"],
        [0, "1.5"],
      ]);
      const body = JSON.stringify({ event_name: "tokens", payload });
      const answer = await rawCall(local, "POST", PATH, { body });
      expect(validateStripeAnswer("POST", PATH, JSON.parse(answer.body)).kind).not.toBe("invalid");
    });
  });

  it.each([
    ["no_meter", { event_name: "none" }],
    ["archived_meter", { event_name: "off" }],
    ["payload_no_customer_defined", { payload: { value: "1" } }],
    ["payload_no_value_defined", { payload: { stripe_customer_id: "cus_1" } }],
    ["payload_invalid_value", { payload: { stripe_customer_id: "cus_1", value: "x" } }],
    ["payload_invalid_value", { payload: { stripe_customer_id: "cus_1", value: "1234567890123456" } }],
    ["payload_invalid_customer", { payload: { stripe_customer_id: "cus_none", value: "1" } }],
    ["timestamp_too_far_in_past", { timestamp: "2026-10-01T00:00:00Z" }],
    ["timestamp_in_future", { timestamp: "2026-11-15T12:05:01Z" }],
  ])("[meter_event_v2.codes] are refused at once with the code %s", async (code, change) => {
    await withLocalStripe({}, async ({ client, local }) => {
      local.createCustomer({ id: "cus_1" });
      local.createMeter({ event_name: "tokens" });
      local.createMeter({ event_name: "off" });
      local.deactivateMeter("off");
      const sent = { event_name: "tokens", payload: { stripe_customer_id: "cus_1", value: "1" }, ...change };
      const refused = await failure(client.v2.billing.meterEvents.create(sent));
      expect(refused).toMatchObject({ type: "StripeInvalidRequestError", status: 400, code });
      expect(local.ledger()).toEqual([]);
    });
  });

  it("[meter_event_v2.duplicate] [idempotency.v2] have one identifier memory with v1, and keys that keep success alone", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer, send } = seeded(running);
      const { meterEvents } = client.v2.billing;
      const event = { event_name: "tokens", payload: { stripe_customer_id: customer, value: "1" }, identifier: "a" };
      local.failNext({ kind: "server_error", when: "before", on: "meter_event_v2.create" });
      expect((await failure(meterEvents.create(event, { idempotencyKey: "k" }))).status).toBe(500);
      const first = await meterEvents.create(event, { idempotencyKey: "k" });
      local.advance(29 * 86_400_000);
      expect(await meterEvents.create(event, { idempotencyKey: "k" })).toEqual(first);
      expect(local.total("tokens", customer)).toBe("1");
      await send("2", { identifier: "b" });
      const duplicate = await failure(meterEvents.create({ ...event, identifier: "b" }));
      expect(duplicate).toMatchObject({ status: 400, code: "duplicate_meter_event" });
      const { id } = local.createWebhook({ url: "http://127.0.0.1:9/", events: ["*"], thin: true });
      await client.v2.core.eventDestinations.del(id, {}, { idempotencyKey: "d" });
      expect((await client.v2.core.eventDestinations.del(id, {}, { idempotencyKey: "d" })).id).toBe(id);
    });
  });

  it("[meter_event_v2.timestamp] are JSON with instants of RFC 3339", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer } = seeded(running);
      const payload = { stripe_customer_id: customer, value: "1" };
      for (const timestamp of ["1794744000", "2026-11-15", "2026-11-15T12:00:00", "2026-13-15T12:00:00Z"]) {
        const refused = await failure(
          running.client.v2.billing.meterEvents.create({ event_name: "tokens", payload, timestamp }),
        );
        expect(refused).toMatchObject({ status: 400, code: "invalid_fields" });
      }
      expect((await rawCall(running.local, "POST", PATH, { body: "event_name=tokens" })).status).toBe(400);
      expect((await rawCall(running.local, "POST", PATH, { body: "[]" })).status).toBe(400);
      expect(running.local.ledger()).toEqual([]);
    });
  });

  it("[fault.reject_later] can be refused later as well", async () => {
    await withLocalStripe({}, async (running) => {
      const { client, local } = running;
      const { customer } = seeded(running);
      local.failNext({ kind: "reject_later", code: "archived_meter", on: "meter_event_v2.create" });
      const payload = { stripe_customer_id: customer, value: "1" };
      await client.v2.billing.meterEvents.create({ event_name: "tokens", payload, identifier: "a" });
      local.advance(10_000);
      expect(local.total("tokens", customer)).toBe("0");
      expect((await client.v2.core.events.list({})).data).toHaveLength(1);
    });
  });
});
