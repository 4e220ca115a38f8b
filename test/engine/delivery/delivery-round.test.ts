import { describe, expect, it } from "vitest";

import { MeterbookError } from "../../../src/core/errors.ts";
import { cancelReport } from "../../../src/engine/corrections/cancel.ts";
import { clockTrust } from "../../../src/engine/delivery/clock-trust.ts";
import { dailyReadings } from "../../../src/engine/delivery/daily-readings.ts";
import { recordOf, type DeliveryOptions } from "../../../src/engine/delivery/delivery.ts";
import { pace } from "../../../src/engine/delivery/pace.ts";
import { limits } from "../../../src/engine/limits.ts";
import { periodsOf } from "../../../src/engine/outbox/billing-periods.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import type { BilledPeriod, Store } from "../../../src/engine/ports.ts";
import { UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { billedAlways, closingOf } from "../outbox/closing-world.ts";
import { calls, catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, type World } from "../world.ts";
import { sending } from "./delivery-world.ts";

/** Gates of a world, with one question answered otherwise. */
function gates(
  { store }: Pick<World, "store">,
  standing: DeliveryOptions["gates"]["standing"],
): DeliveryOptions["gates"] {
  const shadow = { isOn: false, covers: () => false };
  return { store, shadow, coverage: billedAlways(periodsOf(store)), graceMs: HOUR, standing };
}

/** True once: so that one batch is sent and no more. */
function oneBatch(): () => Promise<boolean> {
  let left = 1;
  return async () => left-- > 0;
}

const READY = { kind: "ready", keepsLast: null } as const;
const ACCEPTED = { kind: "accepted", requestId: null } as const;
const refused = (): MeterbookError => new MeterbookError("METER_STRIPE_REFUSED", "Stripe refused the key (401)");
const unreachable = (): MeterbookError => new MeterbookError("METER_STRIPE_UNREACHABLE", "no answer from Stripe");

describe("a round of delivery", () => {
  it("keeps its pace between calls, and says what became of all rows", async () => {
    const { send, waits, speed } = await sending(3);
    const before = speed.perSecond();
    expect(await send()).toEqual({
      accepted: 3,
      retried: 0,
      dead: 0,
      conflicts: 0,
      waiting: 0,
      stopped: null,
      gaveUp: false,
    });
    expect(waits).toHaveLength(2);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(100);
    expect(speed.perSecond()).toBeGreaterThan(before);
  });

  it.each([
    [1_000, limits.claimRowsMax],
    [1, 15],
    [0.01, 1],
  ])("claims no more at %d calls a second than can be begun while the claim is safe", async (perSecond, most) => {
    const { send, store } = await sending(1);
    const claimed: number[] = [];
    const claim: Store["claim"] = async (query) => {
      claimed.push(query.limit);
      return store.claim(query);
    };
    await send({ store: { ...store, claim }, pace: pace(perSecond) });
    expect(claimed[0]).toBe(most);
  });

  it("counts what was not tried as waiting: what may not go out now, and what is to be addressed anew", async () => {
    const { send, store, reporter, rows } = await sending(2, catalogOf(tokens, calls));
    const [row] = await rows();
    const period: BilledPeriod = {
      customer: row?.customer ?? "",
      reportAs: "chat_tokens",
      from: START - DAY,
      to: START + 1,
      renews: true,
    };
    await store.putPeriods([period]);
    const unfitting = gates({ store }, async (reportAs) =>
      reportAs === "calls" ? { kind: "mismatch", reason: "other" } : READY,
    );
    expect(await send({ gates: unfitting })).toMatchObject({ accepted: 1, waiting: 3 });
    expect(reporter.calls).toHaveLength(1);
  });

  it("gives up after so many calls in a row without a clear answer, and not one before", async () => {
    const most = limits.failuresInARowMax;
    for (const companies of [most - 1, most]) {
      const { send, reporter } = await sending(companies);
      reporter.answerNext({ counts: false, answer: UNKNOWN }, companies);
      expect(await send()).toMatchObject({ retried: companies, gaveUp: companies === most, stopped: null });
    }
    const { send, reporter } = await sending(most);
    reporter.answerNext({ counts: false, answer: UNKNOWN }, most - 1);
    reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no", requestId: null } });
    expect(await send()).toMatchObject({ retried: most - 1, dead: 1, gaveUp: false });
  });

  it("takes a call that throws for one without answer, and goes no slower for it", async () => {
    const { send, reporter, rows, speed } = await sending(limits.failuresInARowMax);
    const before = speed.perSecond();
    reporter.answerNext({ counts: false, answer: "throw" }, limits.failuresInARowMax - 1);
    let isLast = false;
    const throwing = {
      ...reporter,
      report: async (...call: Parameters<RecordingReporter["report"]>) => {
        if (reporter.calls.length < limits.failuresInARowMax - 1) return reporter.report(...call);
        isLast = true;
        // Somebody else's reporter may throw anything.
        return Promise.reject(Object.assign(Object.create(null), { toString: () => "a bare text" }));
      },
    };
    expect(await send({ reporter: throwing })).toMatchObject({ gaveUp: true, accepted: 0 });
    expect(isLast).toBe(true);
    const reasons = (await rows()).map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === "a bare text")).toHaveLength(1);
    expect(reasons.every((reason) => reason !== null && reason !== "")).toBe(true);
    expect(speed.perSecond()).toBe(before);
  });

  it("goes slower only when it is told so, and faster only when a report is taken", async () => {
    const { send, reporter, speed } = await sending(3);
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no", requestId: null } });
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await send();
    expect(speed.perSecond()).toBe(20);
    const limited = await sending(1);
    limited.reporter.answerNext({ counts: false, answer: { ...UNKNOWN, rateLimited: true } });
    await limited.send();
    expect(limited.speed.perSecond()).toBe(10);
  });
});

