import { describe, expect, it } from "vitest";
import { clientOf, failure, seeded, withLocalStripe, type Running } from "./running-stripe.ts";

const KEY = { identifier: "id-1", idempotencyKey: "key-1", timestamp: 1_794_744_000 } as const;

/** Sends without waiting and resolves once the server has seen it: its answer may never come. */
async function sendUnanswered(running: Running, send: () => Promise<unknown>): Promise<Promise<string>> {
  const before = running.local.requests.length;
  const outcome = failure(send()).then(({ type }) => type);
  while (running.local.requests.length === before) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return outcome;
}

describe("idempotency", () => {
  it("[idempotency.replay] [idempotency.mismatch] [idempotency.expiry] replays for 24 hours, to the same parameters only", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      const first = await send("5", KEY);
      const again = await send("5", KEY);
      expect(again).toEqual(first);
      expect(again.lastResponse.headers["idempotent-replayed"]).toBe("true");
      expect(again.lastResponse.headers["original-request"]).toBe(first.lastResponse.requestId);
      const other = await failure(send("6", KEY));
      expect(other).toMatchObject({ type: "StripeIdempotencyError", status: 400 });
      expect(other.message).toContain("same parameters");
      const elsewhere = await failure(running.client.customers.create({}, { idempotencyKey: KEY.idempotencyKey }));
      expect(elsewhere.message).toContain("same endpoint");
      running.clock.advance(24 * 3_600_000);
      expect((await failure(send("5", { ...KEY, identifier: "id-2", timestamp: 1 }))).message).toContain("35 days");
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });

  it("[idempotency.not_stored] [idempotency.refusal_not_stored] forgets refusals: the same key may try again", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, meter, send } = seeded(running);
      await running.client.billing.meters.deactivate(meter);
      expect((await failure(send("5", KEY))).status).toBe(400);
      await running.client.billing.meters.reactivate(meter);
      running.local.failNext({ kind: "rate_limit" });
      expect((await failure(send("5", KEY))).status).toBe(429);
      await send("5", KEY);
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });

  it("[idempotency.key_too_long] [idempotency.post_only] has keys of at most 255 characters, for POST alone", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const made = await client.customers.create({}, { idempotencyKey: "k".repeat(255) });
      expect((await failure(client.customers.create({}, { idempotencyKey: "k".repeat(256) }))).status).toBe(400);
      await client.customers.retrieve(made.id, {}, { idempotencyKey: "same" });
      await client.customers.del(made.id, {}, { idempotencyKey: "same" });
      expect(await client.customers.retrieve(made.id, {}, { idempotencyKey: "same" })).toMatchObject({ deleted: true });
    });
  });

  it("[idempotency.in_use] [fault.hang] refuses a key whose first call still runs, until that call is gone", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "hang", when: "before" });
      const impatient = clientOf(running.local, "sk_test_x", { timeout: 200 });
      const params = {
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "5" },
        identifier: KEY.identifier,
        timestamp: KEY.timestamp,
      };
      const outcome = sendUnanswered(running, async () =>
        impatient.billing.meterEvents.create(params, { idempotencyKey: KEY.idempotencyKey }),
      );
      await new Promise((resolve) => setImmediate(resolve));
      const inUse = await failure(send("5", KEY));
      expect(inUse).toMatchObject({ status: 409, code: "idempotency_key_in_use" });
      expect(await outcome).toBe("StripeConnectionError");
      let delivered = false;
      while (!delivered) {
        delivered = await send("5", KEY).then(
          () => true,
          () => false,
        );
      }
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });
});

