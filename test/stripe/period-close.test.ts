import { expect, it, onTestFinished } from "vitest";

import type { LatePolicy } from "../../src/core/meter.ts";
import { limits } from "../../src/engine/limits.ts";
import type { OutboxRow } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { stripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { startLocalStripe, type LocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world, type World } from "../engine/world.ts";

type Billed = World & {
  readonly stripe: LocalStripe;
  /** Rounds of reporting up to an instant, one every few minutes around the day's end. */
  readonly until: (instant: number) => Promise<void>;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** What each invoice bills, oldest first, and whether it is final. */
  readonly invoices: () => readonly (readonly [quantity: string, isFinal: boolean])[];
};

/** When the first day of billing ends: at a second of its own, as subscriptions do. */
const END = START + 23 * MINUTE + 17_000;

onBothStores("a subscription whose day ends within an hour", (make) => {
  async function billed(options: { late?: LatePolicy; end?: number } = {}): Promise<Billed> {
    const { late, end = END } = options;
    const catalog = catalogOf(late === undefined ? tokens : { ...tokens, late });
    const base = world({ store: await make(), catalog });
    const { clock, store, round } = base;
    clock.set(end - DAY);
    const stripe = await startLocalStripe({ clock });
    onTestFinished(() => stripe.close());
    stripe.createMeter({ event_name: "chat_tokens" });
    stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
    stripe.createSubscription({ customer: "cus_acme", meters: ["chat_tokens"], interval: "day" });
    const companyIdAt = { kind: "metadata", key: "company_id" } as const;
    const reporter = stripeReporter({ apiKey: "sk_test_x", mode: "test", apiBase: stripe.url, companyIdAt, clock });
    return {
      ...base,
      stripe,
      rows: () => store.outbox({ limit: 999 }),
      invoices: () => stripe.invoiced().map(({ quantity, isFinal }) => [quantity, isFinal] as const),
      until: async (instant) => {
        while (clock.now() < instant) {
          await round(reporter);
          const isNearEnd = Math.abs(clock.now() - end) < 2 * HOUR;
          clock.set(Math.min(instant, clock.now() + (isNearEnd ? 5 : 55) * MINUTE));
        }
        await round(reporter);
      },
    };
  }

  it("bills each unit on the invoice of its own day, with a cut in the middle of a window", async () => {
    const { store, catalog, stripe, clock, take, until, invoices } = await billed();
    await until(START - HOUR);
    await take(chat("1000", { time: START - 2 * HOUR }));
    await until(START);
    await take(chat("100", { time: START + MINUTE }), chat("10", { time: END - 1 }));
    await until(END + 5 * MINUTE);
    await take(chat("1", { time: END }), chat("2", { time: clock.now() }));
    await until(END + HOUR + MINUTE);
    expect(invoices()).toEqual([["1110", true]]);
    await until(END + DAY + HOUR + MINUTE);
    expect(invoices()).toEqual([
      ["1110", true],
      ["3", true],
    ]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("1113");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "1113" } } });
  }, 120_000);

  it("bills the first minutes of an hour in time: they need not wait for its end", async () => {
    const end = START + 2 * MINUTE + 30_000;
    const { take, until, invoices, rows } = await billed({ end });
    await until(START);
    await take(chat("100", { time: START + MINUTE }));
    await until(end + MINUTE);
    await take(chat("7", { time: end + 1 }));
    await until(end + 20 * MINUTE);
    expect((await rows()).map(({ state, windowStart }) => [state, windowStart])).toEqual([["accepted", START]]);
    await until(end + HOUR + MINUTE);
    expect(invoices()).toEqual([["100", true]]);
    await until(end + DAY + HOUR + MINUTE);
    expect(invoices().at(-1)).toEqual(["7", true]);
  }, 120_000);

  it.each([
    ["carry", { held: "0", refused: "0", reported: "105" }, ["100", "5"]],
    ["hold", { held: "5", refused: "0", reported: "100" }, ["100", "0"]],
    ["write_off", { held: "0", refused: "5", reported: "100" }, ["100", "0"]],
  ] as const)(
    "by the policy %s of usage that comes after the invoice is final",
    async (late, sums, quantities) => {
      const { store, catalog, clock, take, until, invoices } = await billed({ late });
      await until(START);
      await take(chat("100", { time: START + MINUTE }));
      await until(END + HOUR + 2 * MINUTE);
      expect(invoices()).toEqual([["100", true]]);
      await take(chat("5", { time: START + 2 * MINUTE }));
      clock.advance(MINUTE);
      await until(END + DAY + HOUR + MINUTE);
      expect(invoices().map(([quantity]) => quantity)).toEqual(quantities);
      expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: sums } });
    },
    120_000,
  );

  it("takes late usage onto the day's own invoice as long as it is open", async () => {
    const { take, until, invoices } = await billed();
    await until(START);
    await take(chat("100", { time: START + MINUTE }));
    await until(END + HOUR - limits.finalSafetyMs - MINUTE);
    await take(chat("5", { time: START + 2 * MINUTE }));
    await until(END + HOUR + MINUTE);
    expect(invoices()).toEqual([["105", true]]);
  }, 120_000);

  it("cuts where a subscription begins, though it began after the last look at subscriptions", async () => {
    const { stripe, clock, take, until, invoices } = await billed();
    await until(START + 20 * MINUTE);
    stripe.createCustomer({ id: "cus_new", metadata: { company_id: "new" } });
    stripe.createSubscription({ customer: "cus_new", meters: ["chat_tokens"], interval: "day" });
    const begins = clock.now();
    await take(chat("5", { company: "new", time: begins - 1 }), chat("7", { company: "new", time: begins + 1 }));
    await until(begins + DAY + HOUR + MINUTE);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("12");
    // What was used before is on no invoice, and what was used since is.
    expect(invoices()).toContainEqual(["7", true]);
  }, 120_000);
});
