import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import type { Store } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../src/testing/local-stripe/local-stripe.ts";
import { calls, catalogOf, chat, HOUR, MINUTE, START, tokens, world, type World } from "../engine/world.ts";

const folder = mkdtempSync(join(tmpdir(), "meterbook-billed-"));
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let databases = 0;

const stores: readonly (readonly [string, () => Promise<Store>])[] = [
  ["memory", async () => memoryStore({ bucketMs: MINUTE })],
  ["sqlite", () => openSqliteStore({ path: join(folder, `${++databases}.db`), bucketMs: MINUTE })],
];

describe.each(stores)("the whole chain on %s and a local Stripe", (_name, openStore) => {
  async function chain(
    options: LocalStripeOptions = {},
  ): Promise<World & { stripe: LocalStripe; reporter: StripeReporter }> {
    const store = await openStore();
    open.push(store);
    const base = world({ store, catalog: catalogOf(tokens, calls) });
    const stripe = await startLocalStripe({ clock: base.clock, concurrencyConflicts: true, ...options });
    open.push(stripe);
    stripe.createMeter({ event_name: "chat_tokens" });
    stripe.createMeter({ event_name: "calls" });
    const apiKey = "sk_test_local";
    const reporter = stripeReporter({
      apiKey,
      mode: "test",
      apiBase: stripe.url,
      companyIdAt: { kind: "metadata", key: "company_id" },
      clock: base.clock,
    });
    return { ...base, stripe, reporter };
  }

  it("bills every unit once, whatever Stripe does to the calls", async () => {
    const { store, catalog, clock, take, round, stripe, reporter } = await chain();
    for (const company of ["acme", "globex"])
      stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
    const faults = ["reset", "truncated", "server_error", "conflict", "rate_limit", "lock_timeout"] as const;
    for (const [hour, kind] of faults.entries()) {
      await take(chat("10.4", { time: clock.now() }), chat("7", { time: clock.now(), company: "globex" }));
      clock.advance(HOUR + 5 * MINUTE);
      if (kind === "reset" || kind === "server_error")
        stripe.failNext({ kind, when: hour % 2 === 0 ? "after" : "before", times: 3 });
      else stripe.failNext({ kind, times: 2 });
      for (let tries = 0; tries < 12; tries++) {
        await round(reporter);
        clock.advance(limits.retryMaxMs);
      }
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
    }
    const { outbox } = await store.counts();
    expect(outbox).toMatchObject({ accepted: 24, pending: 0, sending: 0, dead: 0, held: 0, conflict: 0 });
    expect([
      stripe.total("chat_tokens", "cus_acme"),
      stripe.total("chat_tokens", "cus_globex"),
      stripe.total("calls", "cus_acme"),
    ]).toEqual(["62", "42", "6"]);
    expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({
      accepted: "104.4",
      sent: "104",
      carried: "0.4",
    });
  });

  it("bills once when the process dies after Stripe counted and before that is written down", async () => {
    const { store, clock, take, round, stripe, reporter } = await chain();
    stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
    await take(chat("5"));
    clock.advance(2 * HOUR);
    const dying: Store = {
      ...store,
      settle: async () => {
        throw new Error("killed");
      },
    };
    await expect(round(reporter, { store: dying })).rejects.toThrow("killed");
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    clock.advance(2 * limits.leaseMs);
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect((await store.counts()).outbox).toMatchObject({ accepted: 2, sending: 0 });
  });

  it("takes the duplicate 400 for delivered when the key's memory is shorter", async () => {
    const { store, clock, take, round, stripe, reporter } = await chain({ idempotencyHorizonMs: 1_000 });
    stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
    await take(chat("5"));
    clock.advance(2 * HOUR);
    stripe.failNext({ kind: "truncated", times: 2 });
    await round(reporter);
    clock.advance(limits.retryMaxMs);
    expect(await round(reporter)).toMatchObject({ accepted: 2 });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect((await store.outbox({ state: "accepted", limit: 9 })).map(({ attempts }) => attempts)).toEqual([2, 2]);
  });

  it("holds until the customer exists, and refuses for one deleted between closing and sending", async () => {
    const { store, catalog, clock, take, round, stripe, reporter } = await chain();
    await take(chat("5"), chat("6", { company: "globex" }));
    clock.advance(2 * HOUR);
    stripe.createCustomer({ id: "cus_globex", metadata: { company_id: "globex" } });
    stripe.failNext({ kind: "unauthorized", times: 2 });
    expect(await round(reporter)).toMatchObject({ held: 2, accepted: 0, stopped: expect.stringContaining("401") });
    stripe.clearFaults();
    stripe.deleteCustomer("cus_globex");
    stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
    clock.advance(limits.missingCustomerMs);
    expect(await round(reporter)).toMatchObject({ released: 2, accepted: 2, dead: 2 });
    expect(await store.outbox({ state: "dead", limit: 1 })).toMatchObject([
      { company: "globex", reason: expect.stringContaining("no_such_customer") },
    ]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "5", refused: "6" } },
    });
  });

  it("drains a backlog through a rate limit", async () => {
    const { store, clock, take, round, stripe, reporter } = await chain({ rateLimit: { perSecond: 10, burst: 10 } });
    const companies = Array.from({ length: 40 }, (_, at) => `company-${at}`);
    for (const company of companies) stripe.createCustomer({ metadata: { company_id: company } });
    await take(...companies.map((company) => chat("1", { company, time: START })));
    clock.advance(2 * HOUR);
    for (let tries = 0; tries < 40 && (await store.counts()).outbox.accepted < 80; tries++) {
      await round(reporter);
      clock.advance(10_000);
    }
    expect((await store.counts()).outbox).toMatchObject({ accepted: 80, dead: 0 });
    expect(stripe.ledger()).toHaveLength(80);
  });
});
