import * as fc from "fast-check";
import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import type { Decimal } from "../../../src/core/decimal.ts";
import type { BilledPeriod, OutboxRow, Store } from "../../../src/engine/ports.ts";
import { planReport } from "../../../src/engine/delivery/report.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import {
  calls,
  catalogOf,
  chat,
  DAY,
  decimal,
  HOUR,
  hourly,
  MINUTE,
  START,
  tokens,
  world,
  type World,
} from "../world.ts";

/** 17 seconds into a minute, in the middle of a bucket of usage. */
const CUT = START + 32 * MINUTE + 17_000;

const HALF = START + 30 * MINUTE;

/** Two periods of one lane that meet at an instant. */
function periodsAround(at: number, customer = "cus_1"): readonly BilledPeriod[] {
  const reportAs = "chat_tokens";
  return [
    { customer, reportAs, from: at - 30 * DAY, to: at, renews: true },
    { customer, reportAs, from: at, to: at + 30 * DAY, renews: true },
  ];
}

const shown = (rows: readonly OutboxRow[]): unknown[] =>
  rows.map(({ sequence, value, timestamp, state }) => [sequence, formatDecimal(value), timestamp - START, state]);

const sumOf = (rows: readonly OutboxRow[]): Decimal => rows.reduce((sum, { raw }) => sum + raw, 0n);

