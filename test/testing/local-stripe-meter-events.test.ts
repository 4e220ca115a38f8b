import { describe, expect, it } from "vitest";
import { failure, NOON_SECONDS, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";

const DAY = 86_400;

describe("meter events", () => {
  it("[meter_event.create] [meter_event.timestamp_default] [meter_event.identifier_generated] counts exactly what was sent", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, meter, send } = seeded(running);
      const answer = await send("0.1", { identifier: "a", timestamp: NOON_SECONDS - 60 });
      expect(answer).toMatchObject({
        object: "billing.meter_event",
        created: NOON_SECONDS,
        event_name: "tokens",
        identifier: "a",
        livemode: false,
        payload: { stripe_customer_id: customer, value: "0.1" },
        timestamp: NOON_SECONDS - 60,
      });
      await send("0.2", { identifier: "b", timestamp: NOON_SECONDS - 60 });
      const made = await send("100000000000000");
      expect(made.timestamp).toBe(NOON_SECONDS);
      expect(made.identifier.length).toBeGreaterThan(5);
      expect(running.local.ledger()).toEqual([
        {
          meter,
          eventName: "tokens",
          customer,
          timestamp: NOON_SECONDS - 60,
          value: "0.3",
          events: 2,
          identifiers: ["a", "b"],
        },
        {
          meter,
          eventName: "tokens",
          customer,
          timestamp: NOON_SECONDS,
          value: "100000000000000",
          events: 1,
          identifiers: [made.identifier],
        },
      ]);
      expect(running.local.total("tokens", customer)).toBe("100000000000000.3");
      expect(running.local.total("nothing", customer)).toBe("0");
    });
  });

  it("[meter_event.no_meter] [meter_event.inactive_meter] wants an active meter", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, meter, send } = seeded(running);
      const payload = { stripe_customer_id: customer, value: "1" };
      const none = await failure(running.client.billing.meterEvents.create({ event_name: "nothing", payload }));
      expect(none).toMatchObject({ status: 400, message: expect.stringMatching(/^No such meter/) });
      await running.client.billing.meters.deactivate(meter);
      const inactive = await failure(send("1"));
      expect(inactive).toMatchObject({ status: 400, message: expect.stringMatching(/^No active meter found/) });
      expect(running.local.ledger()).toEqual([]);
    });
  });

  it("[meter_event.no_such_customer] [meter_event.no_customer_key] wants a live customer under the meter's key", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running, { event_name: "tokens", customer_key: "who" });
      expect((await failure(send("1"))).param).toBe("payload[who]");
      const create = async (who: string): Promise<unknown> =>
        running.client.billing.meterEvents.create({ event_name: "tokens", payload: { who, value: "1" } });
      await create(customer);
      const unknown = await failure(create("cus_none"));
      expect(unknown).toMatchObject({
        type: "StripeInvalidRequestError",
        status: 400,
        code: "resource_missing",
        message: "No such customer: 'cus_none'",
      });
      running.local.deleteCustomer(customer);
      expect((await failure(create(customer))).message).toBe(`No such customer: '${customer}'`);
      expect(running.local.total("tokens", customer)).toBe("1");
    });
  });

  it.each(["1e3", "+1", " 1", "1.", ".5", "0x10", "abc", "1,5", "NaN", "Infinity", "0.0000000000001", "١"])(
    "[meter_event.invalid_value] refuses the value %s",
    async (value) => {
      await withLocalStripe({}, async (running) => {
        const { send } = seeded(running);
        expect(await failure(send(value))).toMatchObject({ status: 400, param: "payload[value]" });
        expect(running.local.ledger()).toEqual([]);
      });
    },
  );

  it("[meter_event.no_value] [meter_event.negative_value] [meter_event.too_many_digits] reads values by Stripe's rules", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      const empty = running.client.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer },
      });
      expect(await failure(empty)).toMatchObject({ status: 400, param: "payload[value]" });
      for (const accepted of ["999999999999999", "-0.5", "007", "1.500000000000", "0.000000000001", "0"]) {
        await send(accepted);
      }
      expect(running.local.total("tokens", customer)).toBe("1000000000000007.000000000001");
      for (const long of ["1234567890123456", "12345678.12345678", "1000000000000000"]) {
        expect((await failure(send(long))).message).toContain("at most 15 digits. Received");
      }
    });
  });

  it("[meter_event.too_old] [meter_event.in_future] takes 35 days back and 5 minutes ahead, to the second", async () => {
    await withLocalStripe({}, async (running) => {
      const { send } = seeded(running);
      const oldest = NOON_SECONDS - 35 * DAY;
      await send("1", { timestamp: oldest });
      const old = await failure(send("1", { timestamp: oldest - 1 }));
      expect(old.message).toBe(
        `The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal to ${String(oldest)}.`,
      );
      await send("1", { timestamp: NOON_SECONDS + 300 });
      const ahead = await failure(send("1", { timestamp: NOON_SECONDS + 301 }));
      expect(ahead.message).toMatch(/^The event timestamp cannot be more than 5 minutes in the future/);
      expect(running.local.ledger().map(({ timestamp }) => timestamp)).toEqual([oldest, NOON_SECONDS + 300]);
    });
  });

  it("[meter_event.check_order] names the meter before the customer, and the identifier last", async () => {
    await withLocalStripe({}, async (running) => {
      const { send } = seeded(running);
      await send("1", { identifier: "twice" });
      const behaviour = async (body: string): Promise<unknown> =>
        (await rawCall(running.local, "POST", "/v1/billing/meter_events", { body })).headers["local-stripe-behaviour"];
      expect(await behaviour("event_name=none&payload[value]=x")).toBe("meter_event.no_meter");
      expect(await behaviour("event_name=tokens&payload[value]=x")).toBe("meter_event.no_customer_key");
      expect(await behaviour("event_name=tokens&payload[stripe_customer_id]=cus_none&payload[value]=x")).toBe(
        "meter_event.invalid_value",
      );
      expect(
        await behaviour("event_name=tokens&payload[stripe_customer_id]=cus_none&payload[value]=1&timestamp=1"),
      ).toBe("meter_event.too_old");
      expect(
        await behaviour("event_name=tokens&payload[stripe_customer_id]=cus_none&payload[value]=1&identifier=twice"),
      ).toBe("meter_event.no_such_customer");
    });
  });
});

