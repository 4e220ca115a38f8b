import { expect, it } from "vitest";

import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, MINUTE, START, world } from "../world.ts";

const LANE = { customer: "cus_1", reportAs: "chat_tokens", renews: true };

onBothStores("a billing period that a new anchor cuts short", (make) => {
  it("ends where the new one begins: usage after that is not late when its first end has passed", async () => {
    const { store, clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const [anchor, firstEnd] = [START + HOUR + 10 * MINUTE, START + 3 * HOUR];
    reporter.setPeriods([{ ...LANE, from: START - 20 * DAY, to: firstEnd }]);
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    reporter.setPeriods([{ ...LANE, from: anchor, to: anchor + 30 * DAY }]);
    clock.set(firstEnd + 3 * HOUR);
    await round(reporter);
    await take(chat("7", { time: START + 2 * HOUR }), chat("1", { time: START + MINUTE }));
    await round(reporter);
    expect(await store.periods()).toMatchObject([{ to: anchor }, { from: anchor }]);
    expect(
      (await store.outbox({ limit: 9 })).map(({ windowStart, state, reason }) => [windowStart, state, reason]),
    ).toEqual([
      [START, "accepted", null],
      [START, "held", "late_usage"],
      [START + 2 * HOUR, "accepted", null],
    ]);
  });

  it("stays as it is beside another subscription's, while it is told", async () => {
    const { store, clock, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const first = { ...LANE, from: START - 20 * DAY, to: START + 10 * DAY };
    const second = { ...LANE, from: START, to: START + 30 * DAY };
    reporter.setPeriods([first]);
    await round(reporter);
    reporter.setPeriods([first, second]);
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(await store.periods()).toEqual([first, second]);
  });
});

onBothStores("two subscription items of one lane that begin in one second", (make) => {
  const begun = { ...LANE, from: START - 5 * DAY };
  const short = { ...begun, item: "si_short", to: START + 3 * HOUR };
  const long = { ...begun, item: "si_long", to: START + 25 * DAY };

  it("keep both of their ends, and a new anchor of one cuts it short while the other is told", async () => {
    const { store, clock, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([long, short]);
    await round(reporter);
    expect(await store.periods()).toEqual([long, short]);
    const anchored = { ...long, from: START + HOUR, to: START + 30 * DAY };
    reporter.setPeriods([anchored, short]);
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(await store.periods()).toEqual([{ ...long, to: anchored.from }, short, anchored]);
  });

  it("are not ended by each other's next period", async () => {
    const { store, clock, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([long, short]);
    await round(reporter);
    const anchored = { ...long, from: START + HOUR, to: START + 30 * DAY };
    const next = { ...short, from: short.to, to: short.to + 7 * DAY };
    reporter.setPeriods([anchored, next]);
    clock.advance(4 * HOUR);
    await round(reporter);
    expect(await store.periods()).toEqual([{ ...long, to: anchored.from }, short, anchored, next]);
  });

  it("make usage of the time between their ends late: one of its invoices is final", async () => {
    const { store, clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([short, long]);
    await round(reporter);
    clock.set(short.to + 3 * HOUR);
    await take(chat("7", { time: START + 10 * MINUTE }), chat("1", { time: short.to + MINUTE }));
    await round(reporter);
    expect((await store.outbox({ limit: 9 })).map(({ state, reason }) => [state, reason])).toEqual([
      ["held", "late_usage"],
      ["accepted", null],
    ]);
  });

  it("end where another item began that took their place", async () => {
    const { store, clock, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([long]);
    await round(reporter);
    const instead = { ...LANE, item: "si_other", from: START + HOUR, to: START + 31 * DAY };
    reporter.setPeriods([instead]);
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(await store.periods()).toEqual([{ ...long, to: instead.from }, instead]);
  });
});

onBothStores("a subscription item that is told no more", (make) => {
  const settings = { ...hourly, noSubscription: "hold" } as const;
  const item = { ...LANE, item: "si_1", from: START - DAY, to: START + 20 * DAY };
  const other = { ...LANE, customer: "cus_other", item: "si_o", from: START - DAY, to: START + 20 * DAY };

  it("was taken out of its subscription: what is not reported of its period is held, until it is told again", async () => {
    const { store, clock, take, round } = world({ store: await make(), settings });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([item, other]);
    clock.set(START + 5 * MINUTE);
    await round(reporter);
    await take(chat("3", { time: START + MINUTE }), chat("7", { time: START + 2 * HOUR }));
    reporter.setPeriods([other]);
    clock.set(START + 3 * HOUR + 10 * MINUTE);
    await round(reporter);
    expect(await store.periods(LANE)).toEqual([{ ...item, to: item.from, renews: false }]);
    expect((await store.outbox({ limit: 9 })).map(({ reason }) => reason?.split(":")[0])).toEqual([
      "no_subscription",
      "no_subscription",
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("0");
    // Told again, as after a wrong reading, it bills as before.
    reporter.setPeriods([item, other]);
    clock.advance(HOUR);
    await round(reporter);
    expect(await store.periods(LANE)).toEqual([item]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("10");
  });

  it("is asked for before anything is held for it", async () => {
    const { clock, take, round } = world({ store: await make(), settings });
    const told = recordingReporter({ customers: { acme: "cus_1" } });
    told.setPeriods([item, other]);
    await round(told);
    await take(chat("7", { time: START + 2 * HOUR }));
    clock.set(START + 3 * HOUR + 10 * MINUTE);
    expect(await round({ ...told, periods: async () => [other] })).toMatchObject({ accepted: 1, held: 0 });
  });

  it("keeps its period's end where that is over, and where nothing at all is told", async () => {
    const { store, clock, round } = world({ store: await make(), settings });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const ended = { ...item, item: "si_ended", from: item.from - DAY, to: START + 30 * MINUTE };
    reporter.setPeriods([ended, item, other]);
    await round(reporter);
    reporter.setPeriods([]);
    clock.advance(2 * HOUR);
    await round(reporter);
    reporter.setPeriods([item, other]);
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(await store.periods(LANE)).toEqual([ended, item]);
  });
});