describe("what stops all sending", () => {
  it("puts the rows that were claimed back at once, with the reason and without waiting or asking for them", async () => {
    const { send, reporter, rows, waits, store } = await sending(40);
    let asked = 0;
    const standing = async () => (asked++, READY);
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "Stripe refused the key (401)" } }, 40);
    expect(await send({ gates: gates({ store }, standing) })).toMatchObject({
      stopped: "Stripe refused the key (401)",
      gaveUp: false,
      waiting: 0,
    });
    expect(new Set((await rows()).map(({ state, reason }) => `${state}: ${reason}`))).toEqual(
      new Set(["pending: Stripe refused the key (401)"]),
    );
    // Nothing was found out about the rows that were only claimed.
    const histories = await Promise.all((await rows()).map(({ rowId }) => store.rowHistory(rowId)));
    expect(histories.flat().every(({ what, to }) => what === "attempt" && to === "stopped")).toBe(true);
    expect(waits.length).toBeLessThanOrEqual(limits.lanesMax);
    expect(asked).toBeLessThanOrEqual(limits.lanesMax);
  });

  it("stops a row on its way through its gate, too", async () => {
    const { send, reporter, rows, store } = await sending(2);
    let stop: (() => void) | null = null;
    const stopped = new Promise<void>((resolve) => void (stop = resolve));
    let asked = 0;
    const standing = async () => {
      asked += 1;
      if (asked === 2) await stopped;
      return READY;
    };
    const stopping = {
      ...reporter,
      report: async (...call: Parameters<RecordingReporter["report"]>) => {
        const answer = await reporter.report(...call);
        queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => stop?.())));
        return answer;
      },
    };
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } }, 2);
    expect(await send({ gates: gates({ store }, standing), reporter: stopping })).toMatchObject({ stopped: "key" });
    expect(reporter.calls).toHaveLength(1);
    expect((await rows()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ["pending", 0],
      ["pending", 0],
    ]);
  });

  it("is a refused key, also where a question meets it; an unreachable Stripe lets the row wait", async () => {
    const refusing = await sending(1);
    expect(await refusing.send({ gates: gates(refusing, () => Promise.reject(refused())) })).toMatchObject({
      stopped: "Stripe refused the key (401)",
      waiting: 0,
    });
    const [row] = await refusing.rows();
    expect(row).toMatchObject({ state: "pending", reason: "Stripe refused the key (401)" });
    expect(await refusing.store.rowHistory(row?.rowId ?? 0)).toEqual([]);
    const silent = await sending(1);
    expect(await silent.send({ gates: gates(silent, () => Promise.reject(unreachable())) })).toMatchObject({
      stopped: null,
      waiting: 1,
      gaveUp: false,
    });
    expect(await silent.rows()).toMatchObject([
      {
        state: "pending",
        reason: "no answer from Stripe",
        nextAttemptAt: silent.clock.now() + limits.retryMaxMs,
        attempts: 0,
      },
    ]);
    const most = await sending(limits.failuresInARowMax);
    expect(await most.send({ gates: gates(most, () => Promise.reject(unreachable())) })).toMatchObject({
      gaveUp: true,
    });
    expect([refusing, silent, most].flatMap(({ reporter }) => reporter.calls)).toEqual([]);
  });

  it("is no fault of our own: that is thrown, after all calls have ended", async () => {
    for (const error of [new Error("a bug"), new MeterbookError("METER_STORE_BUSY", "busy")]) {
      const { send, store, reporter } = await sending(2);
      let asked = 0;
      const standing = async () => (asked++ === 0 ? Promise.reject(error) : READY);
      await expect(send({ gates: gates({ store }, standing), keepLease: oneBatch() })).rejects.toBe(error);
      expect(reporter.calls).toHaveLength(1);
    }
  });
});

