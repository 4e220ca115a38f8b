import { expect, it } from "vitest";

import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { seconds, subscribedWorld } from "./subscribed-world.ts";

const HELD = "held no_subscription";
const METERS = ["chat_tokens"] as const;
const BEGINS = START + 20 * MINUTE;

onBothStores("usage around the begin of a subscription", (make) => {
  it("is billed from then on only, also after the meter was away for hours", async () => {
    const { stripe, clock, take, round, reporter, until, standing, total, invoiced, store, catalog } =
      await subscribedWorld({ store: await make() });
    await take(chat("5", { time: START + 5 * MINUTE }));
    clock.set(BEGINS);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    await take(chat("7", { time: BEGINS + 10 * MINUTE }));
    clock.set(START + HOUR + 10 * MINUTE);
    await round(reporter);
    expect([await standing(), total()]).toEqual([[HELD, "accepted"], "7"]);
    stripe.deactivateMeter("chat_tokens");
    await until(START + 4 * HOUR);
    stripe.reactivateMeter("chat_tokens");
    await until(BEGINS + DAY + 3 * HOUR);
    expect([await standing(), total(), invoiced()[0]]).toEqual([[HELD, "accepted"], "7", "7"]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("is cut there where the subscription was made after the hour's list of all was read", async () => {
    const { stripe, clock, take, round, reporter, until, standing, total, invoiced } = await subscribedWorld({
      store: await make(),
    });
    await take(chat("5", { time: START + 5 * MINUTE }), chat("7", { time: BEGINS + 10 * MINUTE }));
    clock.set(START + HOUR + 2 * MINUTE);
    await round(reporter);
    // Made now, and billed from the middle of the hour that is closed next.
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day", anchor: seconds(BEGINS) });
    clock.set(START + HOUR + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 2, accepted: 1, held: 1 });
    await until(BEGINS + DAY + 3 * HOUR);
    expect([await standing(), total(), invoiced()[0]]).toEqual([[HELD, "accepted"], "7", "7"]);
  });
});

onBothStores("a question about one customer's subscriptions that Stripe does not answer", (make) => {
  it("leaves the usage due, keeps nobody else waiting, and is asked again in the next round", async () => {
    const { stripe, clock, take, round, reporter, rows, total } = await subscribedWorld({ store: await make() });
    stripe.createCustomer({ id: "cus_b", metadata: { company_id: "b" } });
    stripe.createSubscription({ customer: "cus_b", meters: METERS, interval: "day" });
    await take(chat("5"), chat("7", { company: "b" }));
    clock.set(START + HOUR + 2 * MINUTE);
    await round(reporter);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, anchor: seconds(START) });
    clock.set(START + HOUR + 6 * MINUTE);
    const order = { kind: "server_error", when: "before", on: "subscription.list" } as const;
    stripe.failNext(order);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1, held: 0, stopped: null });
    expect([stripe.total("chat_tokens", "cus_b"), (await rows()).length]).toEqual(["7", 1]);
    clock.advance(MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1, held: 0 });
    expect(total()).toBe("5");
  });
});
