import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { planReport, reportOnce } from "../../../src/engine/delivery/report.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { openSqliteStore } from "../../../src/sqlite/sqlite-store.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, chat, DAY, HOUR, hourly, MINUTE, START, tokens, world, type World } from "../world.ts";

const folder = mkdtempSync(join(tmpdir(), "meterbook-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let databases = 0;

const stores: readonly (readonly [string, () => Promise<Store>])[] = [
  ["memory", async () => memoryStore({ bucketMs: MINUTE })],
  ["sqlite", () => openSqliteStore({ path: join(folder, `${++databases}.db`), bucketMs: MINUTE })],
];

const byIdentifier = (a: { identifier: string }, b: { identifier: string }): number =>
  a.identifier < b.identifier ? -1 : 1;

describe.each(stores)("reporting on %s", (_name, open) => {
  const inWorld = async (work: (it: World) => Promise<void>, ...meters: readonly MeterDefinition[]): Promise<void> => {
    const store = await open();
    try {
      await work(world({ store, catalog: catalogOf(...(meters.length === 0 ? [tokens] : meters)) }));
    } finally {
      await store.close();
    }
  };

  it.each([
    ["whole numbers that carry the rest", ["10.4", "10.4", "10.4"], ["10", "10", "11"], "31", "0.2"],
    ["a correction after a report", ["10.4", "-5.7"], ["10", "-6"], "4", "0.7"],
    ["fractions that wait for a whole", ["0.4", "0.4", "0.4"], ["1"], "1", "0.2"],
  ])("sends %s", (_what, values, reports, sent, carried) =>
    inWorld(async ({ store, catalog, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      for (const value of values) {
        await take(chat(value, { time: clock.now() }));
        clock.advance(HOUR + 5 * MINUTE);
        await round(reporter);
      }
      expect(reporter.records.map(({ value }) => formatDecimal(value))).toEqual(reports);
      expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({ sent, carried, due: "0" });
    }),
  );

  it("rounds once: a thousand times 0.4 are 400", () =>
    inWorld(async ({ take, clock, round }) => {
      await take(...Array.from({ length: 1_000 }, () => chat("0.4")));
      clock.advance(2 * HOUR);
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await round(reporter);
      expect(reporter.total("chat_tokens", "cus_1")).toBe("400");
    }));

  it("waits for late events, then sends later ones as corrections in their own minute", () =>
    inWorld(async ({ take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5"));
      clock.set(START + HOUR + 5 * MINUTE - 1);
      expect(await round(reporter)).toMatchObject({ closed: 0, accepted: 0 });
      await take(chat("2", { time: START + MINUTE }));
      clock.advance(1);
      expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1 });
      await take(chat("3", { time: START + 30 * MINUTE }));
      await round(reporter);
      await round(reporter);
      const shown = reporter.records.map(({ value, sequence, timestamp, windowStart, windowEnd }) => [
        formatDecimal(value),
        sequence,
        timestamp - START,
        windowStart - START,
        windowEnd - START,
      ]);
      expect(shown).toEqual([
        ["7", 0, 0, 0, HOUR],
        ["3", 1, MINUTE, 0, HOUR],
      ]);
    }));

  it("sends several windows of one customer in order, and two companies apart", () =>
    inWorld(async ({ take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
      for (let hour = 0; hour < 5; hour++)
        await take(
          chat("1.5", { time: START + hour * HOUR }),
          chat("2", { company: "globex", time: START + hour * HOUR }),
        );
      clock.advance(6 * HOUR);
      expect(await round(reporter)).toMatchObject({ closed: 10, accepted: 10 });
      const acme = reporter.calls.filter(({ record }) => record.customer === "cus_1").map(({ record }) => record);
      expect(acme.map(({ value }) => formatDecimal(value))).toEqual(["1", "2", "1", "2", "1"]);
      expect(acme.map(({ windowStart }) => windowStart)).toEqual([0, 1, 2, 3, 4].map((hour) => START + hour * HOUR));
      expect(reporter.total("chat_tokens", "cus_2")).toBe("10");
    }));

  it("holds usage without a customer and sends it when the mapping appears", () =>
    inWorld(async ({ store, catalog, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5", { company: "globex" }), chat("1"));
      clock.advance(2 * HOUR);
      expect(await round(reporter)).toMatchObject({ accepted: 1, held: 1 });
      expect(await store.outbox({ state: "held", limit: 9 })).toMatchObject([
        { company: "globex", reason: "no_customer", customer: null, identifier: null },
      ]);
      reporter.addCustomer("globex", "cus_2");
      clock.advance(limits.missingCustomerMs - 1_000);
      expect(await round(reporter)).toMatchObject({ released: 0, held: 1 });
      clock.advance(2_000);
      expect(await round(reporter)).toMatchObject({ released: 1, held: 0, accepted: 1 });
      expect(reporter.total("chat_tokens", "cus_2")).toBe("5");
      expect(await verify(store, catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { reported: "6", held: "0" } },
      });
    }));

  it("never chooses between two customers", () =>
    inWorld(async ({ store, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      reporter.addCustomer("acme", "cus_other");
      await take(chat("5"));
      clock.advance(2 * HOUR);
      await round(reporter);
      expect(reporter.calls).toEqual([]);
      expect(await store.outbox({ limit: 9 })).toMatchObject([{ state: "held", reason: "two_customers" }]);
      expect(await store.customerMappings(["acme"])).toMatchObject([
        { state: "ambiguous", customers: ["cus_1", "cus_other"] },
      ]);
      reporter.deleteCustomer("cus_other");
      clock.advance(limits.customerListEveryMs);
      expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1 });
    }));

  it("notices a deleted customer by the next list", () =>
    inWorld(async ({ store, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5"));
      clock.advance(2 * HOUR);
      await round(reporter);
      reporter.deleteCustomer("cus_1");
      await take(chat("6", { time: clock.now() }));
      clock.advance(2 * HOUR);
      expect(await round(reporter)).toMatchObject({ accepted: 0, held: 1 });
      expect(await store.outbox({ state: "held", limit: 9 })).toMatchObject([{ reason: "customer_deleted" }]);
    }));

  it("holds what the biller has no fitting meter for", () =>
    inWorld(async ({ store, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      reporter.setMeter("chat_tokens", { kind: "missing", reason: "none" });
      await take(chat("5"));
      clock.advance(2 * HOUR);
      await round(reporter);
      expect(await store.outbox({ limit: 9 })).toMatchObject([{ state: "held", reason: "stripe_meter_missing" }]);
      reporter.setMeter("chat_tokens", { kind: "unfit", reason: "count" });
      await round(reporter);
      expect(await store.outbox({ limit: 9 })).toMatchObject([{ state: "held", reason: "stripe_meter_unfit" }]);
      reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
      expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1 });
    }));

  it("holds usage that is too old and values that are too long", () =>
    inWorld(async ({ store, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1", long: "cus_2" } });
      await take(chat("5"), chat("1234567890123456", { company: "long", time: START + 34 * DAY }));
      clock.advance(34 * DAY + 2 * HOUR);
      await round(reporter);
      await round(reporter);
      expect(reporter.calls).toEqual([]);
      expect((await store.outbox({ state: "held", limit: 9 })).map(({ reason }) => reason)).toEqual([
        "too_old",
        "too_many_digits",
      ]);
    }));

  it("does not report meters that are not for the biller, now or later", () =>
    inWorld(
      async ({ store, catalog, take, clock, round }) => {
        const reporter = recordingReporter({ customers: { acme: "cus_1" } });
        await take(chat("5"), chat("6"));
        clock.advance(2 * HOUR);
        expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1 });
        expect(reporter.records.map(({ reportAs }) => reportAs)).toEqual(["chat_tokens"]);
        const billedNow = catalogOf(tokens, calls);
        await round(reporter, { catalog: billedNow });
        expect(reporter.records).toHaveLength(1);
        expect(await verify(store, catalog)).toMatchObject({
          ok: true,
          meters: { calls: { accepted: "2", reported: "0", due: "2" }, biggest: { in: "events", due: "2" } },
        });
        expect(await verify(store, billedNow)).toMatchObject({ ok: true });
      },
      tokens,
      { ...calls, report: false },
      { ...tokens, key: "biggest", aggregate: "max", report: false, reportAs: "biggest" },
    ));

  it("does not bill what was counted while a meter was not reported, when one late unit comes", () =>
    inWorld(
      async ({ store, take, clock, round }) => {
        const reporter = recordingReporter({ customers: { acme: "cus_1" } });
        await take(...Array.from({ length: 50 }, () => chat("1")));
        clock.advance(2 * HOUR);
        await round(reporter);
        expect(reporter.calls).toEqual([]);
        const billedNow = catalogOf(calls);
        await take(chat("1", { time: START + MINUTE }), chat("1", { time: START + HOUR }));
        const waiting = await verify(store, billedNow);
        expect(waiting).toMatchObject({ ok: true, meters: { calls: { accepted: "52", due: "52", reported: "0" } } });
        clock.advance(HOUR);
        expect(await round(reporter, { catalog: billedNow })).toMatchObject({ closed: 2, accepted: 2 });
        expect(reporter.records.map(({ value }) => formatDecimal(value))).toEqual(["1", "1"]);
        expect(await verify(store, billedNow)).toMatchObject({
          ok: true,
          meters: { calls: { accepted: "52", reported: "2", due: "50" } },
        });
        const unbilled = catalogOf({ ...calls, report: false });
        await take(chat("1", { time: START + MINUTE }));
        await round(reporter, { catalog: unbilled });
        expect(reporter.total("calls", "cus_1")).toBe("2");
        expect(await verify(store, unbilled)).toMatchObject({ ok: true, meters: { calls: { due: "51" } } });
      },
      { ...calls, report: false },
    ));

  it("notices usage that is in no row, no mark and nowhere skipped, also after a meter was unreported", () =>
    inWorld(async ({ store, catalog, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5"));
      clock.advance(2 * HOUR);
      await round(reporter, { catalog: catalogOf({ ...tokens, report: false }) });
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
      const forgetful: Store = {
        ...store,
        snapshot: async () => ({ ...(await store.snapshot()), skippedTotals: async () => [] }),
      };
      expect(await verify(forgetful, catalog)).toMatchObject({
        ok: false,
        differences: [expect.stringContaining("chat_tokens: accepted 5")],
      });
    }));

  it("carries the fraction digits that the biller would not take, and sends them with the next report", () =>
    inWorld(async ({ store, catalog, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      const fractions = { settings: { ...hourly, report: { ...hourly.report, fractionDigits: 6 } } };
      for (const used of ["12345678901.234567", "0.1"]) {
        await take(chat(used, { time: clock.now() }));
        clock.advance(HOUR + 5 * MINUTE);
        expect(await round(reporter, fractions)).toMatchObject({ accepted: 1, held: 0 });
      }
      expect(reporter.records.map(({ value }) => formatDecimal(value))).toEqual(["12345678901.2345", "0.100067"]);
      expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({
        sent: "12345678901.334567",
        carried: "0",
      });
    }));

  it("gives different reports different identifiers, though customer, window and value are the same", () =>
    inWorld(
      async ({ store, take, clock, round }) => {
        // Two meters that are summed up at the biller, and two companies that one customer pays for.
        const reporter = recordingReporter({ customers: { acme: "cus_1", "acme-2": "cus_1" } });
        await take(chat("5"), chat("5", { company: "acme-2" }));
        clock.advance(2 * HOUR);
        expect(await round(reporter)).toMatchObject({ accepted: 4 });
        expect(reporter.total("chat_tokens", "cus_1")).toBe("20");
        const other = world({ store: memoryStore({ bucketMs: MINUTE, id: "another database" }) });
        await other.take(chat("5"));
        other.clock.advance(2 * HOUR);
        await other.round(reporter);
        expect(reporter.total("chat_tokens", "cus_1")).toBe("25");
        expect(reporter.records.every(({ identifier }) => identifier.length < 60)).toBe(true);
        expect(store.id).not.toBe("another database");
      },
      tokens,
      { ...tokens, key: "renamed" },
    ));

  it("never closes or sends with the key of another account, and loses nothing", () =>
    inWorld(async ({ store, catalog, take, clock, round, notices, options }) => {
      const test = recordingReporter({ customers: { acme: "cus_1" } });
      test.answerNext({ counts: false, answer: { ...UNKNOWN } });
      await take(chat("5"));
      clock.advance(2 * HOUR);
      expect(await round(test)).toMatchObject({ retried: 1 });
      const live = recordingReporter({ account: "acct_recording/live", customers: { acme: "cus_live" } });
      await take(chat("6", { time: START + HOUR }));
      clock.advance(2 * HOUR);
      expect((await round(live)).stopped).toContain("acct_recording/test");
      expect([live.calls, live.questions]).toEqual([[], { lists: 0, finds: 0 }]);
      expect(notices).toMatchObject([{ code: "METER_STRIPE_ACCOUNT_CHANGED" }]);
      await expect(planReport(options(live))).rejects.toMatchObject({ code: "METER_STRIPE_ACCOUNT_CHANGED" });
      // While it cannot be learned whose key it is, nothing may leave either.
      live.fail("METER_STRIPE_UNREACHABLE");
      expect(await round(live)).toMatchObject({ accepted: 0, retried: 0, gaveUp: true });
      expect(live.calls).toEqual([]);
      expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { due: "11" } } });
      expect(await round(test)).toMatchObject({ accepted: 2 });
      expect(test.total("chat_tokens", "cus_1")).toBe("11");
    }));

  it("releases all rows of a company that got its customer, and looks no more at those that can never be sent", () =>
    inWorld(async ({ store, take, clock, round }) => {
      const reporter = recordingReporter();
      const hours = limits.releaseRowsMax + 20;
      const ends = START + 40 * DAY;
      await take(
        ...Array.from({ length: hours }, (_, hour) => chat("1", { time: ends - hour * HOUR })),
        chat("1", { company: "globex", time: ends }),
        ...Array.from({ length: 30 }, (_, hour) => chat("1", { time: START + hour * HOUR })),
      );
      clock.set(ends + 2 * HOUR);
      expect(await round(reporter)).toMatchObject({ closed: hours + 31, accepted: 0 });
      expect(await store.heldLanes()).toHaveLength(2);
      reporter.addCustomer("acme", "cus_1");
      // Delivery is not what this is about.
      reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "not now" } });
      clock.advance(HOUR);
      expect(await round(reporter)).toMatchObject({ released: hours, held: 1, accepted: 0 });
      expect(await store.heldLanes()).toMatchObject([{ company: "globex", rows: 1, reason: "no_customer" }]);
      expect((await store.counts()).outbox).toMatchObject({ held: 31, pending: hours });
      clock.advance(34 * DAY);
      await round(reporter);
      expect(await store.heldLanes()).toEqual([]);
    }));

  it("shows in a dry run exactly what is then sent, and writes nothing", () =>
    inWorld(async ({ store, catalog, take, clock, round, options }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" }, unlisted: { initech: "cus_3" } });
      await take(
        chat("5"),
        chat("2.5", { time: START + HOUR }),
        chat("0.75", { time: START + 2 * HOUR }),
        chat("9", { company: "globex" }),
        chat("4", { company: "initech" }),
      );
      clock.advance(4 * HOUR);
      const planned = await planReport({ ...options(reporter), catalog });
      expect(reporter.calls).toEqual([]);
      expect(await store.outbox({ limit: 9 })).toEqual([]);
      expect(await store.customerMappings()).toEqual([]);
      expect(planned.held).toMatchObject([{ company: "globex", reason: "no_customer" }]);
      await round(reporter);
      expect(planned.records.toSorted(byIdentifier)).toEqual(
        reporter.calls.map(({ record }) => record).toSorted(byIdentifier),
      );
      expect(planned.records).toHaveLength(4);
      expect(await planReport({ ...options(reporter), catalog })).toMatchObject({
        records: [],
        held: [{ company: "globex" }],
      });
      const unaddressed = await planReport({ ...options(reporter), catalog, reporter: null });
      expect(unaddressed.records).toEqual([]);
    }));

  it("lets one node report at a time", () =>
    inWorld(async ({ store, take, clock, options }) => {
      await take(chat("5"), chat("2", { time: START + HOUR }));
      clock.advance(3 * HOUR);
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      const rounds = await Promise.all([
        reportOnce({ ...options(reporter), holder: "a" }),
        reportOnce({ ...options(reporter), holder: "b" }),
      ]);
      expect(rounds.filter((summary) => summary === null)).toHaveLength(1);
      expect(reporter.calls).toHaveLength(2);
      expect((await store.counts()).outbox.accepted).toBe(2);
      clock.advance(3 * limits.leaseMs);
      expect(await reportOnce({ ...options(reporter), holder: "c" })).toMatchObject({ accepted: 0 });
    }));

  it("keeps usage due while the biller cannot be reached, and stops with one notice when it refuses the key", () =>
    inWorld(async ({ store, catalog, take, clock, round, notices }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5"));
      clock.advance(2 * HOUR);
      reporter.fail("METER_STRIPE_UNREACHABLE");
      expect(await round(reporter)).toMatchObject({ closed: 0, stopped: null });
      reporter.fail("METER_STRIPE_REFUSED");
      expect((await round(reporter)).stopped).not.toBeNull();
      expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_UNREACHABLE", "METER_STRIPE_REFUSED"]);
      expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({ due: "5", reported: "0" });
      reporter.fail(null);
      expect(await round(reporter)).toMatchObject({ accepted: 1 });
    }));

  it("does not cut reported usage anew when the window's width changes", () =>
    inWorld(async ({ store, catalog, take, clock, round }) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      await take(chat("5", { time: START + 30 * MINUTE }));
      clock.advance(2 * HOUR);
      await round(reporter);
      const minutes = { settings: { ...hourly, report: { ...hourly.report, windowMs: MINUTE } } };
      await take(chat("2", { time: START + 30 * MINUTE }), chat("1", { time: START + DAY }));
      await round(reporter, minutes);
      expect(reporter.records.map(({ value, sequence }) => [formatDecimal(value), sequence])).toEqual([
        ["5", 0],
        ["2", 1],
      ]);
      clock.set(START + DAY + 10 * MINUTE);
      await round(reporter, minutes);
      expect(reporter.records.at(-1)).toMatchObject({ windowStart: START + DAY, windowEnd: START + DAY + MINUTE });
      expect(await verify(store, catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { reported: "8", due: "0" } },
      });
    }));
});

