import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Stripe } from "stripe";
import { onTestFinished } from "vitest";

import type { Clock, OutboxRow, Store } from "../../../src/engine/ports.ts";
import { openSqliteStore } from "../../../src/sqlite/sqlite-store.ts";
import { stripeReporter, type StripeReporter } from "../../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../../src/testing/local-stripe/local-stripe.ts";
import { calls, catalogOf, MINUTE, tokens, world, type World } from "../../engine/world.ts";

/** A new folder for databases: in memory where there is such a place, since nothing here loses its power. */
export function databaseFolder(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "meterbook-matrix-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The whole chain: a SQLite file, the engine, the genuine client over HTTP, a local Stripe. */
export interface Chain extends World {
  readonly stripe: LocalStripe;
  readonly reporter: StripeReporter;
  /** Told by the reporter itself, as codes. */
  readonly told: readonly string[];
  /** The owner's own client. */
  readonly owner: Stripe;
  /** Another reporter, with its own clock or way to the network. */
  readonly anotherReporter: (changes: {
    readonly clock?: Clock;
    readonly transport?: Stripe.HttpClient;
  }) => StripeReporter;
  /** Another process's handle of the same file. */
  readonly anotherStore: () => Promise<Store>;
  /** Time in steps, with a round of reporting after each. */
  readonly pass: (ms: number, stepMs?: number) => Promise<void>;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** Reports that Stripe was sent, as their forms. */
  readonly reports: () => readonly URLSearchParams[];
}

/** Everything is gone after the test. */
export async function chain(
  options: {
    readonly stripe?: LocalStripeOptions;
    readonly keeps?: "hour" | "day";
    readonly companies?: readonly string[];
  } = {},
): Promise<Chain> {
  const { folder, remove } = databaseFolder();
  onTestFinished(remove);
  const open = async (): Promise<Store> => {
    const store = await openSqliteStore({ path: join(folder, "meter.db"), bucketMs: MINUTE });
    onTestFinished(() => store.close());
    return store;
  };
  const store = await open();
  const base = world({ store, catalog: catalogOf(tokens, calls) });
  const { clock, round } = base;
  const stripe = await startLocalStripe({ clock, concurrencyConflicts: true, ...options.stripe });
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens", event_time_window: options.keeps ?? null });
  stripe.createMeter({ event_name: "calls" });
  for (const company of options.companies ?? ["acme"])
    stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
  const told: string[] = [];
  const anotherReporter: Chain["anotherReporter"] = (changes) =>
    stripeReporter({
      apiKey: "sk_test_local",
      mode: "test",
      apiBase: stripe.url,
      companyIdAt: { kind: "metadata", key: "company_id" },
      clock,
      onNotice: ({ code }) => void told.push(code),
      ...changes,
    });
  const reporter = anotherReporter({});
  const { host, port } = stripe;
  return {
    ...base,
    stripe,
    reporter,
    told,
    owner: new Stripe("sk_test_owner", { host, port, protocol: "http", telemetry: false, maxNetworkRetries: 0 }),
    anotherReporter,
    anotherStore: open,
    pass: async (ms, stepMs = 10 * MINUTE) => {
      for (let passed = 0; passed < ms; passed += stepMs) {
        clock.advance(Math.min(stepMs, ms - passed));
        await round(reporter);
      }
    },
    rows: () => store.outbox({ limit: 10_000 }),
    reports: () =>
      stripe.requests
        .filter(({ method, path }) => method === "POST" && path === "/v1/billing/meter_events")
        .map(({ form }) => new URLSearchParams(form)),
  };
}