describe("the clock of a round", () => {
  it("is asked for before each batch: a wrong one, a refused key or no answer sends nothing", async () => {
    const faults = [
      [async () => "the clock is wrong", { stopped: "the clock is wrong", gaveUp: false }],
      [() => Promise.reject(refused()), { stopped: "Stripe refused the key (401)", gaveUp: false }],
      [() => Promise.reject(unreachable()), { stopped: null, gaveUp: true }],
    ] as const;
    for (const [fault, expected] of faults) {
      const { send, reporter, clock, rows } = await sending(3);
      let asked = 0;
      const clockFault = async (): Promise<string | null> => {
        asked += 1;
        return fault();
      };
      expect(await send({ trust: clockTrust({ clockFault }, clock) })).toMatchObject(expected);
      expect([asked, reporter.calls]).toEqual([1, []]);
      expect((await rows()).every(({ state, attempts }) => state === "pending" && attempts === 0)).toBe(true);
    }
    const { send, clock } = await sending(1);
    const broken = clockTrust({ clockFault: () => Promise.reject(new Error("a bug")) }, clock);
    await expect(send({ trust: broken })).rejects.toThrow("a bug");
  });

  const safeMs = limits.leaseMs - limits.reporterTimeoutMs;

  it.each([
    ["there is time for a call", safeMs - 1, 1],
    ["the claim may end during the call", safeMs, 0],
    ["the claim has ended", limits.leaseMs, 0],
    ["it was set back behind the claim", -1, 0],
  ])("lets a row go out after a pause if %s", async (_what, pauseMs, sent) => {
    const { send, clock, reporter, trust, speed, rows } = await sending(1);
    await trust.renew();
    clock.advance(10_000);
    // A call was made a moment ago, so this one waits.
    speed.delayMs(clock.now());
    await send({ wait: async () => void clock.advance(pauseMs), keepLease: oneBatch() });
    expect(reporter.calls).toHaveLength(sent);
    const back = (await rows()).filter(({ state }) => state === "pending");
    expect(back.map(({ reason, attempts }) => [reason, attempts])).toEqual(sent === 1 ? [] : [["put back", 0]]);
  });

  it.each([
    ["there is time for a call", safeMs - 1, 1],
    ["the claim may end during the call", safeMs, 0],
  ])("lets a row go out after its questions if %s", async (_what, askedMs, sent) => {
    const { send, store, clock, reporter } = await sending(1);
    const standing = async () => {
      clock.advance(askedMs);
      return READY;
    };
    await send({ gates: gates({ store }, standing), keepLease: oneBatch() });
    expect(reporter.calls).toHaveLength(sent);
  });

  it("decides nothing at an instant that lies before the one that agreed", async () => {
    const { send, clock, reporter, speed } = await sending(1);
    speed.delayMs(clock.now() + 10_000);
    const trust = clockTrust({ clockFault: async () => (clock.advance(10_000), null) }, clock);
    await send({ trust, wait: async () => void clock.advance(-5_000), keepLease: oneBatch() });
    expect(reporter.calls).toEqual([]);
  });
});

