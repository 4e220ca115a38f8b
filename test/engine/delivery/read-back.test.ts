import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import type { CountedQuery, OutboxRow } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START, world, type World } from "../world.ts";

type Uncertain = World & {
  readonly reporter: RecordingReporter;
  readonly row: () => Promise<OutboxRow>;
  /** A later report of the other customer, so that the books are known to have come so far. */
  readonly witness: () => Promise<void>;
};

onBothStores("a report whose outcome is not known for a day", (make) => {
  /** The answer to the first report was lost, and all later ones until `hours` later. */
  async function uncertain(counts: boolean, hours: number): Promise<Uncertain> {
    const base = world({ store: await make() });
    const { clock, store, take, round } = base;
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    await take(chat("5"));
    clock.advance(2 * HOUR);
    reporter.answerNext({ counts, answer: UNKNOWN });
    await round(reporter);
    clock.advance(hours * HOUR);
    const row = async (): Promise<OutboxRow> => {
      const [found] = await store.outbox({ company: "acme", limit: 1 });
      if (found === undefined) throw new Error("no row");
      return found;
    };
    const witness = async (): Promise<void> => {
      await take(chat("1", { company: "globex", time: clock.now() - 2 * HOUR }));
      await round(reporter);
    };
    return { ...base, reporter, row, witness };
  }

  it("is accepted when the books show it in its own minute, and is not sent again", async () => {
    const { store, catalog, round, reporter, row } = await uncertain(true, 23);
    expect(await round(reporter)).toMatchObject({ accepted: 1, conflicts: 0, waiting: 0 });
    expect(await row()).toMatchObject({ state: "accepted", reason: "read_back", attempts: 1 });
    expect(reporter.calls).toHaveLength(1);
    expect(reporter.readings).toEqual([
      { customer: "cus_1", reportAs: "chat_tokens", from: START, to: START + MINUTE, per: null },
    ]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });
  });

  it("is sent again blindly one moment before, and never one moment after", async () => {
    const young = await uncertain(true, 0);
    young.clock.advance(limits.resendSafeMs - 1);
    expect(await young.round(young.reporter)).toMatchObject({ accepted: 1 });
    expect([young.reporter.calls.length, young.reporter.readings.length]).toEqual([2, 0]);
    const old = await uncertain(false, 0);
    old.clock.advance(limits.resendSafeMs);
    expect(await old.round(old.reporter)).toMatchObject({ accepted: 0, waiting: 1 });
    expect([old.reporter.calls.length, old.reporter.readings.length]).toEqual([1, 1]);
  });

  it("goes out once more under its own identifier and a fresh key, when two readings miss it and show a later report", async () => {
    const { clock, round, reporter, row, witness } = await uncertain(false, 24);
    await round(reporter);
    const absentSince = clock.now();
    expect(await row()).toMatchObject({ state: "pending", absentSince, attempts: 1 });
    await witness();
    clock.set(absentSince + limits.readBackEveryMs - 1);
    await round(reporter);
    expect(reporter.calls.filter(({ record }) => record.customer === "cus_1")).toHaveLength(1);
    clock.advance(1);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    const own = reporter.calls.filter(({ record }) => record.customer === "cus_1");
    expect(new Set(own.map(({ record }) => record.identifier)).size).toBe(1);
    expect(own.map(({ idempotencyKey }) => idempotencyKey.split(".")[1])).toEqual(["0", "1"]);
    expect(await row()).toMatchObject({ state: "accepted", attempts: 2, resentAt: clock.now() });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
  });

  it("waits as long as the books show nothing that came later: they may be behind", async () => {
    const { clock, round, reporter, row, witness } = await uncertain(false, 24);
    for (let hour = 0; hour < 12; hour++) {
      await round(reporter);
      clock.advance(HOUR);
    }
    expect(await row()).toMatchObject({ state: "pending", reason: expect.stringContaining("no later report") });
    expect(reporter.calls).toHaveLength(1);
    await witness();
    clock.advance(limits.readBackWitnessMs);
    await round(reporter);
    expect(await row()).toMatchObject({ state: "accepted", attempts: 2 });
  });

  it("does not believe the books before two hours of quiet, and finds what they show late", async () => {
    const { clock, round, reporter, row, witness } = await uncertain(false, 0);
    // Tried again at the last moment: it counts, and its answer is lost as well.
    clock.advance(limits.resendSafeMs - 1);
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    const lastAttempt = clock.now();
    expect(await row()).toMatchObject({ attempts: 2, lastAttemptAt: lastAttempt });
    await witness();
    // The books show the later report, and are behind with this one.
    const late = {
      ...reporter,
      counted: async (query: CountedQuery) => (query.customer === "cus_1" ? [] : reporter.counted(query)),
    };
    while (clock.now() < lastAttempt + limits.readBackQuietMs - 1) {
      await round(late);
      clock.set(Math.min(clock.now() + 10 * MINUTE, lastAttempt + limits.readBackQuietMs - 1));
    }
    expect(await row()).toMatchObject({ state: "pending", attempts: 2 });
    clock.advance(HOUR);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect(await row()).toMatchObject({ state: "accepted", reason: "read_back", attempts: 2 });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
  });

  it("is safe again for 23 hours after it was sent again, then read back, and a person's when it is missing once more", async () => {
    const { clock, round, reporter, row, witness } = await uncertain(false, 24);
    await round(reporter);
    await witness();
    clock.advance(limits.readBackEveryMs);
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await round(reporter);
    const resentAt = clock.now();
    expect(await row()).toMatchObject({ state: "pending", resentAt, attempts: 2, absentSince: null });
    clock.advance(HOUR);
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await round(reporter);
    expect(await row()).toMatchObject({ attempts: 3, resentAt });
    clock.set(resentAt + limits.resendSafeMs);
    const tried = reporter.calls.length;
    await witness();
    for (let tries = 0; tries < 6; tries++) {
      await round(reporter);
      clock.advance(limits.readBackWitnessMs);
    }
    expect(await row()).toMatchObject({ state: "conflict", reason: expect.stringContaining("sent again") });
    expect(reporter.calls.slice(tried).filter(({ record }) => record.customer === "cus_1")).toEqual([]);
  });

  it("is a person's when the books have another value in its minute", async () => {
    const { round, reporter, row } = await uncertain(false, 25);
    const [{ record } = { record: null }] = reporter.calls;
    if (record === null) throw new Error("nothing was sent");
    reporter.foreign({ ...record, identifier: "somebody_else", value: record.value * 2n });
    expect(await round(reporter)).toMatchObject({ conflicts: 1 });
    expect(await row()).toMatchObject({ state: "conflict", reason: expect.stringContaining("books have 10") });
  });

  it("is a person's when another report shares its minute: one figure cannot tell two apart", async () => {
    const { store, clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1", "acme-2": "cus_1" } });
    await take(chat("5"), chat("7", { company: "acme-2" }));
    clock.advance(2 * HOUR);
    reporter.answerNext({ counts: true, answer: { kind: "accepted", requestId: null } });
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    clock.advance(24 * HOUR);
    expect(await round(reporter)).toMatchObject({ conflicts: 1 });
    expect(await store.outbox({ state: "conflict", limit: 9 })).toMatchObject([
      { reason: expect.stringContaining("share its minute") },
    ]);
    expect(reporter.calls).toHaveLength(2);
    expect(reporter.readings).toEqual([]);
  });

  it("does not stop its customer's other reports, and never two are sent at once", async () => {
    const { clock, take, round, reporter, row } = await uncertain(false, 24);
    await round(reporter);
    await take(chat("9", { time: clock.now() - 2 * HOUR }));
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    // That later report is the witness that its own lane needed.
    clock.advance(limits.readBackEveryMs);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect(await row()).toMatchObject({ state: "accepted", attempts: 2 });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("14");
  });

  it("counts an attempt that lies ahead, by a clock that was set back, as old and never as young", async () => {
    const { clock, round, reporter, row } = await uncertain(true, 0);
    clock.set(clock.now() - 26 * HOUR);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect([reporter.calls.length, reporter.readings.length]).toEqual([1, 1]);
    expect(await row()).toMatchObject({ state: "accepted", reason: "read_back" });
  });

  it("waits while the books cannot be read, and a key that may not read them stops nothing else", async () => {
    const { clock, take, round, reporter, row } = await uncertain(true, 24);
    const closed = {
      ...reporter,
      counted: async (): Promise<never> => {
        throw new Error("the key lacks the right rak_billing_meter_read");
      },
    };
    await take(chat("9", { time: clock.now() - 2 * HOUR }));
    expect(await round(closed)).toMatchObject({ waiting: 1, accepted: 1, stopped: null });
    expect(await row()).toMatchObject({ state: "pending", reason: expect.stringContaining("rak_billing_meter_read") });
    clock.advance(HOUR);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
  });

  it("is a person's at 34 days, unless the books show it", async () => {
    const missing = await uncertain(false, 0);
    missing.clock.set(START + limits.reportAgeMaxMs + 1);
    expect(await missing.round(missing.reporter)).toMatchObject({ conflicts: 1 });
    const shown = await uncertain(true, 0);
    shown.clock.set(START + limits.reportAgeMaxMs + 1);
    expect(await shown.round(shown.reporter)).toMatchObject({ accepted: 1, conflicts: 0 });
    expect([missing.reporter.calls.length, shown.reporter.calls.length]).toEqual([1, 1]);
  });
});