describe("faults", () => {
  it("[fault.reset] cuts the connection before the effect, or after it", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      // The genuine client repeats a reset once, whatever maxNetworkRetries says: two faults make one failed call.
      running.local.failNext({ kind: "reset", when: "before", times: 2 });
      expect((await failure(send("5", KEY))).type).toBe("StripeConnectionError");
      expect(running.local.total("tokens", customer)).toBe("0");
      expect(running.local.requests).toHaveLength(2);
      running.local.failNext({ kind: "reset", when: "after", times: 2 });
      expect((await failure(send("5", KEY))).type).toBe("StripeConnectionError");
      expect(running.local.total("tokens", customer)).toBe("5");
      expect((await send("5", KEY)).identifier).toBe(KEY.identifier);
      expect((await failure(send("5", { ...KEY, idempotencyKey: "key-2" }))).message).toContain("already exists");
      expect(running.local.requests.map(({ status }) => status)).toEqual([null, null, null, null, 200, 400]);
    });
  });

  it("[fault.hang] takes effect and never answers", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer } = seeded(running);
      running.local.failNext({ kind: "hang", when: "after" });
      const impatient = clientOf(running.local, "sk_test_x", { timeout: 100 });
      const call = impatient.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "5" },
      });
      expect((await failure(call)).type).toBe("StripeConnectionError");
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });

  it("[fault.server_error] [idempotency.stored_error] fails with or without effect; the key replays it, a new key tells", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "server_error", when: "after", shouldRetry: false });
      const failed = await failure(send("5", KEY));
      expect(failed).toMatchObject({ type: "StripeAPIError", status: 500 });
      expect(failed.headers["stripe-should-retry"]).toBe("false");
      const replayed = await failure(send("5", KEY));
      expect([replayed.status, replayed.headers["idempotent-replayed"]]).toEqual([500, "true"]);
      expect((await failure(send("5", { ...KEY, idempotencyKey: "key-2" }))).message).toContain("already exists");
      expect(running.local.total("tokens", customer)).toBe("5");
      running.local.failNext({ kind: "server_error", when: "before", status: 503, stored: false });
      expect((await failure(send("1", { idempotencyKey: "key-3" }))).status).toBe(503);
      await send("1", { idempotencyKey: "key-3" });
      expect(running.local.total("tokens", customer)).toBe("6");
    });
  });

  it("[fault.truncated] takes effect and answers half a body, which the client takes for an error without status", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "truncated" });
      expect(await failure(send("5", KEY))).toMatchObject({ type: "StripeAPIError", status: undefined });
      expect(running.local.total("tokens", customer)).toBe("5");
      expect((await send("5", KEY)).identifier).toBe(KEY.identifier);
    });
  });

  it.each([
    [
      "fault.rate_limit",
      { kind: "rate_limit", reason: "global-rate" },
      { type: "StripeRateLimitError", status: 429, code: "rate_limit" },
    ],
    [
      "fault.lock_timeout",
      { kind: "lock_timeout" },
      { type: "StripeRateLimitError", status: 429, code: "lock_timeout" },
    ],
    ["fault.conflict", { kind: "conflict" }, { type: "StripeAPIError", status: 409 }],
    ["fault.unauthorized", { kind: "unauthorized" }, { type: "StripeAuthenticationError", status: 401 }],
    ["fault.forbidden", { kind: "forbidden" }, { type: "StripePermissionError", status: 403 }],
  ] as const)("[%s] refuses without effect, for as many calls as ordered", async (_behaviour, fault, shown) => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ ...fault, times: 2 });
      const first = await failure(send("5", KEY));
      expect(first).toMatchObject(shown);
      expect(first.headers["stripe-rate-limited-reason"]).toBe(fault.kind === "rate_limit" ? "global-rate" : undefined);
      expect(first.headers["stripe-should-retry"]).toBe(fault.kind === "lock_timeout" ? "true" : undefined);
      expect(await failure(send("5", KEY))).toMatchObject(shown);
      await send("5", KEY);
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });

  it("meets only the operation that it was ordered for, in order", async () => {
    const faults = [
      { kind: "conflict", on: "customer.create" },
      { kind: "forbidden", on: "any" },
    ] as const;
    await withLocalStripe({ faults }, async ({ client, local }) => {
      expect((await failure(client.customers.list())).status).toBe(403);
      expect((await failure(client.customers.create({}))).status).toBe(409);
      await client.customers.create({});
      local.failNext({ kind: "conflict", on: "any", times: 100 });
      local.clearFaults();
      await client.customers.list();
    });
  });
});

describe("concurrency", () => {
  it("[meter_event.concurrent] refuses a second call on one (customer, meter), and no other", async () => {
    await withLocalStripe({ concurrencyConflicts: true, latencyMs: 300 }, async (running) => {
      const { customer, send } = seeded(running);
      const other = running.local.createCustomer({}).id;
      const first = send("5", KEY);
      while (running.local.requests.length === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const payload = { stripe_customer_id: other, value: "1" };
      const [conflict] = await Promise.all([
        failure(send("7", { ...KEY, identifier: "id-2", idempotencyKey: "key-2" })),
        running.client.billing.meterEvents.create({ event_name: "tokens", payload }),
      ]);
      expect(conflict).toMatchObject({ type: "StripeAPIError", status: 409 });
      await first;
      await send("7", { ...KEY, identifier: "id-2", idempotencyKey: "key-2" });
      expect(running.local.total("tokens", customer)).toBe("12");
      expect(running.local.total("tokens", other)).toBe("1");
    });
  });
});
