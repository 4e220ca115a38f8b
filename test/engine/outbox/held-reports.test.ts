import { describe, expect, it } from "vitest";

import type { LatePolicy } from "../../../src/core/meter.ts";
import { limits } from "../../../src/engine/limits.ts";
import { reconsider } from "../../../src/engine/outbox/held-reports.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import type { BilledPeriod, OutboxRow, Store } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world } from "../world.ts";
import { closingOf } from "./closing-world.ts";
import { heldWorld, hours, mapped, release, without } from "./held-world.ts";

describe("held rows", () => {
  it("get their customer and an identifier once there is one, and the store is bound to the account", async () => {
    const base = await heldWorld([{}, { company: "initech" }]);
    expect(await base.store.getNote("report.account")).toBeNull();
    expect(await release(base, mapped())).toEqual({ released: 1, held: 1 });
    const rows = await base.rows();
    expect(rows.find(({ company }) => company === "acme")).toMatchObject({
      state: "pending",
      customer: "cus_1",
      identifier: expect.stringMatching(/^mb1_/),
      timestamp: START,
      mode: "delta",
      late: null,
    });
    expect(rows.find(({ company }) => company === "initech")).toMatchObject({ state: "held", reason: "no_customer" });
    expect(await base.store.getNote("report.account")).toBe("acct_recording/test");
    expect(await base.store.getNote("report.modes")).toBe('{"chat_tokens":"none"}');
  });

  it("are all released, however many a company has", async () => {
    const base = await heldWorld(hours(limits.releaseRowsMax + 1));
    expect(await release(base, mapped())).toEqual({ released: limits.releaseRowsMax + 1, held: 0 });
    expect((await base.rows()).every(({ state }) => state === "pending")).toBe(true);
  }, 120_000);

  it("stay as they are while another node reports", async () => {
    const base = await heldWorld([{}]);
    const reporter = mapped();
    expect(await release(base, reporter, { keepLease: async () => false })).toMatchObject({ released: 0 });
    expect(await base.rows()).toMatchObject([{ state: "held", identifier: null }]);
    // However many there are: a page that nothing came of is the last one.
    const large = await heldWorld(hours(limits.releaseRowsMax));
    expect(await release(large, reporter, { keepLease: async () => false })).toMatchObject({ released: 0 });
  });

  it("are asked for longest unasked first, when there are more companies than questions", async () => {
    const companies = Array.from({ length: limits.customerQuestionsMax + 1 }, (_, at) => `company-${100 + at}`);
    const base = await heldWorld(companies.map((company) => ({ company })));
    // All were asked for while their windows were closed, but the last.
    base.clock.advance(DAY);
    const [last = ""] = companies.slice(-1);
    expect(await release(base, recordingReporter({ unlisted: { [last]: "cus_last" } }))).toEqual({
      released: 1,
      held: companies.length - 1,
    });
  });

  it("are counted while they wait, and say the newest reason why, which is written once", async () => {
    const base = await heldWorld([{}, { time: START + HOUR }, { company: "globex" }]);
    const nobody = recordingReporter();
    expect(await release({ ...base, store: without(base.store, "hold") }, nobody)).toEqual({ released: 0, held: 3 });
    nobody.setMeter("chat_tokens", { kind: "missing", reason: "none is called so" });
    expect(await release(base, nobody)).toEqual({ released: 0, held: 3 });
    expect(new Set((await base.rows()).map(({ reason }) => reason))).toEqual(new Set(["stripe_meter_missing"]));
    expect(await release({ ...base, store: without(base.store, "hold") }, nobody)).toEqual({ released: 0, held: 3 });
    // No customer is asked for while the meter is not there.
    const asked = nobody.questions.finds;
    base.clock.advance(DAY);
    await release(base, nobody);
    expect(nobody.questions.finds).toBe(asked);
    nobody.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
    await release(base, nobody);
    expect(nobody.questions.finds).toBe(asked + 2);
  });

  it("go one by one where the biller keeps one total an hour: the others wait, and are counted as held", async () => {
    const base = await heldWorld([{}, { company: "acme-2" }, { time: START + HOUR }]);
    const reporter = mapped({ acme: "cus_1", "acme-2": "cus_1" });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
    expect(await release(base, reporter)).toEqual({ released: 2, held: 1 });
    const waiting = (await base.rows()).filter(({ state }) => state === "held");
    expect(waiting).toMatchObject([{ company: "acme-2", windowStart: START }]);
    expect((await base.rows()).filter(({ mode }) => mode === "set")).toHaveLength(2);
    expect(await base.store.getNote("report.modes")).toBe('{"chat_tokens":"hour"}');
  });
});

