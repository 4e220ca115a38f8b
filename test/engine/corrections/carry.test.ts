import { expect, it } from "vitest";

import { resolveRow, type ResolvedRow } from "../../../src/engine/corrections/row-orders.ts";
import type { BilledPeriod, OutboxRow, UsageReporter } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { seconds, subscribedWorld, type SubscribedWorld } from "../../stripe/subscribed-world.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../world.ts";

const METERS = ["chat_tokens"];

/** Lets nothing out, as a key that is refused for reports alone. */
function shut(reporter: UsageReporter): UsageReporter {
  return { ...reporter, report: async () => ({ kind: "stop", reason: "no right to report" }) };
}

async function carry({ store, clock }: SubscribedWorld, rowId: number): Promise<ResolvedRow> {
  const order = { store, rowId, as: "carry", author: "operator:ann", cause: "bill it now", dryRun: false } as const;
  return resolveRow({ ...order, now: clock.now() });
}

/** What was there at the start had ended by then. */
function ended(period: BilledPeriod): BilledPeriod {
  return period.from <= START ? { ...period, to: START, renews: false } : period;
}

async function onlyRow({ rows }: SubscribedWorld): Promise<OutboxRow> {
  const [row, ...others] = await rows();
  if (row === undefined || others.length > 0) throw new Error(`${others.length + 1} rows`);
  return row;
}

onBothStores("usage that was held after it had its address", (make) => {
  it("is carried onto the present invoice, once, when its subscription ended while it waited", async () => {
    const own = await subscribedWorld({ store: await make() });
    const { stripe, store, catalog, clock, take, round, reporter, until, total, invoiced } = own;
    const { id } = stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    await take(chat("7", { time: START + MINUTE }));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(shut(reporter));
    const placed = await onlyRow(own);
    expect(placed).toMatchObject({ state: "pending", firstAttemptAt: null, identifier: expect.any(String) });
    // Stripe tells now that it had ended before that usage.
    stripe.cancelSubscription(id);
    const gone: UsageReporter = {
      ...reporter,
      periods: async () => (await reporter.periods()).map(ended),
      customerPeriods: async (customer) => {
        const told = (await reporter.customerPeriods?.(customer)) ?? null;
        return told === null ? null : { present: told.present.map(ended), earlier: told.earlier.map(ended) };
      },
    };
    clock.advance(HOUR);
    await round(gone);
    const held = await onlyRow(own);
    expect(held).toMatchObject({ state: "held", identifier: placed.identifier, firstAttemptAt: null });
    expect(held.reason).toMatch(/^no_subscription: /);
    stripe.createSubscription({
      customer: "cus_acme",
      meters: METERS,
      interval: "day",
      anchor: seconds(clock.now() - MINUTE),
    });
    expect(await carry(own, held.rowId)).toMatchObject({ to: "held", applied: true });
    clock.advance(HOUR);
    await round(gone);
    const sent = await onlyRow(own);
    expect(sent).toMatchObject({ state: "accepted", late: "carry" });
    expect(sent.timestamp).toBeGreaterThan(START + 2 * HOUR);
    expect(total()).toBe("7");
    await until(clock.now() + 2 * DAY, HOUR);
    expect(invoiced().filter((quantity) => quantity !== "0")).toEqual(["7"]);
    expect((await verify(store, catalog)).differences).toEqual([]);
  }, 120_000);

  it("is carried onto the present invoice, once, when its own became final while it waited", async () => {
    const own = await subscribedWorld({ store: await make() });
    const { stripe, store, catalog, clock, take, round, reporter, until, total, invoiced } = own;
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    const end = START + DAY;
    await until(end - HOUR);
    await take(chat("7", { time: end - 30 * MINUTE }));
    clock.set(end + 6 * MINUTE);
    await round(shut(reporter));
    const placed = await onlyRow(own);
    expect(placed).toMatchObject({ state: "pending", firstAttemptAt: null });
    clock.set(end + 2 * HOUR);
    await round(reporter);
    const held = await onlyRow(own);
    expect(held).toMatchObject({ state: "held", identifier: placed.identifier });
    expect(held.reason).toMatch(/^late: /);
    expect(await carry(own, held.rowId)).toMatchObject({ to: "held", applied: true });
    clock.advance(MINUTE);
    await round(reporter);
    const sent = await onlyRow(own);
    expect(sent).toMatchObject({ state: "accepted", late: "carry" });
    expect(sent.timestamp).toBeGreaterThan(end + HOUR);
    expect(total()).toBe("7");
    await until(clock.now() + 2 * DAY, HOUR);
    expect(invoiced().filter((quantity) => quantity !== "0")).toEqual(["7"]);
    expect((await verify(store, catalog)).differences).toEqual([]);
  }, 120_000);

  it("is carried as well once its meter's policy has had its say", async () => {
    const own = await subscribedWorld({ store: await make() });
    const { stripe, clock, take, round, reporter, until, total } = own;
    stripe.createSubscription({ customer: "cus_acme", meters: METERS, interval: "day" });
    const end = START + DAY;
    await until(end - HOUR);
    await take(chat("7", { time: end - 30 * MINUTE }));
    clock.set(end + 6 * MINUTE);
    await round(shut(reporter));
    clock.set(end + 2 * HOUR);
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    const held = await onlyRow(own);
    expect(held).toMatchObject({ state: "held", reason: "late_usage", identifier: expect.any(String) });
    expect(await carry(own, held.rowId)).toMatchObject({ applied: true });
    await round(reporter);
    expect(total()).toBe("7");
  }, 120_000);
});
