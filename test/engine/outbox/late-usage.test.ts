import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import type { LatePolicy, MeterDefinition } from "../../../src/core/meter.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, OutboxRow } from "../../../src/engine/ports.ts";
import { planReport } from "../../../src/engine/delivery/report.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world, type World } from "../world.ts";

/** The period ends with the first hour; its invoice is final an hour later. */
const END = START + HOUR;
const ENDED: BilledPeriod = { customer: "cus_1", reportAs: "chat_tokens", from: END - 30 * DAY, to: END, renews: true };
const PRESENT: BilledPeriod = { ...ENDED, from: END, to: END + 30 * DAY };
const PERIODS = [ENDED, PRESENT];
/** From here on a correction would come too late. */
const FINAL = END + HOUR - limits.finalSafetyMs;

function tokensWith(late: LatePolicy): MeterDefinition {
  return { ...tokens, late };
}

onBothStores("usage that comes after its invoice is final", (make) => {
  /** One report of the ended period is at the biller, and five more tokens of it come late. */
  async function lateWorld(
    policy: LatePolicy | null,
    at = FINAL + 1,
  ): Promise<World & { reporter: RecordingReporter; rows: () => Promise<readonly OutboxRow[]> }> {
    const catalog = catalogOf(policy === null ? tokens : tokensWith(policy));
    const base = world({ store: await make(), catalog });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods(PERIODS);
    await base.take(chat("10"));
    base.clock.set(END + 5 * MINUTE);
    await base.round(reporter);
    base.clock.set(at);
    await base.take(chat("5", { time: START + MINUTE }));
    return { ...base, reporter, rows: () => base.store.outbox({ limit: 99 }) };
  }

  it("is a correction of its own window until the last safe moment", async () => {
    const { round, reporter, rows } = await lateWorld("carry", FINAL);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect((await rows())[1]).toMatchObject({ sequence: 1, timestamp: START + MINUTE, late: null, state: "accepted" });
  });

  it.each([null, "hold"] as const)("is held and shown, by %s", async (policy) => {
    const { store, catalog, clock, round, reporter, rows } = await lateWorld(policy);
    expect(await round(reporter)).toMatchObject({ accepted: 0, held: 1 });
    expect((await rows())[1]).toMatchObject({ state: "held", reason: "late_usage", late: "hold", customer: null });
    clock.advance(DAY);
    expect(await round(reporter)).toMatchObject({ released: 0, closed: 0 });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("10");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { held: "5", reported: "10" } },
    });
  });

  it("is written off where that is wanted, and nobody is billed for it later", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await lateWorld("write_off");
    expect(await round(reporter)).toMatchObject({ accepted: 0, held: 0 });
    expect((await rows())[1]).toMatchObject({ state: "dead", reason: "written_off", late: "write_off" });
    await take(chat("2", { time: END }));
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("12");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { refused: "5", reported: "12" } },
    });
  });

  it("is carried into the period that runs, in a minute that no other report has, and says so", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await lateWorld("carry");
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    const [, carried] = await rows();
    expect(carried).toMatchObject({ late: "carry", state: "accepted", windowStart: START, sequence: 1 });
    expect(carried?.timestamp).toBe(Math.floor(FINAL / MINUTE) * MINUTE);
    await take(chat("3", { time: START + 2 * MINUTE }));
    await round(reporter);
    const stamps = (await rows()).map(({ timestamp }) => timestamp);
    expect(stamps[2]).toBe(FINAL - MINUTE);
    // The windows of the present go on beside it, each in a minute of its own.
    await take(...[0, 20, 50].map((minute) => chat("1", { time: END + minute * MINUTE })));
    clock.advance(2 * HOUR);
    await round(reporter);
    const all = (await rows()).map(({ timestamp }) => timestamp);
    expect(new Set(all).size).toBe(all.length);
    expect(all.every((timestamp) => timestamp <= clock.now())).toBe(true);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("21");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("is never carried before the period that runs, nor into the future, though that began this minute", async () => {
    const { clock, take, round, reporter, rows } = await lateWorld("carry");
    clock.advance(HOUR);
    const begins = clock.now() - 20_000;
    reporter.setPeriods([ENDED, { ...PRESENT, to: begins }, { ...PRESENT, from: begins, to: begins + 30 * DAY }]);
    await take(chat("1", { time: START + 3 * MINUTE }));
    await round(reporter);
    const carried = (await rows()).filter(({ late }) => late === "carry");
    expect(carried.length).toBeGreaterThan(0);
    for (const { timestamp } of carried) {
      expect(timestamp).toBeGreaterThanOrEqual(begins);
      expect(timestamp).toBeLessThanOrEqual(clock.now());
    }
  });

  it("is held where no period runs that could bill it", async () => {
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([{ ...ENDED, renews: false }]);
    const ended = world({ store: await make(), catalog: catalogOf(tokensWith("carry")) });
    await ended.take(chat("5"));
    ended.clock.set(END + 3 * HOUR);
    expect(await ended.round(reporter)).toMatchObject({ held: 1 });
    expect(await ended.store.outbox({ limit: 9 })).toMatchObject([{ state: "held", reason: "late_usage" }]);
  });

  it("is judged when its customer appears, not when it was closed", async () => {
    const { store, clock, take, round } = world({ store: await make(), catalog: catalogOf(tokensWith("write_off")) });
    const reporter = recordingReporter();
    await take(chat("5"), chat("7", { time: END }));
    clock.set(END + HOUR + 5 * MINUTE);
    expect(await round(reporter)).toMatchObject({ held: 2 });
    reporter.addCustomer("acme", "cus_1");
    reporter.setPeriods(PERIODS);
    clock.advance(HOUR);
    expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1 });
    expect(await store.outbox({ limit: 9 })).toMatchObject([
      { state: "dead", reason: "written_off" },
      { state: "accepted", timestamp: END },
    ]);
  });

  it("is not sent though it was closed in time, when an outage lasted over the invoice", async () => {
    const { store, catalog, clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods(PERIODS);
    await take(chat("5"));
    clock.set(END + 5 * MINUTE);
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await round(reporter);
    clock.set(FINAL + 1);
    expect(await round(reporter)).toMatchObject({ waiting: 1, accepted: 0 });
    expect(reporter.calls).toHaveLength(1);
    expect(await store.outbox({ limit: 9 })).toMatchObject([
      { state: "held", reason: expect.stringContaining("final before it was sent") },
    ]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { held: "5" } } });
  });

  it.each([
    [true, "accepted", "read_back"],
    [false, "conflict", "late_usage"],
  ])(
    "is read back when it was tried in time (counted: %s), since sent again now it would be on no invoice",
    async (counts, state, reason) => {
      const { store, clock, take, round } = world({ store: await make() });
      const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
      reporter.setPeriods(PERIODS);
      await take(chat("5"));
      clock.set(END + 5 * MINUTE);
      reporter.answerNext({ counts, answer: UNKNOWN });
      await round(reporter);
      clock.set(FINAL + 1);
      await round(reporter);
      await take(chat("1", { company: "globex", time: clock.now() - 2 * HOUR }), chat("9", { time: END }));
      clock.advance(15 * MINUTE);
      // What comes after it need not wait for the books.
      expect(await round(reporter)).toMatchObject({ closed: 2, accepted: 2 });
      for (let tries = 0; tries < 8; tries++) {
        clock.advance(HOUR);
        await round(reporter);
      }
      expect(await store.outbox({ company: "acme", limit: 9 })).toMatchObject([
        { state, reason: expect.stringContaining(reason), attempts: 1 },
        { state: "accepted", attempts: 1 },
      ]);
    },
  );

  it("that is older than 34 days is carried, too, where that is wanted, also from a company without a customer so far", async () => {
    const { store, catalog, clock, take, round } = world({
      store: await make(),
      catalog: catalogOf(tokensWith("carry")),
    });
    const reporter = recordingReporter();
    await take(chat("5"), chat("7", { company: "globex" }));
    clock.set(START + limits.reportAgeMaxMs + DAY);
    expect(await round(reporter)).toMatchObject({ held: 2 });
    expect((await store.outbox({ limit: 9 })).map(({ reason }) => reason)).toEqual(["no_customer", "no_customer"]);
    reporter.addCustomer("acme", "cus_1");
    clock.advance(HOUR);
    expect(await round(reporter)).toMatchObject({ released: 1, accepted: 1, held: 1 });
    expect(reporter.records.map(({ value }) => formatDecimal(value))).toEqual(["5"]);
    expect(clock.now() - (reporter.records[0]?.timestamp ?? 0)).toBeLessThan(HOUR);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("that is older than 34 days is written off, or held as too old, by the meter's policy", async () => {
    for (const [policy, expected] of [
      ["write_off", { state: "dead", reason: "written_off" }],
      ["hold", { state: "held", reason: "too_old" }],
    ] as const) {
      const { store, clock, take, round } = world({ store: await make(), catalog: catalogOf(tokensWith(policy)) });
      const reporter = recordingReporter();
      await take(chat("5"));
      clock.set(END + 2 * HOUR);
      expect(await round(reporter)).toMatchObject({ held: 1 });
      clock.set(START + limits.reportAgeMaxMs + 2 * HOUR);
      await round(reporter);
      expect(await store.outbox({ limit: 9 })).toMatchObject([expected]);
      await take(chat("1"));
      await round(reporter);
      expect(await store.outbox({ limit: 9 })).toMatchObject([expected, { ...expected, late: policy }]);
      expect(reporter.questions.finds).toBeLessThanOrEqual(1);
    }
  });

  it("is told of forty minutes after its period's end, once, also while the biller cannot be reached", async () => {
    const { clock, take, round, notices } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods(PERIODS);
    await take(chat("1", { time: START - HOUR }), chat("5"));
    clock.set(START + 5 * MINUTE);
    await round(reporter);
    reporter.fail("METER_STRIPE_UNREACHABLE");
    for (const minutes of [5, 39, 40, 41, 50]) {
      clock.set(END + minutes * MINUTE);
      await round(reporter);
      expect(notices.filter(({ code }) => code === "METER_REPORT_LATE")).toHaveLength(minutes < 40 ? 0 : 1);
    }
    expect(notices.find(({ code }) => code === "METER_REPORT_LATE")?.text).toContain("chat_tokens of cus_1");
  });

  it("belongs to a period that was never told when the ones around it were: that ended, too", async () => {
    const { store, clock, take, round } = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const lane = { customer: "cus_1", reportAs: "chat_tokens", renews: true };
    reporter.setPeriods([
      { ...lane, from: START - 9 * DAY, to: START - DAY },
      { ...lane, from: START + DAY, to: START + 9 * DAY },
    ]);
    await take(chat("5"));
    clock.set(START + 2 * DAY);
    await round(reporter);
    expect(await store.outbox({ limit: 9 })).toMatchObject([{ state: "held", reason: "late_usage" }]);
  });

  /** Closed in time, and then nothing could be sent until its invoice was final. */
  async function unsentWorld(
    policy: LatePolicy,
  ): Promise<World & { reporter: RecordingReporter; rows: () => Promise<readonly OutboxRow[]> }> {
    const base = world({ store: await make(), catalog: catalogOf(tokensWith(policy)) });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods(PERIODS);
    await base.take(chat("10"));
    base.clock.set(END + 5 * MINUTE);
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "the key is refused" } });
    await base.round(reporter);
    base.clock.set(END + 3 * HOUR);
    // What was addressed is taken back, and the next round gives it its new place.
    await base.round(reporter);
    await base.round(reporter);
    return { ...base, reporter, rows: () => base.store.outbox({ limit: 99 }) };
  }

  it("follows its meter's policy too when it was closed in time but could not be sent: carried", async () => {
    const { store, catalog, reporter, rows } = await unsentWorld("carry");
    const [row] = await rows();
    expect(row).toMatchObject({ state: "accepted", late: "carry" });
    expect(row?.timestamp).toBeGreaterThanOrEqual(PRESENT.from);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("10");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("follows its meter's policy too when it was closed in time but could not be sent: held", async () => {
    const held = await unsentWorld("hold");
    expect(await held.rows()).toMatchObject([{ state: "held", reason: "late_usage" }]);
    const plan = await planReport(held.options(held.reporter));
    expect(plan).toMatchObject({ records: [], held: [{ reason: "late_usage" }] });
    expect(await verify(held.store, held.catalog)).toMatchObject({ ok: true });
  });

  it("is written off when it could not be sent in time and its meter says so", async () => {
    const { store, catalog, reporter, rows } = await unsentWorld("write_off");
    expect(await rows()).toMatchObject([{ state: "dead", reason: "written_off" }]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("0");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });
});
