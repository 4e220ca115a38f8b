import { expect, it } from "vitest";

import { MeterbookError } from "../../../src/core/errors.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, Store, UsageReporter } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, MINUTE, START, world, type World } from "../world.ts";

const holding = { ...hourly, noSubscription: "hold" } as const;
const BEGIN = START + 20 * MINUTE;
const SUBSCRIBED: BilledPeriod = {
  customer: "cus_1",
  reportAs: "chat_tokens",
  item: "si_1",
  from: BEGIN,
  to: START + 30 * DAY,
  renews: true,
};

/** Five before the subscription began, and seven after it, in one window. */
const BOTH_SIDES = [chat("5", { time: START + 5 * MINUTE }), chat("7", { time: START + 30 * MINUTE })];

const standing = async ({ store }: World): Promise<unknown> =>
  (await store.outbox({ limit: 999 })).map(({ state, reason }) => [state, reason?.split(":")[0] ?? null]);

const PARTED = [
  ["held", "no_subscription"],
  ["accepted", null],
];

/** A biller that answers no question about these customers; who is asked for is written down. */
function silentAbout(told: RecordingReporter, silent: (customer: string) => boolean) {
  const asks: string[] = [];
  const reporter: UsageReporter = {
    ...told,
    customerPeriods: async (customer) => {
      asks.push(customer);
      if (silent(customer)) throw new MeterbookError("METER_STRIPE_UNREACHABLE", "Stripe: answer 500");
      return (await told.customerPeriods?.(customer)) ?? null;
    },
  };
  return { reporter, asks };
}

onBothStores("usage of before a subscription", (make) => {
  it.each(["meter", "customer"])("is not billed after a passing fault of its %s", async (fault) => {
    const own = world({ store: await make(), settings: holding });
    const { clock, take, round } = own;
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([SUBSCRIBED]);
    await take(...BOTH_SIDES);
    clock.set(START + HOUR + 10 * MINUTE);
    await round(reporter);
    expect(await standing(own)).toEqual(PARTED);
    if (fault === "meter") reporter.setMeter("chat_tokens", { kind: "missing", reason: "none is called so" });
    else reporter.addCustomer("acme", "cus_2");
    clock.advance(limits.customerListEveryMs);
    expect(await round(reporter)).toMatchObject({ released: 0, held: 1 });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
    reporter.deleteCustomer("cus_2");
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(limits.customerListEveryMs);
      await round(reporter);
    }
    expect(await standing(own)).toEqual(PARTED);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("7");
  });

  it("is cut off where the subscription is known by asking alone", async () => {
    const { told, standing: rows } = await askedAlone(await make(), { acme: "cus_1" });
    expect(await rows()).toEqual(PARTED);
    expect(told.total("chat_tokens", "cus_1")).toBe("7");
  });

  it("that was closed as one, for want of a customer, goes to the part that is billed, known by asking alone", async () => {
    const { told, reporter, clock, round, standing: rows } = await askedAlone(await make(), {});
    expect(await rows()).toEqual([["held", "no_customer"]]);
    told.addCustomer("acme", "cus_1");
    clock.advance(limits.customerListEveryMs);
    expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1 });
    expect(told.records[0]?.timestamp).toBeGreaterThanOrEqual(BEGIN);
  });
});

/** One round over a window in which a subscription began that the list of all does not tell of yet. */
async function askedAlone(store: Store, customers: Readonly<Record<string, string>>) {
  const own = world({ store, settings: holding });
  const told = recordingReporter({ customers });
  told.setPeriods([SUBSCRIBED]);
  const reporter: UsageReporter = { ...told, periods: async () => [] };
  await own.take(...BOTH_SIDES);
  own.clock.set(START + HOUR + 10 * MINUTE);
  await own.round(reporter);
  return { ...own, told, reporter, standing: () => standing(own) };
}

