import { describe, expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { pace } from "../../../src/engine/delivery/pace.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { chat, DAY, HOUR, START, world, type World } from "../world.ts";

/** A world with one window ready to be sent. */
async function ready(...companies: readonly string[]): Promise<World & { reporter: RecordingReporter }> {
  const base = world();
  const names = companies.length === 0 ? ["acme"] : companies;
  await base.take(...names.map((company) => chat("5", { company })));
  base.clock.advance(2 * HOUR);
  return {
    ...base,
    reporter: recordingReporter({ customers: Object.fromEntries(names.map((company) => [company, `cus_${company}`])) }),
  };
}

/** A store whose process dies at a call: everything before it is done, nothing after it. */
function dyingAt(store: Store, method: "beginAttempt" | "settle" | "enqueue" | "claim"): Store {
  return { ...store, [method]: die };
}

async function die(): Promise<never> {
  throw new Error("killed");
}

describe("delivery", () => {
  it.each(["enqueue", "claim", "beginAttempt", "settle"] as const)(
    "counts once when the process dies at %s",
    async (method) => {
      const { store, catalog, clock, round, reporter } = await ready();
      await expect(round(reporter, { store: dyingAt(store, method) })).rejects.toThrow("killed");
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
      clock.advance(limits.leaseMs + 1);
      expect(await round(reporter)).toMatchObject({ accepted: 1 });
      expect(reporter.calls).toHaveLength(method === "settle" ? 2 : 1);
      expect(
        new Set(reporter.calls.map(({ record, idempotencyKey }) => `${record.identifier} ${idempotencyKey}`)).size,
      ).toBe(1);
      expect(reporter.total("chat_tokens", "cus_acme")).toBe("5");
      expect(await verify(store, catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { reported: "5", due: "0" } },
      });
    },
  );

  it("sends an unknown outcome again with the same identifier, later and later", async () => {
    const { store, clock, round, reporter } = await ready();
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    reporter.answerNext({ counts: true, answer: "throw" });
    const delays: number[] = [];
    for (let tries = 0; tries < 2; tries++) {
      expect(await round(reporter)).toMatchObject({ retried: 1 });
      const [row] = await store.outbox({ state: "pending", limit: 1 });
      delays.push((row?.nextAttemptAt ?? 0) - clock.now());
      expect(await round(reporter)).toMatchObject({ retried: 0, accepted: 0 });
      clock.advance(delays.at(-1) ?? 0);
    }
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    expect(delays).toEqual([1_500, 2_500]);
    expect(new Set(reporter.calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(reporter.records).toHaveLength(1);
  });

  it("obeys the biller's own delay, and takes a fresh key after every server error", async () => {
    const { clock, round, reporter } = await ready();
    reporter.answerNext({ counts: false, answer: { ...UNKNOWN, freshKey: true, retryAfterMs: 90_000 } }, 2);
    await round(reporter);
    clock.advance(89_000);
    expect(await round(reporter)).toMatchObject({ retried: 0 });
    clock.advance(1_000);
    expect(await round(reporter)).toMatchObject({ retried: 1 });
    clock.advance(90_000);
    expect(await round(reporter)).toMatchObject({ accepted: 1 });
    const keys = reporter.calls.map(({ idempotencyKey }) => idempotencyKey.split(".")[1]);
    expect(keys).toEqual(["0", "1", "2"]);
    expect(new Set(reporter.calls.map(({ record }) => record.identifier)).size).toBe(1);
  });

  it("resends until the last safe moment", async () => {
    const { clock, round, reporter } = await ready();
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    clock.advance(limits.resendSafeMs - 1);
    expect(await round(reporter)).toMatchObject({ accepted: 1, conflicts: 0 });
  });

  it("refuses a backlog that is too old, before the call", async () => {
    const { store, clock, round, reporter } = await ready();
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await round(reporter);
    clock.set(START + limits.reportAgeMaxMs + 1);
    expect(await round(reporter)).toMatchObject({ dead: 1 });
    expect(reporter.calls).toHaveLength(1);
    expect(await store.outbox({ limit: 9 })).toMatchObject([
      { state: "dead", reason: expect.stringContaining("too_old") },
    ]);
  });

  it("stops all sending at once when the key is refused, and counts no attempt", async () => {
    const { store, notices, clock, round, reporter } = await ready(
      ...Array.from({ length: 60 }, (_, at) => `company-${at}`),
    );
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "Stripe refused the key (401)" } }, 60);
    expect(await round(reporter)).toMatchObject({ accepted: 0, stopped: "Stripe refused the key (401)" });
    expect(reporter.calls.length).toBeLessThanOrEqual(limits.lanesMax);
    expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_REFUSED"]);
    const rows = await store.outbox({ limit: 99 });
    expect(
      rows.every(
        ({ state, attempts, firstAttemptAt }) => state === "pending" && attempts === 0 && firstAttemptAt === null,
      ),
    ).toBe(true);
    reporter.answerNext({ counts: true, answer: { kind: "accepted", requestId: null } });
    // The orders that were left over are used up first.
    while ((await round(reporter)).stopped !== null) clock.advance(limits.leaseMs);
    expect((await store.counts()).outbox.accepted).toBe(60);
  });

  it("goes on with other customers after a refusal, and shows it", async () => {
    const { store, catalog, round, reporter } = await ready("acme", "globex");
    reporter.answerNext({
      counts: false,
      answer: { kind: "dead", reason: "no_such_customer: No such customer: 'cus_acme'", requestId: "req_9" },
    });
    expect(await round(reporter)).toMatchObject({ dead: 1, accepted: 1 });
    expect(await store.outbox({ state: "dead", limit: 9 })).toMatchObject([{ requestIds: ["req_9"] }]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "5", refused: "5" } },
    });
  });

  it("leaves most rows untried when nothing is answered", async () => {
    const { store, notices, round, reporter } = await ready(...Array.from({ length: 100 }, (_, at) => `company-${at}`));
    reporter.answerNext({ counts: false, answer: UNKNOWN }, 100);
    expect(await round(reporter)).toMatchObject({ gaveUp: true, accepted: 0 });
    const tried = (await store.outbox({ limit: 200 })).filter(({ firstAttemptAt }) => firstAttemptAt !== null);
    expect(tried.length).toBeLessThanOrEqual(limits.failuresInARowMax + limits.lanesMax);
    expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_UNREACHABLE"]);
  });

  it("sends side by side, but never two of one customer and meter", async () => {
    const { take, clock, round, reporter } = await ready("acme", "globex", "initech");
    for (const company of ["acme", "globex", "initech"]) await take(chat("1", { company, time: START + HOUR }));
    clock.advance(2 * HOUR);
    const flying = new Map<string, number>();
    let most = 0;
    let mostOfOne = 0;
    const slow = {
      ...reporter,
      report: async (...call: Parameters<typeof reporter.report>) => {
        const { customer } = call[0];
        flying.set(customer, (flying.get(customer) ?? 0) + 1);
        most = Math.max(
          most,
          [...flying.values()].reduce((sum, count) => sum + count, 0),
        );
        mostOfOne = Math.max(mostOfOne, flying.get(customer) ?? 0);
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        flying.set(customer, (flying.get(customer) ?? 0) - 1);
        return reporter.report(...call);
      },
    };
    expect(await round(slow)).toMatchObject({ accepted: 6 });
    expect(most).toBeGreaterThan(1);
    expect(mostOfOne).toBe(1);
  });

  it("drops the answer of a call whose row another node has taken meanwhile", async () => {
    const { store, clock, round, reporter } = await ready();
    const late = {
      ...reporter,
      report: async (...call: Parameters<typeof reporter.report>) => {
        const answer = await reporter.report(...call);
        clock.advance(3 * limits.leaseMs);
        await round(reporter, { holder: "node-2" });
        return answer;
      },
    };
    expect(await round(late)).toMatchObject({ accepted: 0 });
    expect(reporter.records).toHaveLength(1);
    expect((await store.counts()).outbox).toMatchObject({ accepted: 1, sending: 0, pending: 0 });
  });
});

describe("pace", () => {
  it("spaces calls, halves on a rate limit at most once a second, and grows slowly", () => {
    const calls = pace(10);
    expect([0, 0, 0, 1_000].map((now) => calls.delayMs(now))).toEqual([0, 100, 200, 0]);
    calls.slower(2_000);
    calls.slower(2_500);
    expect(calls.perSecond()).toBe(5);
    for (let call = 0; call < 5; call++) calls.faster();
    expect(calls.perSecond()).toBeGreaterThan(5.8);
    expect(calls.perSecond()).toBeLessThan(6);
    for (let second = 1; second < 20; second++) calls.slower(10_000 * second);
    expect(calls.perSecond()).toBe(limits.reportsPerSecondMin);
  });

  it("is not stopped by a clock that was set back", () => {
    const calls = pace(10);
    calls.delayMs(START);
    expect(calls.delayMs(START - DAY)).toBeLessThan(1_000);
  });

  it("slows a round down under rate limits", async () => {
    const { pace: own, round, reporter } = await ready("acme", "globex");
    reporter.answerNext({ counts: false, answer: { ...UNKNOWN, rateLimited: true } });
    await round(reporter);
    expect(own.perSecond()).toBeLessThan(limits.reportsPerSecondStart);
  });
});