describe("a call", () => {
  it("is none for a row without a customer or an identifier", async () => {
    for (const change of [{ customer: null }, { identifier: null }]) {
      const { send, store, reporter, rows } = await sending(1);
      const [row] = await rows();
      if (row === undefined) throw new Error("no row");
      expect([recordOf(row)?.identifier, recordOf({ ...row, ...change })]).toEqual([row.identifier, null]);
      const claim: Store["claim"] = async (query) =>
        (await store.claim(query)).map((each) => ({ ...each, row: { ...each.row, ...change } }));
      expect(await send({ store: { ...store, claim } })).toMatchObject({ conflicts: 1 });
      expect(await rows()).toMatchObject([{ state: "conflict", reason: "it has no customer" }]);
      expect(reporter.calls).toEqual([]);
    }
  });

  it("of a cancelling names the report that it cancels, under a key of its own", async () => {
    const { send, store, clock, reporter, rows } = await sending(1);
    await send();
    const [row] = await rows();
    const order = { store, report: String(row?.rowId), author: "operator:ann", cause: "wrong", dryRun: false };
    await cancelReport({ ...order, now: clock.now() });
    expect(await send()).toMatchObject({ accepted: 1 });
    expect(reporter.cancels).toEqual([
      { record: reporter.calls[0]?.record, idempotencyKey: `cancel_${row?.identifier}.0` },
    ]);
    expect((await rows()).find(({ kind }) => kind === "cancel")).toMatchObject({ state: "accepted", resentAt: null });
  });

  it("after the books were read without it is made under its own identifier and the next key", async () => {
    const { send, store, clock, reporter, waits, take, catalog, rows } = await sending(2);
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await send();
    clock.advance(DAY);
    waits.length = 0;
    expect(await send()).toMatchObject({ waiting: 1, accepted: 0 });
    // The reading kept the pace as well, and the day remembers it.
    expect([waits.length, reporter.readings.length]).toEqual([1, 1]);
    expect((await dailyReadings(store, clock.now(), "readBack")).spent()).toBe(1);
    await take(chat("1", { company: "company-101", time: clock.now() - 2 * HOUR }));
    const { closing, modes } = await closingOf({ store, catalog, clock }, reporter);
    await closeWindows(closing, modes);
    reporter.answerNext({ counts: true, answer: ACCEPTED });
    await send();
    clock.advance(limits.readBackWitnessMs);
    expect(await send()).toMatchObject({ accepted: 1, waiting: 0 });
    const own = reporter.calls.filter(({ record }) => record.company === "company-100");
    expect(own.map(({ idempotencyKey }) => idempotencyKey.split(".")[1])).toEqual(["0", "1"]);
    expect(new Set(own.map(({ record }) => record.identifier)).size).toBe(1);
    expect((await rows()).find(({ company }) => company === "company-100")).toMatchObject({
      state: "accepted",
      resentAt: clock.now(),
    });
    expect((await dailyReadings(store, clock.now(), "readBack")).spent()).toBeGreaterThan(1);
    expect(clock.now() - START).toBeLessThan(2 * DAY + MINUTE);
  });
});