onBothStores("a question about subscriptions that is not answered", (make) => {
  it("keeps no other customer waiting, and leaves the usage due until it is", async () => {
    const own = world({ store: await make(), settings: holding });
    const { clock, store, take, round } = own;
    const told = recordingReporter({ customers: { aaa: "cus_bad", acme: "cus_1" } });
    told.setPeriods([{ ...SUBSCRIBED, from: START - DAY }]);
    let isSilent = true;
    const { reporter } = silentAbout(told, (customer) => isSilent && customer === "cus_bad");
    await take(chat("5", { company: "aaa" }), chat("7"));
    clock.set(START + HOUR + 10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1, held: 0, stopped: null });
    expect(told.total("chat_tokens", "cus_1")).toBe("7");
    expect(await store.outbox({ limit: 9 })).toHaveLength(1);
    isSilent = false;
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 0, held: 1 });
  });

  it("keeps nobody waiting for good, although the same customers are asked first in every round, and is told", async () => {
    const names = Array.from({ length: limits.subscriptionFailuresMax }, (_, at) => `a${at}`);
    const customers = Object.fromEntries(names.map((name) => [name, `cus_${name}`]));
    const { clock, take, round, notices } = world({ store: await make(), settings: holding });
    const told = recordingReporter({ customers: { ...customers, zed: "cus_z" } });
    told.setPeriods([{ ...SUBSCRIBED, customer: "cus_z" }]);
    const { reporter } = silentAbout(told, (customer) => customer !== "cus_z");
    await take(...names.map((company) => chat("5", { company })));
    await take(...BOTH_SIDES.map((event) => ({ ...event, company: "zed" })));
    clock.set(START + HOUR + 10 * MINUTE);
    for (let rounds = 0; rounds < 3; rounds++) {
      await round(reporter);
      clock.advance(MINUTE);
    }
    expect(told.total("chat_tokens", "cus_z")).toBe("7");
    expect(notices.filter(({ text }) => text.includes("subscriptions of cus_a0, cus_a1, cus_a2"))).toHaveLength(1);
  });

  it("says nothing of what came after it, where it is remembered: that usage waits for the next list", async () => {
    const own = world({ store: await make(), settings: holding });
    const { clock, store, take, round } = own;
    const told = recordingReporter({ customers: { acme: "cus_1" } });
    let asOf = START + MINUTE;
    const reporter: UsageReporter = { ...told, customerPeriods: async () => ({ present: [], earlier: [], asOf }) };
    await take(chat("7", { time: START + 30 * MINUTE }));
    clock.set(START + HOUR + 10 * MINUTE);
    await round(reporter);
    expect(await store.outbox({ limit: 9 })).toEqual([]);
    asOf = clock.now();
    await round(reporter);
    expect(await standing(own)).toEqual([["held", "no_subscription"]]);
  });

  it("is no question of the round where the answer is remembered", async () => {
    const many = limits.subscriptionQuestionsMax + 5;
    const names = Array.from({ length: many }, (_, at) => `c${at}`);
    const customers = Object.fromEntries(names.map((name) => [name, `cus_${name}`]));
    const { clock, take, round } = world({ store: await make(), settings: holding });
    const told = recordingReporter({ customers });
    const reporter: UsageReporter = {
      ...told,
      customerPeriods: async () => ({ present: [], earlier: [], asOf: START + HOUR }),
    };
    await take(...names.map((company) => chat("5", { company })));
    clock.set(START + HOUR + 10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: many, held: many });
  });

  it("is the last of the round after some in a row; what needs no question is closed all the same", async () => {
    const names = Array.from({ length: limits.subscriptionFailuresMax + 4 }, (_, at) => `c${at}`);
    const customers = Object.fromEntries(names.map((name) => [name, `cus_${name}`]));
    const { clock, take, round } = world({ store: await make(), settings: holding });
    const told = recordingReporter({ customers: { ...customers, acme: "cus_1" } });
    told.setPeriods([{ ...SUBSCRIBED, from: START - DAY }]);
    const { reporter, asks } = silentAbout(told, () => true);
    await take(...names.map((company) => chat("5", { company })), chat("7"));
    clock.set(START + HOUR + 10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1, held: 0 });
    expect(asks).toHaveLength(limits.subscriptionFailuresMax);
    expect(told.total("chat_tokens", "cus_1")).toBe("7");
  });

  it("does not end the questions where others between are answered", async () => {
    const names = Array.from({ length: 6 * limits.subscriptionFailuresMax }, (_, at) => `c${100 + at}`);
    const { clock, take, round } = world({ store: await make(), settings: holding });
    const told = recordingReporter({ customers: Object.fromEntries(names.map((name) => [name, `cus_${name}`])) });
    told.setPeriods([]);
    const { reporter, asks } = silentAbout(told, (customer) => Number(customer.slice(-3)) % 2 === 0);
    await take(...names.map((company) => chat("5", { company })));
    clock.set(START + HOUR + 10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: names.length / 2, held: names.length / 2 });
    expect(new Set(asks).size).toBe(names.length);
  });

  it("costs held usage no turn: the next round begins behind those that got no answer", async () => {
    const most = limits.subscriptionFailuresMax;
    const names = Array.from({ length: most + 1 }, (_, at) => `c${100 + at}`);
    const [last = ""] = names.slice(-1);
    const own = world({ store: await make(), settings: holding });
    const { clock, take, round } = own;
    const told = recordingReporter({ customers: Object.fromEntries(names.map((name) => [name, `cus_${name}`])) });
    told.setPeriods([]);
    await take(...names.map((company) => chat("5", { company })));
    clock.set(START + HOUR + 10 * MINUTE);
    await round(told);
    // Made after the hour's list of all was read.
    told.setPeriods([{ ...SUBSCRIBED, customer: `cus_${last}`, from: START - DAY }]);
    const { reporter, asks } = silentAbout(told, (customer) => customer !== `cus_${last}`);
    const unlisted: UsageReporter = { ...reporter, periods: async () => [] };
    clock.advance(MINUTE);
    expect(await round(unlisted)).toMatchObject({ released: 0, held: most + 1 });
    clock.advance(MINUTE);
    expect(await round(unlisted)).toMatchObject({ released: 1, held: most });
    expect(asks.slice(most, most + 1)).toEqual([`cus_${last}`]);
    expect(told.total("chat_tokens", `cus_${last}`)).toBe("5");
  });

  it("is for the round to tell where the key was refused", async () => {
    const { clock, take, round, notices } = world({ store: await make(), settings: holding });
    const told = recordingReporter({ customers: { acme: "cus_1" } });
    const reporter: UsageReporter = {
      ...told,
      customerPeriods: () => Promise.reject(new MeterbookError("METER_STRIPE_REFUSED", "Stripe: 401")),
    };
    await take(chat("7"));
    clock.set(START + HOUR + 10 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 0, stopped: "Stripe: 401" });
    expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_REFUSED"]);
  });
});
