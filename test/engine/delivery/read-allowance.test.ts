import { expect, it } from "vitest";

import { dailyReadings } from "../../../src/engine/delivery/daily-readings.ts";
import { limits } from "../../../src/engine/limits.ts";
import { reconcile } from "../../../src/engine/reconciliation/reconcile.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START, world } from "../world.ts";

onBothStores("the day's readings of the biller's books", (make) => {
  /** Reports whose answers were lost a day ago, so that each has to be read back; all were counted. */
  async function unanswered(many: number) {
    const base = world({ store: await make() });
    const { clock, take, round } = base;
    const companies = Array.from({ length: many }, (_, at) => `company-${at}`);
    const customers = Object.fromEntries(companies.map((company) => [company, `cus_${company}`]));
    const reporter = recordingReporter({ customers });
    await take(...companies.map((company) => chat("3", { company })));
    clock.advance(2 * HOUR);
    const unsure = {
      ...reporter,
      report: async (...call: Parameters<typeof reporter.report>) => {
        reporter.answerNext({ counts: true, answer: UNKNOWN });
        return reporter.report(...call);
      },
    };
    for (let tries = 0; reporter.calls.length < many && tries < many; tries++) await round(unsure);
    clock.set(START + 2 * DAY);
    return { ...base, reporter };
  }

  it("are not exceeded by a mass of reports of unknown outcome: those wait for the next day, and say so", async () => {
    const { store, catalog, clock, round, reporter } = await unanswered(20);
    const spent = await dailyReadings(store, clock.now(), "readBack");
    spent.add(limits.readBacksPerDay - 5);
    await spent.keep();
    for (let rounds = 0; rounds < 30; rounds++) {
      await round(reporter);
      clock.advance(20 * MINUTE);
    }
    expect(reporter.readings).toHaveLength(5);
    const waiting = await store.outbox({ state: "pending", limit: 99 });
    expect(waiting).toHaveLength(15);
    for (const { reason } of waiting) expect(reason).toContain("readings of the biller's books are used up");
    clock.set(START + 3 * DAY);
    for (let rounds = 0; rounds < 3; rounds++) {
      await round(reporter);
      clock.advance(HOUR);
    }
    expect((await store.counts()).outbox).toMatchObject({ accepted: 20, pending: 0, conflict: 0 });
    expect(reporter.records).toHaveLength(20);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "60" } } });
  });

  it("are left to them as far as they are reserved, when comparing used its own up, or a person's order did", async () => {
    const { store, clock, round, reporter } = await unanswered(8);
    const comparing = await dailyReadings(store, clock.now());
    comparing.add(10 * limits.reconcileReadsPerDay);
    await comparing.keep();
    const own = await dailyReadings(store, clock.now(), "readBack");
    expect(limits.readBacksPerDay - own.spent()).toBe(limits.readingsReservedPerDay);
    await round(reporter);
    expect(reporter.readings).toHaveLength(8);
    expect((await store.counts()).outbox).toMatchObject({ accepted: 8, pending: 0 });
  });

  it("are left to comparing as far as they are reserved, and what is taken beyond that is not read twice", async () => {
    const { store, clock, round, reporter, pace, options } = await unanswered(3);
    await round(reporter);
    const mass = await dailyReadings(store, clock.now(), "readBack");
    expect(mass.spent()).toBe(3);
    mass.add(limits.readBacksPerDay - 3);
    await mass.keep();
    expect((await dailyReadings(store, clock.now())).spent()).toBe(
      limits.reconcileReadsPerDay - limits.readingsReservedPerDay,
    );
    clock.advance(3 * HOUR);
    const books = { lanes: "due", readOnly: false, graceMs: HOUR, keepLease: async () => true, pace } as const;
    const before = reporter.readings.length;
    const readsPerDay = limits.readBacksPerDay - limits.readingsReservedPerDay + 2;
    expect(await reconcile({ ...options(reporter), ...books, readsPerDay })).toMatchObject({ reads: 2, lanes: 2 });
    expect(reporter.readings.length - before).toBe(2);
    expect((await dailyReadings(store, clock.now(), "readBack")).spent()).toBe(limits.readBacksPerDay);
    // No reader's share is larger than the other's, and together they are what a day may have.
    expect(limits.reconcileReadsPerDay).toBe(limits.readBacksPerDay);
    expect(limits.readingsReservedPerDay).toBeGreaterThanOrEqual(limits.reconcileReadsAtOnce);
  });

  it("begin anew each day", async () => {
    const store = await make();
    const today = await dailyReadings(store, START);
    today.add(7);
    await today.keep();
    expect((await dailyReadings(store, START + HOUR)).spent()).toBe(7);
    expect((await dailyReadings(store, START + DAY)).spent()).toBe(0);
  });
});