onBothStores("an outage of thirty hours", (make) => {
  it("costs readings, a bounded number a round, and no money; what was never tried is free of it", async () => {
    const { store, catalog, clock, take, round } = world({ store: await make() });
    const companies = Array.from({ length: limits.readBacksMax + 10 }, (_, at) => `company-${at}`);
    const customers = Object.fromEntries(companies.map((company) => [company, `cus_${company}`]));
    const reporter = recordingReporter({ customers });
    await take(...companies.map((company) => chat("3", { company })));
    clock.advance(2 * HOUR);
    // Every other one counts, and no answer ever comes.
    const down = {
      ...reporter,
      report: async (...call: Parameters<typeof reporter.report>) => {
        reporter.answerNext({ counts: reporter.calls.length % 2 === 0, answer: UNKNOWN });
        return reporter.report(...call);
      },
    };
    for (let tries = 0; tries < 40; tries++) {
      await round(down);
      clock.advance(MINUTE / 3);
    }
    const untried = (await store.outbox({ limit: 999 })).filter(({ firstAttemptAt }) => firstAttemptAt === null);
    expect(untried.map(({ company }) => company)).toEqual([]);
    clock.advance(30 * HOUR);
    const before = new Set(reporter.records.map(({ identifier }) => identifier));
    const sent = reporter.calls.length;
    await take(chat("1", { company: "company-0", time: clock.now() - 2 * HOUR }));
    for (let minute = 0; minute < 120; minute++) {
      const read = reporter.readings.length;
      await round(reporter);
      expect(reporter.readings.length - read).toBeLessThanOrEqual(limits.readBacksMax);
      clock.advance(MINUTE);
    }
    expect((await store.counts()).outbox).toMatchObject({ accepted: companies.length + 1, pending: 0, conflict: 0 });
    const again = reporter.calls.slice(sent).map(({ record }) => record.identifier);
    expect(again.some((identifier) => before.has(identifier))).toBe(false);
    expect(companies.slice(1).every((company) => reporter.total("chat_tokens", `cus_${company}`) === "3")).toBe(true);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  }, 120_000);

  it("is no outage to rows that were never tried", async () => {
    const { clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    await take(chat("5"));
    clock.advance(2 * HOUR);
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await round(reporter);
    clock.advance(10 * DAY);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect(reporter.readings).toEqual([]);
  });
});
