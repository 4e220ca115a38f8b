import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { SHADOW, type OutboxRow } from "../../../src/engine/ports.ts";
import { planReport, type ReportOptions, type ReportSummary } from "../../../src/engine/delivery/report.ts";
import { openShadow } from "../../../src/engine/outbox/shadow.ts";
import { readStatus } from "../../../src/engine/books/status.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, HOUR, hourly, MINUTE, START, world, type World } from "../world.ts";

type ShadowWorld = World & {
  readonly reporter: RecordingReporter;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  readonly inShadow: () => Promise<ReportSummary>;
  readonly forReal: () => Promise<ReportSummary>;
};

const settings = (shadow: boolean): Partial<ReportOptions> => ({ settings: { ...hourly, shadow } });

onBothStores("shadow mode", (make) => {
  async function shadowWorld(): Promise<ShadowWorld> {
    const base = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    return {
      ...base,
      reporter,
      rows: () => base.store.outbox({ limit: 99 }),
      inShadow: () => base.round(reporter, settings(true)),
      forReal: () => base.round(reporter, settings(false)),
    };
  }

  it("does everything but the call, and says so", async () => {
    const { store, catalog, clock, take, reporter, inShadow, rows, options } = await shadowWorld();
    await take(chat("5.5"), chat("7", { time: START + HOUR }), chat("9", { company: "globex" }));
    clock.set(START + 2 * HOUR + 5 * MINUTE);
    const plan = await planReport({ ...options(reporter), settings: { ...hourly, shadow: true } });
    expect(await inShadow()).toMatchObject({ closed: 3, accepted: 2, held: 1, shadow: true });
    expect(reporter.calls).toEqual([]);
    const sent = (await rows()).filter(({ state }) => state === "accepted");
    expect(sent).toMatchObject([
      { reason: SHADOW, attempts: 0, customer: "cus_1" },
      { reason: SHADOW, attempts: 0, customer: "cus_1" },
    ]);
    expect(sent.map(({ identifier }) => identifier)).toEqual(plan.records.map(({ identifier }) => identifier));
    expect(sent.map(({ value }) => formatDecimal(value))).toEqual(["5", "7"]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "12.5", shadow: "12.5" } },
    });
    expect(await readStatus(store, { backlogBytes: 0, now: clock.now() })).toMatchObject({ shadow: true });
    expect(await store.reportedLanes({ from: 0, to: clock.now() })).toEqual([]);
  });

  it("ends with the window that runs: reporting goes on with the next, and the past stays shadow", async () => {
    const { store, catalog, clock, take, reporter, inShadow, forReal, rows } = await shadowWorld();
    await take(chat("5"), chat("9", { company: "globex" }));
    clock.set(START + HOUR + 5 * MINUTE);
    await inShadow();
    await take(chat("6", { time: START + HOUR }));
    clock.set(START + HOUR + 30 * MINUTE);
    // Switched off in the middle of the second hour.
    expect(await forReal()).toMatchObject({ shadow: false });
    expect(await readStatus(store, { backlogBytes: 0, now: clock.now() })).toMatchObject({ shadow: false });
    await take(chat("7", { time: START + 2 * HOUR }), chat("1", { time: START + 1 }));
    reporter.addCustomer("globex", "cus_2");
    clock.set(START + 3 * HOUR + 5 * MINUTE);
    await forReal();
    expect(reporter.records.map(({ value, windowStart }) => [formatDecimal(value), windowStart - START])).toEqual([
      ["7", 2 * HOUR],
    ]);
    expect((await rows()).filter(({ reason }) => reason === SHADOW)).toHaveLength(4);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "28", due: "0" } },
    });
  });

  it("switched on later, leaves what was really sent as it is, and undecided reports undecided", async () => {
    const { store, clock, take, reporter, inShadow, forReal, rows } = await shadowWorld();
    await take(chat("5"));
    clock.set(START + HOUR + 5 * MINUTE);
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await forReal();
    clock.advance(5 * MINUTE);
    await take(chat("2", { time: START + 1 }), chat("7", { time: START + HOUR }));
    expect(await inShadow()).toMatchObject({ accepted: 0, waiting: 1 });
    clock.set(START + 2 * HOUR + 5 * MINUTE);
    expect(await inShadow()).toMatchObject({ accepted: 0 });
    clock.advance(HOUR);
    await inShadow();
    expect(reporter.calls).toHaveLength(1);
    expect((await rows()).map(({ state, reason }) => [state, reason === SHADOW])).toEqual([
      ["pending", false],
      ["pending", false],
      ["pending", false],
    ]);
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(HOUR);
      await forReal();
    }
    expect(reporter.total("chat_tokens", "cus_1")).toBe("7");
    expect((await store.counts()).outbox).toMatchObject({ accepted: 3, pending: 0 });
    expect((await rows()).map(({ reason }) => reason)).toEqual([null, null, SHADOW]);
  });

  it("never covers a report that was really tried, whatever its window", async () => {
    const { store, clock } = await shadowWorld();
    const shadow = await openShadow(store, { isOn: true, windowMs: HOUR }, clock.now());
    const row = { windowStart: clock.now(), firstAttemptAt: null };
    expect([row, { ...row, firstAttemptAt: clock.now() }].map((each) => shadow.covers(each))).toEqual([true, false]);
  });

  it("adds up totals of its own where the biller keeps the last report, and real ones go on without them", async () => {
    const { clock, take, reporter, inShadow, forReal, rows } = await shadowWorld();
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "day" });
    await take(chat("5"), chat("7", { time: START + HOUR }), chat("9", { time: START + 3 * HOUR }));
    clock.set(START + 2 * HOUR + 5 * MINUTE);
    await inShadow();
    await inShadow();
    clock.set(START + 4 * HOUR + 5 * MINUTE);
    // Switched off in the fourth hour's successor: three is the last window that was in shadow at all.
    await inShadow();
    await take(chat("4", { time: START + 5 * HOUR }));
    clock.set(START + 6 * HOUR + 5 * MINUTE);
    await forReal();
    clock.set(START + 7 * HOUR + 5 * MINUTE);
    await take(chat("3", { time: START + 7 * HOUR }));
    clock.set(START + 8 * HOUR + 5 * MINUTE);
    await forReal();
    expect((await rows()).map(({ reported, reason }) => [formatDecimal(reported), reason])).toEqual([
      ["5", SHADOW],
      ["12", SHADOW],
      ["21", SHADOW],
      ["25", SHADOW],
      ["3", null],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("3");
  });
});
