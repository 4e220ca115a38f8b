import { expect, it, onTestFinished } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import type { OutboxRow } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../src/testing/local-stripe/local-stripe.ts";
import { onBothStores } from "../engine/both-stores.ts";
import {
  calls,
  catalogOf,
  chat,
  DAY,
  HOUR,
  hourly,
  MINUTE,
  START,
  tokens,
  world,
  type World,
} from "../engine/world.ts";

type Edge = World & {
  readonly stripe: LocalStripe;
  readonly reporter: StripeReporter;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** Rounds of reporting, one every `everyMs`. */
  readonly rounds: (count: number, everyMs: number) => Promise<void>;
};

onBothStores("at the edge of a day, with the genuine client", (make) => {
  async function edge(options: LocalStripeOptions & { readonly keeps?: "hour" } = {}): Promise<Edge> {
    const { keeps = null, ...stripeOptions } = options;
    const base = world({ store: await make(), catalog: catalogOf(tokens, { ...calls, report: false }) });
    const { clock, store, round } = base;
    const stripe = await startLocalStripe({ clock, ...stripeOptions });
    onTestFinished(() => stripe.close());
    stripe.createMeter({ event_name: "chat_tokens", event_time_window: keeps });
    for (const company of ["acme", "globex"])
      stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
    const companyIdAt = { kind: "metadata", key: "company_id" } as const;
    const reporter = stripeReporter({ apiKey: "sk_test_x", mode: "test", apiBase: stripe.url, companyIdAt, clock });
    return {
      ...base,
      stripe,
      reporter,
      rows: () => store.outbox({ limit: 999 }),
      rounds: async (count, everyMs) => {
        for (let at = 0; at < count; at++) {
          await round(reporter);
          clock.advance(everyMs);
        }
      },
    };
  }

  /** The answer to the first report is lost, after or before Stripe took it. */
  async function lost(when: "after" | "before", options: LocalStripeOptions = {}): Promise<Edge> {
    const own = await edge(options);
    await own.take(chat("5"));
    own.clock.set(START + HOUR + 5 * MINUTE);
    // The client makes a call again whose connection was cut under it.
    own.stripe.failNext({ kind: "reset", when, times: 2 });
    expect(await own.round(own.reporter)).toMatchObject({ retried: 1 });
    own.stripe.clearFaults();
    return own;
  }

  it.each(["after", "before"] as const)(
    "S03: 22 h 59 after an answer lost %s it took effect, the same identifier is enough",
    async (when) => {
      const { stripe, clock, round, reporter, rows } = await lost(when);
      const [row] = await rows();
      clock.set((row?.firstAttemptAt ?? 0) + limits.resendSafeMs - MINUTE);
      expect(await round(reporter)).toMatchObject({ accepted: 1 });
      expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    },
  );

  it.each([
    ["23 h 59", DAY - MINUTE],
    ["24 h 01", DAY + MINUTE],
    ["25 h", 25 * HOUR],
  ])("S03: %s after it, Stripe may have forgotten: what it counted is read back and counts once", async (_name, ms) => {
    const { store, catalog, stripe, clock, round, reporter, rows } = await lost("after");
    clock.set(START + HOUR + 5 * MINUTE + ms);
    stripe.forgetIdentifiers();
    expect(await round(reporter)).toMatchObject({ accepted: 1, waiting: 0 });
    expect(await rows()).toMatchObject([{ state: "accepted", reason: "read_back", attempts: 1 }]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect(stripe.ledger()).toHaveLength(1);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it.each([
    ["23 h 59", DAY - MINUTE],
    ["24 h 01", DAY + MINUTE],
  ])(
    "S03: %s after it, what Stripe never took goes out once more, beside a later report that it shows",
    async (_name, ms) => {
      const { stripe, clock, take, rows, rounds } = await lost("before");
      clock.set(START + HOUR + 5 * MINUTE + ms);
      stripe.forgetIdentifiers();
      await take(chat("1", { company: "globex", time: clock.now() - 2 * HOUR }));
      await rounds(4, limits.readBackEveryMs);
      expect(await rows()).toMatchObject([{ state: "accepted", attempts: 2 }, { company: "globex" }]);
      expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    },
  );

  it("S03: is never sent again while Stripe's summaries lag behind, though they show nothing for hours", async () => {
    const { stripe, clock, take, rows, rounds } = await lost("after", { summaryLagMs: 30 * HOUR });
    clock.advance(24 * HOUR);
    stripe.forgetIdentifiers();
    await take(chat("1", { company: "globex", time: clock.now() - 2 * HOUR }));
    await rounds(10, 20 * MINUTE);
    expect((await rows())[0]).toMatchObject({ state: "pending", attempts: 1 });
    clock.advance(6 * HOUR);
    await rounds(2, HOUR);
    expect((await rows())[0]).toMatchObject({ state: "accepted", reason: "read_back", attempts: 1 });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
  });

  it("an outage of thirty hours costs readings and no money", async () => {
    const { store, catalog, stripe, clock, take, round, reporter, rows, rounds } = await edge();
    await take(chat("5"), chat("7", { company: "globex" }));
    clock.set(START + HOUR + 5 * MINUTE);
    // One was taken, the other was not; then nothing answers at all.
    stripe.failNext({ kind: "truncated", times: 1 });
    stripe.failNext({ kind: "server_error", when: "before", status: 503, times: 1 });
    await round(reporter);
    stripe.failNext({ kind: "server_error", when: "before", status: 503, on: "any", times: 1_000_000 });
    for (let hour = 0; hour < 30; hour++) {
      await take(chat("1", { time: clock.now() - HOUR }));
      clock.advance(HOUR);
      await round(reporter);
    }
    stripe.clearFaults();
    stripe.forgetIdentifiers();
    await rounds(60, 5 * MINUTE);
    expect((await rows()).every(({ state }) => state === "accepted")).toBe(true);
    expect([stripe.total("chat_tokens", "cus_acme"), stripe.total("chat_tokens", "cus_globex")]).toEqual(["35", "7"]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "42", due: "0" } },
    });
  }, 120_000);

  it("S04: stamps at Stripe's limits are sent, and what is beyond them is held and counted", async () => {
    const { store, catalog, stripe, clock, take, round, reporter, rows } = await edge();
    const now = START + 40 * DAY;
    clock.set(now);
    const ages = [35 * DAY + 1_000, 34 * DAY - 2 * HOUR, 2 * HOUR];
    await take(
      ...ages.map((age) => chat("5", { time: now - age })),
      { ...chat("6", { time: now + 5 * MINUTE }), recordedAt: now },
      { ...chat("7", { time: now + 5 * MINUTE + 1_000 }), recordedAt: now },
    );
    await round(reporter);
    expect((await rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ["held", "too_old"],
      ["accepted", null],
      ["accepted", null],
    ]);
    // Five minutes ahead is usage of the next hour; a second more is held as a clock gone wrong.
    clock.set(now + 2 * HOUR);
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("16");
    expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({
      reported: "16",
      held: "5",
      unknown: 1,
    });
  });

  it("S06: a meter that keeps the last report of an hour ends at 25, with its first answer lost", async () => {
    const { store, catalog, stripe, clock, take, round, reporter, rounds } = await edge({ keeps: "hour" });
    await take(chat("10"));
    clock.set(START + HOUR + 5 * MINUTE);
    stripe.failNext({ kind: "truncated", times: 1 });
    expect(await round(reporter)).toMatchObject({ retried: 1 });
    await take(chat("15", { time: START + MINUTE }));
    await rounds(4, limits.retryMaxMs);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("25");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { sent: "25" } } });
  });

  it("in shadow reads Stripe, sends it nothing, and shows what it would have", async () => {
    const { stripe, clock, take, round, reporter, rows } = await edge();
    await take(chat("5"));
    clock.set(START + HOUR + 5 * MINUTE);
    expect(await round(reporter, { settings: { ...hourly, shadow: true } })).toMatchObject({
      accepted: 1,
      shadow: true,
    });
    expect(await rows()).toMatchObject([{ state: "accepted", reason: "shadow", customer: "cus_acme" }]);
    expect(stripe.requests.filter(({ path }) => path.includes("meter_event"))).toEqual([]);
    expect(stripe.requests.length).toBeGreaterThan(0);
  });
});
