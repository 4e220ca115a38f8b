import { expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/engine/books/verify.ts";
import { limits } from "../../src/engine/limits.ts";
import { pace } from "../../src/engine/delivery/pace.ts";
import type { Clock, OutboxRow, UsageReporter } from "../../src/engine/ports.ts";
import { reconcile } from "../../src/engine/reconciliation/reconcile.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { startLocalStripe, type LocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START, world, type World } from "../engine/world.ts";

/** More than one batch of rows. */
const COMPANIES = Array.from({ length: limits.claimRowsMax + 10 }, (_, at) => `company-${at}`);

interface Jumping extends World {
  readonly stripe: LocalStripe;
  readonly reporter: StripeReporter;
  /** This machine's clock: the true one, but for a jump. */
  readonly ours: Clock & { jumpMs: number };
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** One round by this machine's clock. */
  readonly roundByOurs: (reporter?: UsageReporter) => ReturnType<World["round"]>;
  readonly sent: () => number;
}

/** The reporter, with a jump right before so many reports of it. */
function jumpsAt({ reporter, ours }: Jumping, count: number, byMs: number): UsageReporter {
  let calls = 0;
  return {
    ...reporter,
    report: (record, key) => {
      if (++calls === count) ours.jumpMs = byMs;
      return reporter.report(record, key);
    },
  };
}

onBothStores("a clock that jumps in the middle of a round", (make) => {
  /** Usage of many companies that is due, at a Stripe whose clock is right. */
  async function jumping(): Promise<Jumping> {
    const base = world({ store: await make() });
    const { clock, store, take, notices } = base;
    const stripe = await startLocalStripe({ clock });
    onTestFinished(() => stripe.close());
    stripe.createMeter({ event_name: "chat_tokens" });
    for (const company of COMPANIES) stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
    const ours = { jumpMs: 0, now: () => clock.now() + ours.jumpMs };
    const reporter = stripeReporter({
      apiKey: "sk_test_x",
      mode: "test",
      apiBase: stripe.url,
      companyIdAt: { kind: "metadata", key: "company_id" },
      clock: ours,
      onNotice: (notice) => void notices.push(notice),
    });
    await take(...COMPANIES.map((company) => chat("5", { company })));
    clock.set(START + HOUR + 5 * MINUTE);
    return {
      ...base,
      stripe,
      reporter,
      ours,
      rows: () => store.outbox({ limit: 999 }),
      roundByOurs: (own = reporter) => base.round(own, { clock: ours }),
      sent: () => stripe.requests.filter(({ path }) => path === "/v1/billing/meter_events").length,
    };
  }

  it.each([
    ["25 hours ahead", 25 * HOUR],
    ["36 days ahead", 36 * DAY],
    ["an hour back", -HOUR],
  ])(
    "%s gives up nothing, holds nothing, is told once, and costs nothing when it is over",
    async (_name, byMs) => {
      const here = await jumping();
      const { store, catalog, clock, ours, stripe, notices, rows, roundByOurs } = here;
      // 25 hours later all of these invoices would be final.
      const period = { reportAs: "chat_tokens", from: START - DAY, to: START + 6 * HOUR, renews: true };
      await store.putPeriods(COMPANIES.map((company) => ({ ...period, customer: `cus_${company}` })));
      const summary = await roundByOurs(jumpsAt(here, 5, byMs));
      expect(summary.stopped).toContain("clock");
      expect(new Set((await rows()).map(({ state }) => state))).toEqual(new Set(["accepted", "pending"]));
      expect(await roundByOurs()).toMatchObject({ accepted: 0, stopped: expect.stringContaining("clock") });
      expect(notices.map(({ code }) => code)).toEqual(["METER_CLOCK_SKEW"]);
      ours.jumpMs = 0;
      clock.advance(MINUTE);
      expect(await roundByOurs()).toMatchObject({ stopped: null, dead: 0, conflicts: 0, waiting: 0 });
      expect((await store.counts()).outbox).toMatchObject({ accepted: COMPANIES.length, pending: 0, held: 0, dead: 0 });
      expect(COMPANIES.every((company) => stripe.total("chat_tokens", `cus_${company}`) === "5")).toBe(true);
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
    },
    120_000,
  );

  it.each([
    ["an hour", -HOUR],
    ["two days", -2 * DAY],
  ])(
    "%s back sends nothing again whose first try is 23 hours old: that is read back",
    async (_name, byMs) => {
      const here = await jumping();
      const { clock, stripe, ours, rows, roundByOurs, sent, options, store } = here;
      // All are taken, and no answer comes.
      stripe.failNext({ kind: "reset", when: "after", times: 1_000_000 });
      for (let rounds = 0; rounds < 40; rounds++) {
        await roundByOurs();
        clock.advance(MINUTE / 2);
      }
      expect((await rows()).every(({ attempts, state }) => attempts > 0 && state === "pending")).toBe(true);
      expect((await rows()).length).toBe(COMPANIES.length);
      stripe.clearFaults();
      const last = Math.max(...(await rows()).map(({ firstAttemptAt }) => firstAttemptAt ?? 0));
      clock.set(last + limits.resendSafeMs + HOUR / 2);
      stripe.forgetIdentifiers();
      const before = sent();
      let waits = 0;
      const jumps = {
        clock: ours,
        wait: async (ms: number) => {
          clock.advance(ms);
          if (++waits === 3) ours.jumpMs = byMs;
        },
      };
      await here.round(here.reporter, { ...options(here.reporter), ...jumps });
      expect(waits).toBeGreaterThanOrEqual(3);
      ours.jumpMs = 0;
      for (let rounds = 0; rounds < 6; rounds++) {
        await roundByOurs();
        clock.advance(MINUTE);
      }
      expect(sent()).toBe(before);
      expect((await store.counts()).outbox).toMatchObject({ accepted: COMPANIES.length, conflict: 0, dead: 0 });
      expect(COMPANIES.every((company) => stripe.total("chat_tokens", `cus_${company}`) === "5")).toBe(true);
    },
    120_000,
  );

  it("between closing and sending decides about nothing", async () => {
    const here = await jumping();
    const { store, ours, rows, round, reporter } = here;
    const jumps = {
      ...store,
      enqueue: async (...given: Parameters<typeof store.enqueue>) => {
        const inserted = await store.enqueue(...given);
        ours.jumpMs = 36 * DAY;
        return inserted;
      },
    };
    const summary = await round(reporter, { clock: ours, store: jumps });
    expect(summary).toMatchObject({ closed: COMPANIES.length, accepted: 0, dead: 0 });
    expect(new Set((await rows()).map(({ state }) => state))).toEqual(new Set(["pending"]));
  });

  it("is no fault when the time did pass, as in a machine that slept", async () => {
    const here = await jumping();
    const { store, clock, notices, roundByOurs, reporter } = here;
    let calls = 0;
    const sleeps: UsageReporter = {
      ...reporter,
      report: async (record, key) => {
        const answer = await reporter.report(record, key);
        if (++calls === 5) clock.advance(10 * MINUTE);
        return answer;
      },
    };
    expect(await roundByOurs(sleeps)).toMatchObject({ stopped: null, accepted: COMPANIES.length });
    expect(notices).toEqual([]);
    expect((await store.counts()).outbox).toMatchObject({ accepted: COMPANIES.length });
  });

  it("between two lanes calls no report of the later ones missing, and its comparing is told once", async () => {
    const here = await jumping();
    const { store, clock, ours, notices, rows, roundByOurs, reporter } = here;
    await roundByOurs();
    const period = { reportAs: "chat_tokens", from: START - DAY, to: START + 6 * HOUR, renews: true };
    await store.putPeriods(COMPANIES.map((company) => ({ ...period, customer: `cus_${company}` })));
    // Its books forget them all: whatever is missed now would be a person's, with a final invoice.
    here.stripe.setLags({ summaryLagMs: 30 * DAY });
    clock.advance(3 * HOUR);
    let reads = 0;
    const jumps = {
      ...reporter,
      counted: async (...query: Parameters<typeof reporter.counted>) => {
        const spans = await reporter.counted(...query);
        if (++reads % 5 === 0) ours.jumpMs = 25 * HOUR;
        return spans;
      },
    };
    const books = { lanes: "due" as const, readOnly: false, graceMs: HOUR, keepLease: async () => true, pace: pace() };
    for (let times = 0; times < 2; times++) {
      const summary = await reconcile({ ...here.options(jumps), ...books, clock: ours });
      expect(summary?.stopped).toContain("clock");
      ours.jumpMs = 0;
      clock.advance(limits.reconcileAgainMs);
    }
    expect(new Set((await rows()).map(({ state }) => state))).toEqual(new Set(["accepted"]));
    expect(notices.map(({ code }) => code)).not.toContain("METER_STRIPE_UNREACHABLE");
  });
});
