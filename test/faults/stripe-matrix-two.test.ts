import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { pace } from "../../src/engine/delivery/pace.ts";
import type { UsageReporter } from "../../src/engine/ports.ts";
import { reportOnce } from "../../src/engine/delivery/report.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { chat, HOUR, MINUTE, START } from "../engine/world.ts";
import { depth } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { chain } from "./stripe-matrix/chain.ts";
import { promised } from "./stripe-matrix/promised.ts";

/** A reporter whose process stands still at its first report, before the call or after the answer, until it is let go. */
function freezing(genuine: UsageReporter, where: "before the call" | "after the answer") {
  const frozen = promised<void>();
  const thaw = promised<void>();
  const stand = async (): Promise<void> => {
    frozen.resolve();
    await thaw.promise;
  };
  let calls = 0;
  const report: UsageReporter["report"] = async (record, key) => {
    calls += 1;
    if (where === "before the call") await stand();
    const answer = await genuine.report(record, key);
    if (where === "after the answer") await stand();
    return answer;
  };
  const reporter: UsageReporter = { ...genuine, report };
  return { reporter, isFrozen: frozen.promise, thaw: () => thaw.resolve(), calls: () => calls };
}

describe("two reporters of one database", () => {
  it.each(["before the call", "after the answer"] as const)(
    "one that stood still %s, past all its leases, spoils nothing when it goes on",
    async (where) => {
      const { stripe, store, catalog, clock, take, options, reporter, anotherReporter, anotherStore, rows } =
        await chain({
          companies: ["acme", "globex"],
        });
      await take(chat("10.5", { time: START }), chat("7.5", { time: START, company: "globex" }));
      clock.advance(HOUR + 6 * MINUTE);
      const first = freezing(anotherReporter({}), where);
      const firstRound = reportOnce({
        ...options(first.reporter),
        store: await anotherStore(),
        holder: "first",
        pace: pace(),
      });
      await first.isFrozen;
      expect(await reportOnce({ ...options(reporter), holder: "second" })).toBeNull();
      clock.advance(limits.reporterLeaseMs + 1);
      expect(await reportOnce({ ...options(reporter), holder: "second" })).toMatchObject({ dead: 0, stopped: null });
      const settled = await rows();
      const callsBefore = first.calls();
      first.thaw();
      await firstRound;
      expect(first.calls()).toBe(callsBefore);
      expect(await rows()).toEqual(settled);
      expect(settled.map(({ state }) => state)).toEqual(["accepted", "accepted", "accepted", "accepted"]);
      expect([stripe.total("chat_tokens", "cus_acme"), stripe.total("chat_tokens", "cus_globex")]).toEqual(["10", "7"]);
      expect(stripe.ledger().map(({ events }) => events)).toEqual([1, 1, 1, 1]);
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
    },
  );

  it("at once, round after round, make each report one time", async () => {
    const companies = Array.from({ length: 20 }, (_, at) => `company-${at}`);
    const { stripe, clock, take, options, anotherReporter, anotherStore, reports, store } = await chain({ companies });
    const processes = await Promise.all(
      ["first", "second", "third"].map(async (holder) => ({
        holder,
        reporter: anotherReporter({}),
        store: await anotherStore(),
      })),
    );
    let answered = 0;
    for (let hour = 0; hour < 4; hour++) {
      await take(...companies.map((company) => chat("1", { company, time: START + hour * HOUR })));
      clock.set(START + (hour + 1) * HOUR + 6 * MINUTE);
      const rounds = await Promise.all(
        processes.map((each) => reportOnce({ ...options(each.reporter), ...each, pace: pace() })),
      );
      answered += rounds.filter((summary) => summary !== null).length;
      clock.advance(limits.reporterLeaseMs);
    }
    expect(answered).toBeGreaterThanOrEqual(4);
    const identifiers = reports().map((form) => form.get("identifier"));
    expect(new Set(identifiers).size).toBe(identifiers.length);
    expect((await store.counts()).outbox).toMatchObject({ accepted: 160, pending: 0, sending: 0 });
    expect(stripe.ledger()).toHaveLength(160);
  });
});

describe("a backlog", () => {
  const size = depth({ ci: 2_500, long: 50_000 });

  it(
    `of ${size * 2} reports drains within Stripe's limits, each billed once`,
    { timeout: depth({ ci: 120_000, long: 3_600_000 }) },
    async () => {
      const companies = Array.from({ length: size }, (_, at) => `company-${at}`);
      const perSecond = 100;
      const { stripe, store, catalog, clock, take, options, reporter, reports } = await chain({
        companies,
        stripe: { rateLimit: { perSecond, burst: perSecond } },
      });
      await take(...companies.map((company) => chat("1.5", { company, time: START })));
      clock.advance(2 * HOUR);
      const startedAt = clock.now();
      const kept = pace();
      // Several wait at once: the clock goes to where each of them wants it, not by the sum of all.
      const wait = async (ms: number): Promise<void> => {
        const until = clock.now() + ms;
        await new Promise<void>((resolve) => void setImmediate(resolve));
        clock.set(Math.max(clock.now(), until));
      };
      const isDrained = async (): Promise<boolean> => (await store.counts()).outbox.accepted === size * 2;
      for (let rounds = 0; rounds < 1_000 && !(await isDrained()); rounds++) {
        await reportOnce({ ...options(reporter), pace: kept, wait });
        clock.advance(1_000);
      }
      const drainedMs = clock.now() - startedAt;
      expect((await store.counts()).outbox).toMatchObject({ accepted: size * 2, dead: 0, conflict: 0, held: 0 });
      expect(
        stripe
          .ledger()
          .filter(({ eventName }) => eventName === "chat_tokens")
          .map(({ value }) => value),
      ).toEqual(companies.map(() => "1"));
      const refused = stripe.requests.filter(({ status }) => status === 429).length;
      expect(busiestSecond(stripe.requests.map(({ at }) => at))).toBeLessThanOrEqual(limits.reportsPerSecondMax);
      // Rate limits teach: few calls are refused, and the backlog goes at the speed that Stripe allows.
      expect(refused / reports().length).toBeLessThan(0.2);
      expect(drainedMs).toBeLessThan(((size * 2) / perSecond) * 1_000 * 5);
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
      recordFigures({
        test: `a backlog at ${perSecond} calls a second`,
        rounds: 1,
        acknowledged: size,
        lost: 0,
        doubled: 0,
        invented: 0,
        note: `${size * 2} reports in ${Math.round(drainedMs / 1_000)} s of the clock, ${refused} calls refused by rate limits`,
      });
    },
  );
});

function busiestSecond(times: readonly number[]): number {
  const seconds = new Map<number, number>();
  for (const at of times) seconds.set(Math.floor(at / 1_000), (seconds.get(Math.floor(at / 1_000)) ?? 0) + 1);
  return Math.max(...seconds.values());
}
