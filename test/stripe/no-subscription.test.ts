import { expect, it } from "vitest";

import { planReport } from "../../src/engine/delivery/report.ts";
import { resolveRow } from "../../src/engine/corrections/row-orders.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { seconds, subscribedWorld, type SubscribedWorld } from "./subscribed-world.ts";

const HELD = "held no_subscription";
const METERS = ["chat_tokens"] as const;
const WANTED = "no_subscription: cus_acme has no subscription with a price of meter chat_tokens at this time";

async function assertWhole({ store, catalog }: SubscribedWorld, sums: object): Promise<void> {
  expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: sums } });
}

onBothStores("usage without a subscription", (make) => {
  it("is held with its reason, and sent by itself once a subscription covers its time", async () => {
    const billed = await subscribedWorld({ store: await make() });
    const { stripe, clock, take, round, reporter, options, rows, standing, total } = billed;
    await take(chat("10.6"), chat("5.6", { time: START + HOUR }));
    clock.set(START + 2 * HOUR + 6 * MINUTE);
    const plan = await planReport(options(reporter));
    expect([plan.records, plan.held.map(({ reason }) => reason)]).toEqual([[], [WANTED, WANTED]]);
    expect(await round(reporter)).toMatchObject({ closed: 2, accepted: 0, held: 2 });
    expect((await rows()).map(({ reason }) => reason)).toEqual([WANTED, WANTED]);
    clock.advance(MINUTE);
    expect(await round(reporter)).toMatchObject({ released: 0, held: 2 });
    await assertWhole(billed, { held: "16.2", reported: "0" });
    // Backdated to the second window's begin: only that one is billed, within a minute of its making.
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, anchor: seconds(START + HOUR) });
    clock.advance(MINUTE);
    expect(await round(reporter)).toMatchObject({ released: 1, held: 1, accepted: 1 });
    expect([await standing(), total()]).toEqual([[HELD, "accepted"], "6"]);
    await assertWhole(billed, { held: "10.6", reported: "5.6", sent: "6" });
  });

  it("is not held for an hour where the subscription was made after the last reading of all", async () => {
    const { stripe, clock, take, round, reporter, total } = await subscribedWorld({ store: await make() });
    clock.set(START + HOUR + 2 * MINUTE);
    await round(reporter);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, anchor: seconds(START) });
    await take(chat("10"));
    clock.set(START + HOUR + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1, held: 0 });
    expect(total()).toBe("10");
  });

  it("of after the end of a subscription is held, and what lies before is billed", async () => {
    const { stripe, take, until, standing, total, invoiced } = await subscribedWorld({ store: await make() });
    const { id } = stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    const end = START + 90 * MINUTE;
    stripe.cancelSubscription(id, end);
    await until(START + HOUR);
    await take(chat("10", { time: end - MINUTE }));
    await until(end);
    await take(chat("5", { time: end + MINUTE }), chat("7", { time: end + 10 * HOUR }));
    await until(end + 12 * HOUR);
    expect(await standing()).toEqual(["accepted", HELD, HELD]);
    expect([total(), invoiced()]).toEqual(["10", ["10"]]);
  });

  it("of before it began stays held, though a subscription began in the same window", async () => {
    const { stripe, clock, take, until, standing, total } = await subscribedWorld({ store: await make() });
    const begins = START + 30 * MINUTE;
    await until(begins);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    await take(chat("5", { time: begins - MINUTE }), chat("7", { time: clock.now() }));
    await until(begins + DAY);
    expect([await standing(), total()]).toEqual([[HELD, "accepted"], "7"]);
  });

  it("of months of a running subscription that were never seen is late, not without one", async () => {
    const { stripe, clock, take, round, reporter, standing } = await subscribedWorld({ store: await make() });
    stripe.createSubscription({
      customer: "cus_acme",
      meters: METERS,
      interval: "day",
      anchor: seconds(START - 9 * DAY - 2 * HOUR),
    });
    await take(chat("5", { time: START - 3 * DAY }));
    clock.set(START + 6 * MINUTE);
    await round(reporter);
    expect(await standing()).toEqual(["held late_usage"]);
  });

  it("that was about to be sent is held when its subscription was ended at once: its period comes to no invoice", async () => {
    const { stripe, clock, take, round, reporter, standing, total } = await subscribedWorld({ store: await make() });
    const { id } = stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    await take(chat("5"));
    clock.set(START + HOUR + 6 * MINUTE);
    const refusing = { ...reporter, report: async () => ({ kind: "stop", reason: "no right" }) as const };
    await round(refusing);
    expect(await standing()).toEqual(["pending no"]);
    stripe.cancelSubscription(id);
    clock.set(START + 2 * HOUR + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 0, waiting: 1 });
    expect([await standing(), total()]).toEqual([[HELD], "0"]);
    clock.advance(MINUTE);
    expect(await round(reporter)).toMatchObject({ released: 0, held: 1 });
  });

  it("of a trial is sent: Stripe puts it on the trial's invoice, free", async () => {
    const { stripe, take, until, standing } = await subscribedWorld({ store: await make() });
    const trialEnd = seconds(START + DAY);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day", trialEnd });
    await take(chat("5"));
    await until(START + 2 * HOUR);
    expect(await standing()).toEqual(["accepted"]);
  });

  it("is sent where that is the setting, and where it changed to that", async () => {
    const billed = await subscribedWorld({ store: await make() });
    const { clock, take, round, reporter, options, total } = billed;
    await take(chat("10"));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(reporter);
    const sending = { settings: { ...options(reporter).settings, noSubscription: "send" } } as const;
    expect(await round(reporter, sending)).toMatchObject({ released: 1, accepted: 1, held: 0 });
    expect(total()).toBe("10");
  });

  it("is sent with one notice where the key may not read subscriptions", async () => {
    const rights = ["rak_customer_read", "rak_billing_meter_read", "rak_billing_meter_event_write"];
    const keys = [{ key: "rk_test_narrow", rights }];
    const { clock, take, round, reporter, notices, total } = await subscribedWorld({ store: await make(), keys });
    for (let hour = 0; hour < 3; hour++) {
      await take(chat("10", { time: clock.now() }));
      clock.set(START + (hour + 1) * HOUR + 6 * MINUTE);
      await round(reporter);
    }
    expect(total()).toBe("30");
    expect(notices.filter(({ text }) => /subscription/.test(text))).toHaveLength(1);
  });

  it("that is carried goes into the present period when it is too old, and only where one runs", async () => {
    const billed = await subscribedWorld({ store: await make(), late: "carry" });
    const { stripe, clock, take, round, reporter, standing, total, invoiced } = billed;
    await take(chat("5"));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(reporter);
    clock.set(START + 35 * DAY);
    await round(reporter);
    expect([await standing(), total()]).toEqual([[HELD], "0"]);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    clock.advance(10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1 });
    clock.advance(DAY + 2 * HOUR);
    expect(invoiced()).toEqual(["5"]);
    await assertWhole(billed, { held: "0", reported: "5" });
  });

  it("goes onto the present invoice on an operator's word, as soon as there is one", async () => {
    const billed = await subscribedWorld({ store: await make() });
    const { store, stripe, clock, take, round, reporter, rows, standing, total } = billed;
    await take(chat("5"), chat("7", { time: START + HOUR }));
    clock.set(START + 2 * HOUR + 6 * MINUTE);
    await round(reporter);
    const order = { as: "carry", author: "operator:ann", cause: "agreed", dryRun: false } as const;
    await resolveRow({ store, rowId: (await rows())[0]?.rowId ?? 0, ...order, now: clock.now() });
    await round(reporter);
    expect([await standing(), total()]).toEqual([[HELD, HELD], "0"]);
    clock.advance(10 * MINUTE);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    clock.advance(10 * MINUTE);
    await round(reporter);
    expect([await standing(), total()]).toEqual([["accepted", HELD], "5"]);
    clock.advance(DAY + 2 * HOUR);
    expect(billed.invoiced()).toEqual(["5"]);
    await assertWhole(billed, { held: "7", reported: "5" });
  });

  it("is too old to be sent after 34 days, as other held usage", async () => {
    const { stripe, clock, take, round, reporter, standing } = await subscribedWorld({ store: await make() });
    await take(chat("5"));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(reporter);
    clock.set(START + 34 * DAY + 2 * HOUR);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, anchor: seconds(START) });
    await round(reporter);
    expect(await standing()).toEqual(["held too_old"]);
  });

  it("is held for a meter that keeps the last report too, and its total is whole afterwards", async () => {
    const billed = await subscribedWorld({ store: await make(), keeps: "hour" });
    const { stripe, clock, take, round, reporter, standing, total, until } = billed;
    await take(chat("10"));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(reporter);
    await take(chat("5", { time: START + MINUTE }));
    clock.advance(MINUTE);
    await round(reporter);
    expect([await standing(), total()]).toEqual([[HELD, HELD], "0"]);
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, anchor: seconds(START) });
    await until(clock.now() + 10 * MINUTE, MINUTE);
    expect([await standing(), total()]).toEqual([["accepted", "accepted"], "15"]);
    await assertWhole(billed, { held: "0", reported: "15" });
  });
});