describe("the customer table", () => {
  it("is read again for another account, asks for misses only, and believes them shortly", async () => {
    const { store, take, clock, round } = world();
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    await take(chat("5"), chat("5", { company: "globex" }));
    clock.advance(2 * HOUR);
    await round(reporter);
    await round(reporter);
    expect(reporter.questions).toEqual({ lists: 1, finds: 1 });
    // Nothing was sent to the first account, so another one may still be chosen.
    const idle = world();
    await idle.round(reporter);
    const live = recordingReporter({ account: "acct_recording/live", customers: { globex: "cus_9" } });
    await idle.take(chat("5"), chat("5", { company: "globex" }));
    idle.clock.advance(2 * HOUR);
    await idle.round(live);
    expect(live.records.map(({ customer }) => customer)).toEqual(["cus_9"]);
    expect(await idle.store.customerMappings(["acme"])).toMatchObject([{ state: "missing" }]);
    expect(await store.customerMappings(["globex"])).toMatchObject([{ state: "missing", misses: 1 }]);
  });

  it("asks for a missing company less and less often, up to once a day", async () => {
    const { take, clock, round } = world();
    const reporter = recordingReporter();
    await take(chat("5"));
    clock.advance(2 * HOUR);
    await round(reporter);
    const gaps: number[] = [];
    let asked = clock.now();
    for (let finds = reporter.questions.finds; finds < 14;) {
      clock.advance(MINUTE);
      await round(reporter);
      if (reporter.questions.finds === finds) continue;
      finds = reporter.questions.finds;
      gaps.push((clock.now() - asked) / MINUTE);
      asked = clock.now();
    }
    expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_440, 1_440]);
  });

  it("asks for those unasked the longest first, so that nobody is left out", async () => {
    const { store, take, clock, round } = world();
    const companies = Array.from({ length: limits.customerQuestionsMax + 20 }, (_, at) => `company-${at}`);
    await take(...companies.map((company) => chat("1", { company })));
    clock.advance(2 * HOUR);
    const reporter = recordingReporter();
    await round(reporter);
    expect(reporter.questions.finds).toBe(limits.customerQuestionsMax);
    expect(await store.customerMappings()).toHaveLength(limits.customerQuestionsMax);
    clock.advance(limits.missingCustomerMs);
    await round(reporter);
    const misses = (await store.customerMappings()).map((mapping) => mapping.misses);
    expect([misses.length, misses.filter((count) => count === 1).length]).toEqual([companies.length, 40]);
  });

  it("makes a customer, or tells of its absence, when it is asked to", async () => {
    const create = world({ settings: { ...hourly, unmatchedCustomer: "create" } });
    await create.take(chat("5"));
    create.clock.advance(2 * HOUR);
    const reporter = {
      ...recordingReporter(),
      createCustomer: async (company: string) => ({ kind: "mapped", customer: `cus_${company}` }) as const,
    };
    expect(await create.round(reporter)).toMatchObject({ accepted: 1, held: 0 });
    const told = world({ settings: { ...hourly, unmatchedCustomer: "error" } });
    await told.take(chat("5"));
    told.clock.advance(2 * HOUR);
    expect(await told.round(recordingReporter())).toMatchObject({ accepted: 0, held: 1 });
    expect(told.notices).toMatchObject([{ code: "METER_CUSTOMER_UNMATCHED", text: expect.stringContaining("acme") }]);
  });
});