describe("held rows whose invoice is final by now", () => {
  const PERIOD: BilledPeriod = {
    customer: "cus_1",
    reportAs: "chat_tokens",
    from: START - 60 * DAY,
    to: START + HOUR,
    renews: true,
  };
  const PRESENT: BilledPeriod = { ...PERIOD, from: PERIOD.to, to: PERIOD.to + 30 * DAY };

  function billed(): RecordingReporter {
    const reporter = mapped();
    reporter.setPeriods([PERIOD, PRESENT]);
    return reporter;
  }

  it.each<[LatePolicy | null, Partial<OutboxRow>]>([
    [null, { state: "held", reason: "late_usage" }],
    ["hold", { state: "held", reason: "late_usage" }],
    ["write_off", { state: "dead", reason: "written_off" }],
  ])(
    "end as their meter's policy %s says, however many a company has",
    async (policy, expected) => {
      const base = await heldWorld(hours(limits.releaseRowsMax + 1), policy);
      base.clock.advance(HOUR);
      const store: Store = {
        ...base.store,
        release: async (releases) => (releases.length === 0 ? 0 : Promise.reject(new Error("released"))),
      };
      expect(await release({ ...base, store }, billed())).toEqual({ released: 0, held: 0 });
      const rows = await base.rows();
      expect(rows).toHaveLength(limits.releaseRowsMax + 1);
      expect(rows.filter(({ state, reason }) => state === expected.state && reason === expected.reason)).toHaveLength(
        rows.length,
      );
    },
    120_000,
  );

  it.each(["hold", "write_off"] as const)(
    "keep none waiting that can still be sent (%s)",
    async (policy) => {
      const half = limits.releaseRowsMax / 2;
      const base = await heldWorld(hours(2 * half + 1), policy);
      const reporter = mapped();
      const to = START - half * HOUR;
      reporter.setPeriods([
        { ...PERIOD, to },
        { ...PERIOD, from: to, to: START + DAY },
      ]);
      // The first page of rows is one half of each; behind it is one more that can be sent.
      expect(await release(base, reporter)).toEqual({ released: half + 1, held: 0 });
    },
    120_000,
  );

  it("name the reporter as who wrote them off", async () => {
    const base = await heldWorld([{}], "write_off");
    base.clock.advance(HOUR);
    await release(base, billed());
    const [row] = await base.rows();
    expect((await base.store.rowHistory(row?.rowId ?? 0)).at(-1)).toMatchObject({ to: "dead", author: "reporter" });
  });

  it("are carried into the present where that is wanted, and where an operator says so", async () => {
    const wanted = await heldWorld([{}], "carry");
    wanted.clock.advance(HOUR);
    expect(await release(wanted, billed())).toEqual({ released: 1, held: 0 });
    expect(await wanted.rows()).toMatchObject([{ state: "pending", late: "carry" }]);
    const ordered = await heldWorld([{}, { time: START - HOUR }]);
    ordered.clock.advance(HOUR);
    const [first] = await ordered.rows();
    const order = { from: "held", to: "held", reason: "carry", author: "operator:ann", late: "carry" } as const;
    expect(await ordered.store.changeRow({ ...order, rowId: first?.rowId ?? 0 }, ordered.clock.now())).toBe(true);
    expect(await release(ordered, billed())).toEqual({ released: 1, held: 0 });
    expect((await ordered.rows()).find(({ rowId }) => rowId === first?.rowId)).toMatchObject({
      state: "pending",
      late: "carry",
    });
    expect((await ordered.rows()).find(({ rowId }) => rowId !== first?.rowId)).toMatchObject({
      state: "held",
      reason: "late_usage",
    });
  });
});