describe("identifiers", () => {
  it("[meter_event.duplicate_identifier] [meter_event.identifier_memory] [meter_event.identifier_scope] are taken for 24 hours, then forgotten", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.createMeter({ event_name: "calls" });
      await send("1", { identifier: "once" });
      const again = await failure(send("9", { identifier: "once" }));
      expect(again).toMatchObject({
        type: "StripeInvalidRequestError",
        status: 400,
        code: undefined,
        message: "An event already exists with identifier once.",
      });
      expect(again.headers["stripe-should-retry"]).toBe("false");
      const payload = { stripe_customer_id: customer, value: "1" };
      const elsewhere = running.client.billing.meterEvents.create({ event_name: "calls", payload, identifier: "once" });
      expect((await failure(elsewhere)).message).toContain("already exists");
      running.clock.advance(24 * 3_600_000 - 1);
      expect((await failure(send("1", { identifier: "once" }))).message).toContain("already exists");
      expect(running.local.total("tokens", customer)).toBe("1");
      running.clock.advance(1);
      await send("1", { identifier: "once" });
      expect(running.local.total("tokens", customer)).toBe("2");
      running.local.forgetIdentifiers();
      await send("1", { identifier: "once" });
      expect(running.local.total("tokens", customer)).toBe("3");
    });
  });
});

describe("formulas and windows", () => {
  it("counts events of a count meter, whatever their value", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running, { event_name: "calls", formula: "count" });
      await send("41");
      await running.client.billing.meterEvents.create({
        event_name: "calls",
        payload: { stripe_customer_id: customer },
      });
      expect(running.local.total("calls", customer)).toBe("2");
    });
  });

  it("takes the latest timestamp of a last meter", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running, { event_name: "seats", formula: "last" });
      await send("7", { timestamp: NOON_SECONDS });
      await send("5", { timestamp: NOON_SECONDS - 60 });
      expect(running.local.total("seats", customer)).toBe("7");
    });
  });

  it("[meter_event.window] [adjustment.window] keeps the last received event of each UTC hour", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running, { event_name: "tokens", event_time_window: "hour" });
      await send("10", { timestamp: NOON_SECONDS + 60, identifier: "first" });
      await send("12", { timestamp: NOON_SECONDS, identifier: "second" });
      await send("100", { timestamp: NOON_SECONDS - 1, identifier: "hour before" });
      expect(running.local.ledger().map(({ timestamp, value }) => [timestamp, value])).toEqual([
        [NOON_SECONDS - 1, "100"],
        [NOON_SECONDS, "12"],
      ]);
      await running.client.billing.meterEventAdjustments.create({
        event_name: "tokens",
        type: "cancel",
        cancel: { identifier: "second" },
      });
      expect(running.local.total("tokens", customer)).toBe("110");
    });
  });

  it("[meter_event.window] keeps the last received event of each UTC day", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running, { event_name: "tokens", event_time_window: "day" });
      await send("10", { timestamp: NOON_SECONDS - 12 * 3_600 });
      await send("30", { timestamp: NOON_SECONDS });
      await send("5", { timestamp: NOON_SECONDS - 12 * 3_600 - 1 });
      expect(running.local.total("tokens", customer)).toBe("35");
    });
  });
});

describe("adjustments", () => {
  it("[adjustment.cancel] [adjustment.status] [adjustment.unknown_identifier] [adjustment.too_late] cancel within 24 hours of receipt", async () => {
    await withLocalStripe({ identifierHorizonMs: Number.POSITIVE_INFINITY }, async (running) => {
      const { customer, send } = seeded(running);
      await send("5", { identifier: "wrong" });
      await send("7", { identifier: "right" });
      const cancel = async (identifier: string): Promise<unknown> =>
        running.client.billing.meterEventAdjustments.create({
          event_name: "tokens",
          type: "cancel",
          cancel: { identifier },
        });
      expect(await cancel("wrong")).toMatchObject({
        object: "billing.meter_event_adjustment",
        cancel: { identifier: "wrong" },
        status: "complete",
      });
      expect(running.local.total("tokens", customer)).toBe("7");
      expect((await failure(send("5", { identifier: "wrong" }))).message).toContain("already exists");
      expect(await failure(cancel("never"))).toMatchObject({ status: 400, param: "cancel[identifier]" });
      running.clock.advance(24 * 3_600_000 + 1);
      expect((await failure(cancel("right"))).message).toContain("more than 24 hours ago");
      expect(running.local.total("tokens", customer)).toBe("7");
    });
  });
});
