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
    const spent = await dailyReadings(store, clock.now());
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

  it("are shared with comparing, of which one run is always left", async () => {
    const { store, clock, round, reporter, pace, options } = await unanswered(8);
    await round(reporter);
    expect((await dailyReadings(store, clock.now())).spent()).toBe(8);
    clock.advance(3 * HOUR);
    const books = { lanes: "due", readOnly: false, graceMs: HOUR, keepLease: async () => true, pace } as const;
    const before = reporter.readings.length;
    expect(await reconcile({ ...options(reporter), ...books, readsPerDay: 10 })).toMatchObject({ reads: 2, lanes: 2 });
    expect(reporter.readings.length - before).toBe(2);
    expect((await dailyReadings(store, clock.now())).spent()).toBe(10);
    expect(limits.readBacksPerDay + limits.reconcileReadsAtOnce).toBe(limits.reconcileReadsPerDay);
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