onBothStores("a window in which a billing period ends", (make) => {
  async function cutWorld(
    cut = CUT,
  ): Promise<World & { reporter: RecordingReporter; rows: () => Promise<readonly OutboxRow[]> }> {
    const base = world({ store: await make() });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods(periodsAround(cut));
    return { ...base, reporter, rows: () => base.store.outbox({ limit: 99 }) };
  }

  it("becomes two reports, each with the usage and a time stamp of its own part", async () => {
    const { store, catalog, clock, take, round, reporter, rows, options } = await cutWorld();
    await take(
      chat("5", { time: START + 10 * MINUTE }),
      chat("1", { time: CUT - 1 }),
      chat("2", { time: CUT }),
      chat("70", { time: START + 59 * MINUTE }),
    );
    clock.set(START + HOUR + 5 * MINUTE);
    const plan = await planReport(options(reporter));
    expect(await round(reporter)).toMatchObject({ closed: 2, accepted: 2 });
    expect(plan.records).toEqual(reporter.calls.map(({ record }) => record));
    expect(shown(await rows())).toEqual([
      [0, "6", 0, "accepted"],
      [1, "72", 33 * MINUTE, "accepted"],
    ]);
    expect(reporter.records.every(({ windowStart, windowEnd }) => windowEnd - windowStart === HOUR)).toBe(true);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "78", due: "0" } },
    });
  });

  it("takes late usage into the part that it belongs to, in a minute of its own", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await cutWorld();
    await take(chat("5", { time: START }), chat("7", { time: CUT }));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    await take(chat("1", { time: CUT + 1 }));
    await round(reporter);
    await take(chat("2", { time: START + 1 }), chat("3", { time: START + 59 * MINUTE }));
    await round(reporter);
    expect(shown(await rows())).toEqual([
      [0, "5", 0, "accepted"],
      [1, "7", 33 * MINUTE, "accepted"],
      [2, "1", 34 * MINUTE, "accepted"],
      [3, "2", MINUTE, "accepted"],
      [4, "3", 35 * MINUTE, "accepted"],
    ]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("closes the part that ended while the window is still open and filling, well before the invoice is final", async () => {
    const cut = START + MINUTE + 30_000;
    const { store, catalog, clock, take, round, reporter, rows } = await cutWorld(cut);
    await take(chat("5", { time: START + 10_000 }), chat("7", { time: cut + 1 }));
    clock.set(cut + 5 * MINUTE - 1);
    expect(await round(reporter)).toMatchObject({ closed: 0 });
    clock.set(cut + 5 * MINUTE);
    expect(await round(reporter)).toMatchObject({ closed: 1, accepted: 1 });
    expect(shown(await rows())).toEqual([[0, "5", 0, "accepted"]]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "5", due: "7" } },
    });
    await take(chat("1", { time: START + 20_000 }), chat("2", { time: clock.now() }));
    expect(await round(reporter)).toMatchObject({ closed: 1 });
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    expect(shown(await rows())).toEqual([
      [0, "5", 0, "accepted"],
      [1, "1", 0, "accepted"],
      [2, "9", 2 * MINUTE, "accepted"],
    ]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "15", due: "0" } },
    });
  });

  it("closes the windows of a period's last hour after a shorter wait than others", async () => {
    const patient = { ...hourly, report: { ...hourly.report, latenessMs: 50 * MINUTE } };
    const { clock, take, round } = world({ store: await make(), settings: patient });
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    reporter.setPeriods([...periodsAround(START + HOUR), ...periodsAround(START + 9 * HOUR, "cus_2")]);
    // Windows begin to be closed at all.
    await round(reporter);
    await take(chat("5"), chat("7", { company: "globex" }));
    clock.set(START + HOUR + 15 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect(reporter.calls.map(({ record }) => record.customer)).toEqual(["cus_1"]);
    clock.set(START + HOUR + 50 * MINUTE);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
  });

  it("is cut by what is archived as by what is not: an archived bucket lies where it begins", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await cutWorld();
    const unreported = catalogOf({ ...tokens, report: false });
    await take(chat("5", { time: START }), chat("7", { time: START + 50 * MINUTE }));
    clock.set(START + 3 * DAY);
    await round(reporter, { catalog: unreported });
    const settings = {
      storage: { path: "", durability: "process", keepEventsMs: DAY },
      billing: { stripe: null },
    } as const;
    expect(await purgeExpired(store, unreported, settings, clock.now())).toBe(2);
    await take(chat("1", { time: CUT - 1 }), chat("2", { time: CUT }));
    await round(reporter);
    expect(sumOf(await rows())).toBe(decimal("3"));
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("is left as it is when its parts do not add up to it, since it changed while it was read", async () => {
    const { store, clock, take, round, reporter, rows } = await cutWorld();
    await take(chat("5", { time: CUT - 1 }), chat("7", { time: CUT }));
    clock.set(START + HOUR + 5 * MINUTE);
    const torn: Store = { ...store, events: async (query) => (await store.events(query)).slice(1) };
    expect(await round(reporter, { store: torn })).toMatchObject({ closed: 0 });
    expect(await rows()).toEqual([]);
    expect(await round(reporter)).toMatchObject({ closed: 2, accepted: 2 });
  });

  it("does not keep other windows waiting while it cannot be closed", async () => {
    const { store, clock, take, round, reporter } = await cutWorld();
    await take(
      chat("5", { time: CUT - 1 }),
      ...Array.from({ length: 9 }, (_, hour) => chat("1", { time: START + (hour + 1) * HOUR })),
    );
    clock.set(START + 11 * HOUR);
    const torn: Store = { ...store, events: async () => [] };
    expect(await round(reporter, { store: torn })).toMatchObject({ closed: 9, accepted: 9 });
  });

  it("never bills again what was reported before the boundary was known", async () => {
    const { store, catalog, clock, take, round, reporter, rows } = await cutWorld();
    reporter.setPeriods([]);
    await take(chat("5", { time: START }), chat("7", { time: CUT }));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    expect(shown(await rows())).toEqual([[0, "12", 0, "accepted"]]);
    // Subscriptions are told once an hour: now it is known, and the first part's invoice is final.
    reporter.setPeriods(periodsAround(CUT));
    await take(chat("1", { time: CUT + 1 }));
    clock.set(START + 3 * HOUR);
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("13");
    await take(chat("9", { time: CUT + 2 }));
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("22");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("has as many parts as there are periods", async () => {
    const { clock, take, round, reporter, rows } = await cutWorld();
    reporter.setPeriods([
      { customer: "cus_1", reportAs: "chat_tokens", from: HALF + 10_000, to: HALF + 20_000, renews: false },
      { customer: "cus_1", reportAs: "chat_tokens", from: START + 40 * MINUTE, to: START + 9 * HOUR, renews: true },
    ]);
    await take(...[START, HALF + 15_000, HALF + 25_000, HALF + 20 * MINUTE].map((time) => chat("1", { time })));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    // A part of under a minute shares: its time stamp is no whole minute, so it is never read back.
    expect(shown(await rows())).toEqual([
      [0, "1", 0, "accepted"],
      [1, "1", 30 * MINUTE + 10_000, "accepted"],
      [2, "1", 31 * MINUTE, "accepted"],
      [3, "1", 40 * MINUTE, "accepted"],
    ]);
  });
});

onBothStores("any usage around any boundaries", (make) => {
  it("comes to its own period, whole, whatever arrives when", async () => {
    const store = fc.record({
      cuts: fc.array(fc.integer({ min: 0, max: 2 * HOUR }), { minLength: 1, maxLength: 3 }),
      steps: fc.array(
        fc.record({
          at: fc.integer({ min: 0, max: 2 * HOUR - 1 }),
          value: fc.integer({ min: -50, max: 99 }),
          minutes: fc.constantFrom(0, 0, 7, 31, 66),
        }),
        { minLength: 3, maxLength: 14 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(store, async ({ cuts, steps }) => {
        const whole = { ...hourly, report: { ...hourly.report, graceMs: 90 * DAY } };
        const {
          store: own,
          catalog,
          clock,
          take,
          round,
        } = world({
          store: await make(),
          catalog: catalogOf(tokens, calls),
          settings: whole,
        });
        const reporter = recordingReporter({ customers: { acme: "cus_1" } });
        const edges = [
          START - DAY,
          ...[...new Set(cuts)].toSorted((a, b) => a - b).map((cut) => START + cut),
          START + 9 * DAY,
        ];
        const spans = edges.slice(1).map((to, at) => ({ from: edges[at] ?? 0, to }));
        const lanes = ["chat_tokens", "calls"].map((reportAs) => ({ customer: "cus_1", reportAs }));
        reporter.setPeriods(spans.flatMap((span) => lanes.map((lane) => ({ ...lane, ...span, renews: true }))));
        for (const { at, value, minutes } of steps) {
          await take(chat(String(value), { time: START + at }));
          clock.advance(minutes * MINUTE);
          await round(reporter);
        }
        clock.set(START + 4 * HOUR);
        await round(reporter);
        for (const { from, to } of spans) {
          const inside = steps.filter(({ at }) => START + at >= from && START + at < to);
          const sent = (reportAs: string): Decimal =>
            reporter.records
              .filter((record) => record.reportAs === reportAs && record.timestamp >= from && record.timestamp < to)
              .reduce((sum, record) => sum + record.value, 0n);
          expect([sent("chat_tokens"), sent("calls")]).toEqual([
            decimal(String(inside.reduce((sum, { value }) => sum + value, 0))),
            decimal(String(inside.length)),
          ]);
        }
        expect((await verify(own, catalog)).differences).toEqual([]);
      }),
      { numRuns: 30, seed: 11 },
    );
  }, 120_000);
});
