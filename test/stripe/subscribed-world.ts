import { onTestFinished } from "vitest";

import type { LatePolicy } from "../../src/core/meter.ts";
import { ownMembers } from "../../src/core/own-member.ts";
import type { OutboxRow, Store } from "../../src/engine/ports.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { startLocalStripe, type LocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import type { ApiKey } from "../../src/testing/local-stripe/state.ts";
import { catalogOf, hourly, MINUTE, tokens, world, type World } from "../engine/world.ts";

/** A company `acme` whose customer has no subscription yet, at a local Stripe, with the genuine client. */
export interface SubscribedWorld extends World {
  readonly stripe: LocalStripe;
  readonly reporter: StripeReporter;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** State, and the first word of the reason, of every row, oldest window first. */
  readonly standing: () => Promise<readonly string[]>;
  /** Rounds of reporting every few minutes up to an instant. */
  readonly until: (instant: number, everyMs?: number) => Promise<void>;
  /** What Stripe counted of acme. */
  readonly total: () => string;
  /** What each invoice bills of acme, oldest first. */
  readonly invoiced: () => readonly string[];
}

export interface SubscribedWorldOptions {
  readonly store: Store;
  readonly late?: LatePolicy;
  readonly keeps?: "hour" | "day";
  readonly keys?: readonly ApiKey[];
  readonly noSubscription?: "hold" | "send";
}

/** Where usage without a subscription is held, unless it is told otherwise. */
export async function subscribedWorld(options: SubscribedWorldOptions): Promise<SubscribedWorld> {
  const { store, late, keeps, keys, noSubscription = "hold" } = ownMembers(options);
  const catalog = catalogOf(late === undefined ? tokens : { ...tokens, late });
  const base = world({ store, catalog, settings: { ...hourly, noSubscription } });
  const { clock } = base;
  const stripe = await startLocalStripe({ clock, ...(keys === undefined ? {} : { apiKeys: keys }) });
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens", event_time_window: keeps ?? null });
  stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
  const reporter = stripeReporter({
    apiKey: keys?.[0]?.key ?? "sk_test_local",
    mode: "test",
    apiBase: stripe.url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock,
    onNotice: (notice) => void base.notices.push(notice),
  });
  const rows = (): Promise<readonly OutboxRow[]> => store.outbox({ limit: 9_999 });
  return {
    ...base,
    stripe,
    reporter,
    rows,
    standing: async () =>
      (await rows()).map(({ state, reason }) => (reason === null ? state : `${state} ${/^\w+/.exec(reason)?.[0]}`)),
    until: async (instant, everyMs = 10 * MINUTE) => {
      for (;;) {
        await base.round(reporter);
        if (clock.now() >= instant) return;
        clock.set(Math.min(instant, clock.now() + everyMs));
      }
    },
    total: () => stripe.total("chat_tokens", "cus_acme"),
    invoiced: () => stripe.invoiced().map(({ quantity }) => quantity),
  };
}

/** Seconds, as Stripe has them. */
export function seconds(instant: number): number {
  return Math.floor(instant / 1_000);
}
