import { describe, expect, it } from "vitest";
import { clientOf, failure, NOON_SECONDS, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";

const KEY = { identifier: "id-1", idempotencyKey: "key-1", timestamp: NOON_SECONDS } as const;

describe("damaged answers", () => {
  it("[fault.truncated] breaks the connection in the middle of a body on order, after the effect", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "truncated", cut: true });
      expect(await failure(send("5", KEY))).toMatchObject({ type: "StripeConnectionError", status: undefined });
      expect(running.local.total("tokens", customer)).toBe("5");
      expect((await send("5", KEY)).identifier).toBe(KEY.identifier);
      expect(running.local.total("tokens", customer)).toBe("5");
    });
  });

  it("[fault.drip] gives the answer a byte at a time: whole for the patient, a time-out after the effect for others", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "drip", byteEveryMs: 0 });
      expect((await send("5", KEY)).identifier).toBe(KEY.identifier);
      running.local.failNext({ kind: "drip", byteEveryMs: 60_000 });
      const impatient = clientOf(running.local, "sk_test_x", { timeout: 200 });
      const call = impatient.billing.meterEvents.create({
        event_name: "tokens",
        payload: { stripe_customer_id: customer, value: "2" },
      });
      expect((await failure(call)).type).toBe("StripeConnectionError");
      expect(running.local.total("tokens", customer)).toBe("7");
    });
  });

  it("[fault.redirect] answers a page with a 301, without effect", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "redirect", location: "http://127.0.0.1:9/login", times: 2 });
      const raw = await rawCall(running.local, "POST", "/v1/billing/meter_events", { body: "event_name=tokens" });
      expect([raw.status, raw.headers["location"], raw.headers["content-type"]]).toEqual([
        301,
        "http://127.0.0.1:9/login",
        "text/html; charset=utf-8",
      ]);
      expect(await failure(send("5", KEY))).toMatchObject({ type: "StripeAPIError", status: undefined });
      expect(running.local.total("tokens", customer)).toBe("0");
      await send("5", KEY);
    });
  });

  it("[fault.wrong_body] answers a 200 with something else, before the effect or after it", async () => {
    await withLocalStripe({}, async (running) => {
      const { customer, send } = seeded(running);
      running.local.failNext({ kind: "wrong_body", when: "before" });
      expect(await send("1", KEY)).toMatchObject({ object: "customer" });
      expect(running.local.total("tokens", customer)).toBe("0");
      running.local.failNext({ kind: "wrong_body", when: "after", body: "empty" });
      expect((await send("1", KEY)).identifier).toBeUndefined();
      expect(running.local.total("tokens", customer)).toBe("1");
      expect((await send("1", KEY)).identifier).toBe(KEY.identifier);
      running.local.failNext({ kind: "wrong_body", when: "after", body: "html" });
      expect((await failure(send("2"))).type).toBe("StripeAPIError");
      expect(running.local.total("tokens", customer)).toBe("3");
    });
  });

  it("meets the calls it was ordered for: those after the skipped ones, as many as told", async () => {
    await withLocalStripe({}, async (running) => {
      const { send } = seeded(running);
      running.local.failNext({ kind: "rate_limit", skip: 1, times: 3 });
      const statuses: (number | undefined)[] = [];
      for (let call = 0; call < 6; call += 1) {
        statuses.push(
          await send("1").then(
            () => 200,
            (error: { statusCode?: number }) => error.statusCode,
          ),
        );
      }
      expect(statuses).toEqual([200, 429, 429, 429, 200, 200]);
      // @ts-expect-error a drip says how slow
      expect(() => running.local.failNext({ kind: "drip" })).toThrow(/Not a fault/);
      // @ts-expect-error a wrong body says when
      expect(() => running.local.failNext({ kind: "wrong_body" })).toThrow(/Not a fault/);
    });
  });

  it("tells each call to whoever looks on, with its status or that it was cut", async () => {
    const seen: string[] = [];
    const onCall = ({ path, status }: { path: string; status: number | null }): void => {
      seen.push(`${path} ${String(status)}`);
    };
    await withLocalStripe({ onCall }, async (running) => {
      const { send } = seeded(running);
      await send("1");
      running.local.failNext({ kind: "reset", when: "before", times: 2 });
      await failure(send("1"));
      await failure(running.client.customers.retrieve("cus_none"));
    });
    const events = "/v1/billing/meter_events";
    expect(seen).toEqual([`${events} 200`, `${events} null`, `${events} null`, "/v1/customers/cus_none 404"]);
  });
});

describe("a sandbox", () => {
  it("[http.rate_limited] takes 25 calls a second, by its own clock", async () => {
    await withLocalStripe({ sandbox: true }, async (running) => {
      const { send } = seeded(running);
      const burst = async (): Promise<number> => {
        let taken = 0;
        while (
          await send("1").then(
            () => true,
            (error: { statusCode?: number }) => error.statusCode !== 429,
          )
        )
          taken += 1;
        return taken;
      };
      expect(await burst()).toBe(25);
      running.local.advance(1_000);
      expect(await burst()).toBe(25);
      running.local.advance(400);
      expect(await burst()).toBe(10);
      expect((await failure(send("1"))).headers["stripe-rate-limited-reason"]).toBe("global-rate");
    });
  });
});
