import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { OutboxRow } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { calls, catalogOf, chat, DAY, HOUR, hourly, MINUTE, START, tokens, world, type World } from "../world.ts";

const ACCEPTED = { kind: "accepted", requestId: null } as const;

type SetWorld = World & { readonly reporter: RecordingReporter; readonly rows: () => Promise<readonly OutboxRow[]> };

onBothStores("a meter that keeps the last report of each hour or day", (make) => {
  async function setWorld(
    keepsLast: "hour" | "day",
    options: { readonly windowMs?: number; readonly meters?: readonly MeterDefinition[] } = {},
  ): Promise<SetWorld> {
    const { windowMs = HOUR, meters = [tokens] } = options;
    const settings = { ...hourly, report: { ...hourly.report, windowMs } };
    const base = world({ store: await make(), catalog: catalogOf(...meters), settings });
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast });
    return { ...base, reporter, rows: () => base.store.outbox({ limit: 999 }) };
  }

  it("S06: is sent the new total with each correction, and an old retry never takes a newer one's place", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await setWorld("hour");
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await round(reporter);
    // The total of 25 waits until the one of 10 is decided.
    await take(chat("15", { time: START + MINUTE }));
    expect(await round(reporter)).toMatchObject({ closed: 0 });
    clock.advance(limits.retryMaxMs);
    await round(reporter);
    await round(reporter);
    expect(reporter.calls.map(({ record }) => formatDecimal(record.value))).toEqual(["10", "10", "25"]);
    expect(await rows()).toMatchObject([{ mode: "set" }, { mode: "set" }]);
    expect((await rows()).map(({ value, reported }) => [value, reported].map(formatDecimal))).toEqual([
      ["10", "10"],
      ["15", "25"],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("25");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { sent: "25" } } });
  });

  it("is sent a total of zero when that takes back what it has", async () => {
    const { clock, take, round, reporter } = await setWorld("hour");
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    await take(chat("-10", { time: START + MINUTE }));
    await round(reporter);
    expect(reporter.calls.map(({ record }) => formatDecimal(record.value))).toEqual(["10", "0"]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("0");
  });

  it("gives another total another identifier, and the same one the same", async () => {
    const { clock, take, round, reporter } = await setWorld("hour");
    for (const at of [0, 1, 2]) {
      await take(chat("5", { time: START + at }));
      clock.set(START + HOUR + 5 * MINUTE);
      await round(reporter);
    }
    expect(new Set(reporter.calls.map(({ record }) => record.identifier)).size).toBe(3);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("15");
  });

  it("adds up minute windows, other companies of the customer, and other meters of its name in the hour", async () => {
    const other = { ...calls, reportAs: "chat_tokens" };
    const { store, catalog, clock, take, round, reporter } = await setWorld("hour", {
      windowMs: MINUTE,
      meters: [tokens, other],
    });
    reporter.addCustomer("acme-2", "cus_1");
    await take(
      chat("5"),
      chat("7", { time: START + 10 * MINUTE }),
      chat("100", { company: "acme-2", time: START + 20 * MINUTE }),
      chat("1000", { time: START + HOUR }),
    );
    clock.set(START + 2 * HOUR);
    for (let rounds = 0; rounds < 12; rounds++) {
      await round(reporter);
      clock.advance(MINUTE);
    }
    expect(reporter.total("chat_tokens", "cus_1")).toBe("1116");
    const times = reporter.records.map(({ timestamp }) => timestamp);
    expect(times.every((time) => time >= START && time < START + 2 * HOUR)).toBe(true);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("never has two undecided totals of one day, however many hours wait for it", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await setWorld("day");
    const firstHours = 12;
    await take(...Array.from({ length: firstHours }, (_, hour) => chat("1", { time: START + hour * HOUR })));
    clock.set(START + 13 * HOUR);
    for (let rounds = 0; rounds < 40; rounds++) {
      if (rounds % 3 === 0) reporter.answerNext({ counts: rounds % 2 === 0, answer: UNKNOWN });
      await round(reporter);
      const undecided = (await rows()).filter(({ state }) => state === "pending" || state === "sending");
      expect(undecided.length).toBeLessThanOrEqual(1);
      clock.advance(limits.retryMaxMs);
    }
    expect((await rows()).length).toBe(firstHours);
    expect(reporter.total("chat_tokens", "cus_1")).toBe(String(firstHours));
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("is sent again blindly at any age: a total replaces itself", async () => {
    const { clock, take, round, reporter, rows } = await setWorld("hour");
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    reporter.forget();
    clock.advance(20 * DAY);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect([reporter.calls.length, reporter.readings.length]).toEqual([2, 0]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("10");
    expect(await rows()).toMatchObject([{ state: "accepted", attempts: 2 }]);
  });

  it("leaves a window unclosed while a person has to decide about the one before", async () => {
    const { store, clock, take, round, reporter, rows } = await setWorld("hour");
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    const change = {
      rowId: 1,
      from: "accepted",
      to: "conflict",
      reason: "not in the books",
      author: "reconcile",
    } as const;
    expect(await store.changeRow(change, clock.now())).toBe(true);
    await take(chat("5", { time: START + 1 }), chat("3", { time: START + HOUR }));
    clock.advance(HOUR);
    expect(await round(reporter)).toMatchObject({ closed: 1 });
    expect((await rows()).map(({ state }) => state)).toEqual(["conflict", "accepted"]);
  });

  it("adds up only the payer's own rows, also those that were held before", async () => {
    const { clock, take, round, reporter } = await setWorld("hour");
    await take(chat("5"), chat("7", { company: "late-1" }), chat("9", { company: "late-2", time: START + 1 }));
    clock.set(START + HOUR + 5 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 1, held: 2 });
    reporter.addCustomer("late-1", "cus_1");
    reporter.addCustomer("late-2", "cus_1");
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(limits.customerListEveryMs);
      await round(reporter);
    }
    expect(reporter.calls.map(({ record }) => formatDecimal(record.value))).toEqual(["5", "12", "21"]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("21");
  });

  it("keeps an hour in which a period ends in one of them, the later one, and cuts nothing", async () => {
    const { clock, take, round, reporter, rows } = await setWorld("hour");
    const cut = START + 30 * MINUTE + 10_000;
    const lane = { customer: "cus_1", reportAs: "chat_tokens", renews: true };
    reporter.setPeriods([
      { ...lane, from: cut - 9 * DAY, to: cut },
      { ...lane, from: cut, to: cut + 9 * DAY },
    ]);
    await take(chat("5"), chat("7", { time: cut + 1 }));
    clock.set(cut + 6 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 0 });
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    await take(chat("1", { time: START + 1 }));
    await round(reporter);
    expect((await rows()).map(({ timestamp }) => timestamp - START)).toEqual([31 * MINUTE, 32 * MINUTE]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("13");
  });

  it("keeps an hour in which the subscription ends before it does, so that it is billed at all", async () => {
    const { clock, take, round, reporter, rows } = await setWorld("hour");
    const cut = START + 30 * MINUTE + 10_000;
    reporter.setPeriods([{ customer: "cus_1", reportAs: "chat_tokens", from: cut - 9 * DAY, to: cut, renews: false }]);
    await take(chat("5"), chat("7", { time: cut + 1 }));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    expect((await rows()).map(({ timestamp }) => timestamp)).toEqual([START]);
  });

  it("is refused when the configuration says otherwise, with one notice, and reported once both agree", async () => {
    const wanted = { ...tokens, eventTimeWindow: "none" } as const;
    const { store, clock, take, round, reporter, rows, notices } = await setWorld("hour", { meters: [wanted] });
    await take(chat("5"), chat("7", { time: START + HOUR }));
    clock.set(START + 2 * HOUR + 5 * MINUTE);
    for (let rounds = 0; rounds < 3; rounds++) expect(await round(reporter)).toMatchObject({ accepted: 0, held: 2 });
    expect((await rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ["held", "stripe_meter_mismatch"],
      ["held", "stripe_meter_mismatch"],
    ]);
    expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_METER_MISMATCH"]);
    expect(reporter.calls).toEqual([]);
    await round(reporter, { catalog: catalogOf({ ...wanted, eventTimeWindow: "hour" }) });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("12");
    expect((await store.counts()).outbox).toMatchObject({ accepted: 2, held: 0 });
  });

  it("is refused under the name of one that added up, until the configuration says that it is meant", async () => {
    const { clock, take, round, reporter, rows, notices } = await setWorld("hour");
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
    await take(chat("5"), chat("6", { company: "globex" }));
    clock.set(START + HOUR + 5 * MINUTE);
    reporter.answerNext({ counts: true, answer: ACCEPTED });
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await round(reporter);
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
    await take(chat("7", { time: START + HOUR }));
    clock.set(START + 2 * HOUR + 5 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 0, waiting: 1 });
    // Neither the new usage nor the difference that was on its way goes there.
    expect(reporter.calls).toHaveLength(2);
    expect(notices).toMatchObject([
      { code: "METER_STRIPE_METER_MISMATCH", text: expect.stringContaining("so far as none") },
    ]);
    clock.advance(HOUR);
    const meant = { catalog: catalogOf({ ...tokens, eventTimeWindow: "hour" as const }) };
    await round(reporter, meant);
    expect((await rows()).map(({ company, mode, state }) => [company, mode, state])).toEqual([
      ["acme", "delta", "accepted"],
      ["globex", "delta", "conflict"],
      ["acme", "set", "accepted"],
    ]);
  });
});