describe("held rows that are too old for the biller", () => {
  it("wait for no customer any more, from the moment on after which it refuses them", async () => {
    const base = await heldWorld([{}, { company: "globex", time: START + HOUR }]);
    const reporter = recordingReporter();
    base.clock.set(START + limits.reportAgeMaxMs);
    await release(base, reporter);
    expect((await base.rows()).map(({ reason }) => reason)).toEqual(["no_customer", "no_customer"]);
    base.clock.advance(1);
    expect(await release(base, reporter)).toEqual({ released: 0, held: 1 });
    expect((await base.rows()).map(({ company, reason }) => [company, reason])).toEqual([
      ["acme", "too_old"],
      ["globex", "no_customer"],
    ]);
  });

  it("are written off where that is wanted, and carried where that is", async () => {
    const written = await heldWorld([{}, { time: START + HOUR }], "write_off");
    written.clock.set(START + limits.reportAgeMaxMs + 1);
    await release(written, recordingReporter());
    expect((await written.rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ["dead", "written_off"],
      ["held", "no_customer"],
    ]);
    const carried = await heldWorld([{}], "carry");
    carried.clock.set(START + limits.reportAgeMaxMs + DAY);
    const untouched = without(without(carried.store, "hold"), "changeRow");
    await release({ ...carried, store: untouched }, recordingReporter());
    expect(await carried.rows()).toMatchObject([{ state: "held", reason: "no_customer" }]);
    carried.clock.advance(HOUR);
    expect(await release(carried, mapped())).toEqual({ released: 1, held: 0 });
  });

  it("are so by the time that they state, not by their window's beginning", async () => {
    const base = await heldWorld([{}], "write_off");
    await base.take(chat("1", { time: START + 1 }));
    const { closing, modes } = await closingOf(base, recordingReporter());
    await closeWindows(closing, modes);
    expect((await base.rows()).map(({ timestamp }) => timestamp - START)).toEqual([0, MINUTE]);
    for (const [age, states] of [
      [1, ["dead", "held"]],
      [MINUTE, ["dead", "held"]],
      [MINUTE + 1, ["dead", "dead"]],
    ] as const) {
      base.clock.set(START + limits.reportAgeMaxMs + age);
      await release(base, recordingReporter());
      expect((await base.rows()).map(({ state }) => state)).toEqual(states);
    }
  });

  it("go each by its own meter's policy, and leave the younger ones alone", async () => {
    const catalog = catalogOf({ ...tokens, late: "carry" }, { ...calls, late: "hold" });
    const base = world({ catalog });
    await base.take(chat("5"), chat("5", { company: "globex", time: START + HOUR }));
    base.clock.set(START + 3 * HOUR);
    const { closing, modes } = await closingOf(base, recordingReporter());
    await closeWindows(closing, modes);
    base.clock.set(START + limits.reportAgeMaxMs + 1);
    expect(await release(base, recordingReporter())).toEqual({ released: 0, held: 3 });
    const rows = await base.store.outbox({ limit: 99 });
    expect(new Set(rows.map(({ company, meter, reason }) => `${company} ${meter} ${reason}`))).toEqual(
      new Set([
        "acme calls too_old",
        "acme chat_tokens no_customer",
        "globex calls no_customer",
        "globex chat_tokens no_customer",
      ]),
    );
  });
});

describe("a dry run", () => {
  it("shows every held row with the place that it would get, oldest first, and writes nothing", async () => {
    const base = await heldWorld([{ time: START + HOUR }, { time: START - 40 * DAY }, {}, { company: "initech" }]);
    await base.take(chat("1", { time: START + 1 }));
    const { closing, modes } = await closingOf(base, recordingReporter());
    await closeWindows(closing, modes);
    base.clock.advance(HOUR);
    const before = await base.rows();
    const writeless = without(without(without(base.store, "hold"), "release"), "changeRow");
    const { closing: dry } = await closingOf({ ...base, store: writeless }, mapped());
    const considered = await reconsider(dry);
    expect(
      considered.map(({ row, placement }) => [
        row.company,
        (row.windowStart - START) / HOUR,
        row.sequence,
        placement.state,
        placement.reason,
        placement.customer,
      ]),
    ).toEqual([
      ["acme", -960, 0, "held", "too_old", null],
      ["acme", 0, 0, "pending", null, "cus_1"],
      ["initech", 0, 0, "held", "no_customer", null],
      ["acme", 0, 1, "pending", null, "cus_1"],
      ["acme", 1, 0, "pending", null, "cus_1"],
    ]);
    expect(await base.rows()).toEqual(before);
  });

  it("shows what waits for another row of its hour as held as it is", async () => {
    const base = await heldWorld([{}, { company: "acme-2" }]);
    const reporter = mapped({ acme: "cus_1", "acme-2": "cus_1" });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
    const { closing } = await closingOf(base, reporter);
    const considered = await reconsider(closing);
    expect(considered.map(({ placement }) => [placement.state, placement.reason])).toEqual([
      ["pending", null],
      ["held", "no_customer"],
    ]);
    const { customer, identifier, timestamp, mode, reported, late } = considered[1]?.row ?? {};
    expect(considered[1]?.placement).toEqual({
      customer,
      identifier,
      state: "held",
      reason: "no_customer",
      timestamp,
      mode,
      reported,
      late,
    });
    expect(timestamp).toBeLessThan(START + MINUTE);
  });
});
