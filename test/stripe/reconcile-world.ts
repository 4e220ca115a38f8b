import { onTestFinished } from "vitest";

import { formatDecimal } from "../../src/core/decimal.ts";
import { confirmDrift, type ConfirmedDrift } from "../../src/engine/corrections/confirm-drift.ts";
import { limits } from "../../src/engine/limits.ts";
import type { Drift, OutboxRow, Store } from "../../src/engine/ports.ts";
import { reconcile, type ReconcileOptions, type ReconcileSummary } from "../../src/engine/reconciliation/reconcile.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../src/testing/local-stripe/local-stripe.ts";
import { catalogOf, chat, HOUR, MINUTE, START, tokens, world, type World } from "../engine/world.ts";
import { hourRecord } from "./hour-record.ts";

/** The whole chain up to a local Stripe, and the comparison with its books. */
export interface ReconcileWorld extends World {
  readonly stripe: LocalStripe;
  readonly reporter: StripeReporter;
  /** Counts usage of this hour, waits until its window is closed, and reports it. */
  readonly hour: (used: string, company?: string) => Promise<void>;
  /** Compares all lanes, or those that are due. */
  readonly check: (changes?: Partial<ReconcileOptions>) => Promise<ReconcileSummary>;
  /** An operator's word about a difference. */
  readonly confirm: (
    drift: Drift,
    changes?: { readonly dryRun?: boolean; readonly cause?: string },
  ) => Promise<ConfirmedDrift>;
  readonly rows: (state?: OutboxRow["state"]) => Promise<readonly OutboxRow[]>;
  /** Writes to Stripe past meterbook. */
  readonly write: (value: string, timestamp: number, identifier?: string) => Promise<void>;
}

export interface ReconcileWorldOptions {
  readonly store: Store;
  readonly stripe?: LocalStripeOptions;
  /** Stripe keeps only the last event of these. */
  readonly keeps?: "hour" | "day";
  readonly companies?: readonly string[];
}

export async function reconcileWorld(options: ReconcileWorldOptions): Promise<ReconcileWorld> {
  const base = world({ store: options.store, catalog: catalogOf(tokens) });
  const { clock, store, take, round } = base;
  const stripe = await startLocalStripe({ clock, ...options.stripe });
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens", event_time_window: options.keeps ?? null });
  for (const company of options.companies ?? ["acme"])
    stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
  const reporter = stripeReporter({
    apiKey: "sk_test_local",
    mode: "test",
    apiBase: stripe.url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock,
  });
  let foreign = 0;
  return {
    ...base,
    stripe,
    reporter,
    hour: async (used, company = "acme") => {
      await take(chat(used, { company, time: clock.now() }));
      clock.advance(HOUR + 6 * MINUTE - ((clock.now() - START) % HOUR));
      await round(reporter);
    },
    check: async (changes = {}) => {
      const summary = await reconcile({
        store,
        reporter,
        clock,
        graceMs: HOUR,
        lanes: () => true,
        readOnly: false,
        keepLease: async () => true,
        pace: base.pace,
        wait: async (ms) => void clock.advance(ms),
        onNotice: (notice) => void base.notices.push(notice),
        ...changes,
      });
      if (summary === null) throw new Error("it was looked for a moment ago");
      return summary;
    },
    confirm: async (drift, changes = {}) =>
      confirmDrift({
        store,
        account: await reporter.account(),
        drift,
        author: "operator:ann",
        cause: changes.cause ?? "written by hand",
        now: clock.now(),
        graceMs: HOUR,
        dryRun: changes.dryRun ?? false,
      }),
    rows: async (state) => store.outbox({ ...(state === undefined ? {} : { state }), limit: limits.heldRowsMax }),
    write: async (value, timestamp, identifier = `other_${++foreign}`) => {
      const answer = await reporter.report(hourRecord(value, timestamp, identifier), `${identifier}.other`);
      if (answer.kind !== "accepted") throw new Error(JSON.stringify(answer));
    },
  };
}

/** Differences as short texts: verdict, minutes after START, width in minutes, ours, theirs, how many rows. */
export function shortly(drifts: readonly Drift[]): string[] {
  return drifts.map(
    ({ verdict, from, to, ours, theirs, rowIds }) =>
      `${verdict} +${(from - START) / MINUTE}/${(to - from) / MINUTE} ${formatDecimal(ours)}:${formatDecimal(theirs)} ${rowIds.length}`,
  );
}
