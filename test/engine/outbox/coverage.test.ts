import { describe, expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, UsageReporter } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, MINUTE, START, world } from "../world.ts";

const holding = { ...hourly, noSubscription: "hold" } as const;

function period(customer: string, from: number, to: number): BilledPeriod {
  return { customer, reportAs: "chat_tokens", from, to, renews: true };
}

/** Companies c0, c1 … with a customer each and no subscription; what customers are asked for is written down. */
function asked(companies: number): { readonly names: readonly string[]; reporter: RecordingReporter; asks: string[] } {
  const names = Array.from({ length: companies }, (_, at) => `c${at}`);
  const recording = recordingReporter({ customers: Object.fromEntries(names.map((name) => [name, `cus_${name}`])) });
  recording.setPeriods([]);
  const asks: string[] = [];
  const ask = recording.customerPeriods;
  const reporter: RecordingReporter = {
    ...recording,
    customerPeriods: async (customer) => {
      asks.push(customer);
      return (await ask?.(customer)) ?? null;
    },
  };
  return { names, reporter, asks };
}

onBothStores("asking for subscriptions before usage is held", (make) => {
  it("goes by customer, once in a round, and never beyond the round's bound: the others wait unheld", async () => {
    const { names, reporter, asks } = asked(limits.subscriptionQuestionsMax + 5);
    const { clock, store, take, round } = world({ store: await make(), settings: holding });
    await take(...names.flatMap((company) => [chat("1", { company }), chat("2", { company, time: START + HOUR })]));
    clock.set(START + 2 * HOUR + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 2 * limits.subscriptionQuestionsMax });
    expect([asks.length, new Set(asks).size]).toEqual([
      limits.subscriptionQuestionsMax,
      limits.subscriptionQuestionsMax,
    ]);
    expect(await round(reporter)).toMatchObject({ closed: 10, accepted: 0 });
    expect(await store.outbox({ state: "held", limit: 999 })).toHaveLength(2 * names.length);
  });

  it("asks again for held ones in turn, a few in a round, until each had its own", async () => {
    const { names, reporter, asks } = asked(2 * limits.heldSubscriptionQuestionsMax + 3);
    const { clock, take, round } = world({ store: await make(), settings: holding });
    await take(...names.map((company) => chat("1", { company })));
    clock.set(START + HOUR + 6 * MINUTE);
    await round(reporter);
    asks.length = 0;
    for (let rounds = 1; rounds <= 3; rounds++) {
      clock.advance(MINUTE);
      await round(reporter);
      expect(asks).toHaveLength(rounds * limits.heldSubscriptionQuestionsMax);
    }
    expect(new Set(asks).size).toBe(names.length);
  });

  it("asks for nobody whose usage a known period covers, or lies between two of one that renewed", async () => {
    const { reporter, asks } = asked(1);
    const { clock, store, take, round } = world({ store: await make(), settings: holding });
    await store.putPeriods([period("cus_c0", START - DAY, START), period("cus_c0", START + 2 * HOUR, START + DAY)]);
    reporter.setPeriods([period("cus_c0", START + 2 * HOUR, START + DAY)]);
    await take(...[1, 3].map((hour) => chat("1", { company: "c0", time: START + hour * HOUR })));
    clock.set(START + 5 * HOUR);
    await round(reporter);
    expect((await store.outbox({ limit: 9 })).map(({ state, reason }) => reason ?? state)).toEqual([
      "late_usage",
      "accepted",
    ]);
    expect(asks).toEqual([]);
  });

  it("takes a period that renews and is over for one that goes on, before the biller has begun the next", async () => {
    const { reporter } = asked(1);
    const { clock, take, round } = world({ store: await make(), settings: holding });
    reporter.setPeriods([period("cus_c0", START - DAY, START)]);
    await take(chat("1", { company: "c0", time: START + MINUTE }));
    clock.set(START + HOUR + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 1, held: 0 });
  });

  it("holds nothing while the biller cannot be reached: the usage stays due", async () => {
    const { reporter } = asked(1);
    const { clock, take, round, store } = world({ store: await make(), settings: holding });
    await take(chat("1", { company: "c0" }));
    clock.set(START + HOUR + 6 * MINUTE);
    reporter.fail("METER_STRIPE_UNREACHABLE");
    await round(reporter);
    expect(await store.outbox({ limit: 9 })).toEqual([]);
  });

  it("counts every held row of a company, and releases those behind a page of others", async () => {
    const { reporter } = asked(1);
    const settings = { ...holding, report: { ...hourly.report, windowMs: MINUTE, latenessMs: 0 } };
    const { clock, take, round } = world({ store: await make(), settings });
    const minutes = 2 * limits.releaseRowsMax + 200;
    await take(...Array.from({ length: minutes }, (_, at) => chat("1", { company: "c0", time: START + at * MINUTE })));
    clock.set(START + minutes * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: minutes, held: minutes });
    clock.advance(1);
    expect(await round(reporter)).toMatchObject({ released: 0, held: minutes });
    // Only the last hundred minutes are billed.
    reporter.setPeriods([period("cus_c0", START + (minutes - 100) * MINUTE, START + 30 * DAY)]);
    clock.advance(1);
    expect(await round(reporter)).toMatchObject({ released: 100, held: minutes - 100, accepted: 100 });
  }, 120_000);
});

onBothStores("earlier periods, whose ends are guessed", (make) => {
  it("fill only what no stored period of their item covers: none of its usage is late for them", async () => {
    const { store, clock, take, round } = world({ store: await make(), settings: holding });
    const { reporter: told } = asked(1);
    const end = START + 30 * MINUTE;
    const month = { ...period("cus_c0", end - 31 * DAY, end), item: "si_1" };
    const next = { ...month, from: end, to: end + 30 * DAY };
    told.setPeriods([month]);
    clock.set(START - HOUR);
    await round(told);
    told.setPeriods([next]);
    const guessed = end - 28 * DAY;
    const earlier = [
      { ...month, from: end - 200 * DAY, to: guessed },
      { ...month, from: guessed, to: end },
    ];
    const reporter: UsageReporter = { ...told, customerPeriods: async () => ({ present: [next], earlier }) };
    // The older one lies before anything that is known, which makes the round ask.
    await take(...[33, 30].map((days) => chat("7", { company: "c0", time: end - days * DAY })));
    clock.set(end + 20 * MINUTE);
    await round(reporter);
    expect((await store.outbox({ limit: 9 })).map(({ state, reason }) => [state, reason])).toEqual([
      ["held", "late_usage"],
      ["accepted", null],
    ]);
  });
});

describe("a biller that tells of no subscriptions", () => {
  it("is sent all usage, and that is told once", async () => {
    const { customerPeriods: _untold, ...untelling } = recordingReporter({ customers: { acme: "cus_1" } });
    const reporter: UsageReporter = untelling;
    const { clock, take, round, notices } = world({ settings: holding });
    for (let hour = 1; hour <= 3; hour++) {
      await take(chat("1", { time: clock.now() }));
      clock.set(START + hour * HOUR + 6 * MINUTE);
      expect(await round(reporter)).toMatchObject({ accepted: 1, held: 0 });
    }
    expect(notices.map(({ code }) => code)).toEqual(["METER_SUBSCRIPTIONS_UNKNOWN"]);
  });
});
