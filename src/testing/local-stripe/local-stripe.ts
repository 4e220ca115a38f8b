import { moveClock, runDue } from "./agenda.ts";
import { startDeliveries } from "./deliveries.ts";
import { orderFault, type FaultOrder } from "./faults.ts";
import { invoicedUsage, type InvoicedUsage } from "./invoiced.ts";
import { ledgerEntries, ledgerTotal, type LedgerEntry } from "./ledger.ts";
import { disturbWebhooks, setLags, stateFrom, type LocalStripeOptions } from "./options.ts";
import { fullBucket, type RateLimit } from "./rate-limit.ts";
import { applySeed, type Seeded, type SeedFile } from "./seed-file.ts";
import {
  cancelSubscription,
  deleteCustomer,
  seedCustomer,
  seedMeter,
  seedSubscription,
  seedWebhook,
  switchMeter,
  type SeedCustomer,
  type SeededSubscription,
  type SeededWebhook,
  type SeedMeter,
  type SeedSubscription,
  type SeedWebhook,
} from "./seeds.ts";
import { listen, stop } from "./server.ts";
import { clockMs, nowMs, type LocalState, type LoggedCall } from "./state.ts";
import type { LoggedDelivery, WebhookDisturbance } from "./webhooks/records.ts";
import { rollWebhookSecret } from "./webhooks/registry.ts";

export type { LocalStripeOptions } from "./options.ts";

/** A running local Stripe: billing meters, customers, subscriptions and webhooks, held in memory, on 127.0.0.1. */
export interface LocalStripe extends LocalAccount {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly account: string;
  /** Every call so far, oldest first, without credentials. */
  readonly requests: readonly LoggedCall[];
  /** Every attempt to deliver a webhook, oldest first. */
  readonly deliveries: readonly LoggedDelivery[];
  /** The time of its clock, in milliseconds. */
  now(): number;
  /** Moves its clock against the one it was given, and runs what became due, in order of time. Returns the new time. */
  advance(ms: number): number;
  /** Sets its clock to a time in milliseconds, as `advance` does. */
  setTime(ms: number): void;
  /** What was really counted, per (meter, customer, timestamp). Knows no lag; an event that waits for validation is not in it. */
  ledger(): readonly LedgerEntry[];
  /** A customer's exact total of a meter, as a decimal string; "0" when there is none. */
  total(eventName: string, customer: string): string;
  /** What every invoice bills by meter, oldest invoice first. */
  invoiced(): readonly InvoicedUsage[];
  /** Orders a fault for the next call or calls; several orders queue. */
  failNext(order: FaultOrder): void;
  clearFaults(): void;
  /** Changes the rate from now on; null = none. */
  setRateLimit(limit: RateLimit | null): void;
  /** Changes how long search and summaries lag, for what is read from now on. */
  setLags(lags: { readonly summaryLagMs?: number; readonly searchLagMs?: number }): void;
  /** Forgets all identifiers at once, as if their horizon had passed. What was counted stays. */
  forgetIdentifiers(): void;
  /** Tries every delivery that is due, and those that these lead to; ends when none is due. Returns the attempts made. */
  deliverWebhooks(): Promise<number>;
  /** Changes what goes wrong on the way of webhooks; what is not named stays. */
  disturbWebhooks(disturbance: Partial<WebhookDisturbance>): void;
  /** Stops and cuts every connection. Idempotent. */
  close(): Promise<void>;
}

/** What an owner does in the dashboard: no call is made, no fault is met. */
interface LocalAccount {
  /** Customers, meters, subscriptions and webhooks at once, as parsed from a file. */
  seed(file: SeedFile): Seeded;
  createCustomer(seed?: SeedCustomer): { readonly id: string };
  /** Deletes a customer, which ends its subscriptions. */
  deleteCustomer(id: string): void;
  createMeter(seed: SeedMeter): { readonly id: string; readonly event_name: string };
  deactivateMeter(eventName: string): void;
  reactivateMeter(eventName: string): void;
  /** A subscription with one item and a price of its own for each meter. */
  createSubscription(seed: SeedSubscription): SeededSubscription;
  /** Ends it at a time in milliseconds, with a last invoice; without a time at once, its running period on no invoice. */
  cancelSubscription(id: string, atMs?: number): void;
  /** A webhook endpoint, or with `thin` an event destination; on a loopback address only. */
  createWebhook(seed: SeedWebhook): SeededWebhook;
  /** A new secret for a webhook. The old one signs beside it for `overlapMs`, 24 h unless told. */
  rollSecret(webhook: string, overlapMs?: number): string;
}

const DAY_MS = 86_400_000;

/** Starts a local Stripe. Point the genuine client at it: `new Stripe("sk_test_x", {host, port, protocol: "http", telemetry: false})`. */
export async function startLocalStripe(options: LocalStripeOptions = {}): Promise<LocalStripe> {
  const state = stateFrom(options);
  const deliveries = startDeliveries(state, options.automatic ?? false);
  const deliverWebhooks = async (): Promise<number> => deliveries.run();
  const { server, port } = await listen(state, { port: options.port ?? 0, deliverWebhooks });
  return {
    url: `http://127.0.0.1:${String(port)}`,
    host: "127.0.0.1",
    port,
    account: state.settings.account,
    requests: state.calls,
    deliveries: state.deliveryLog,
    ...localAccount(state),
    ...readings(state),
    now: () => clockMs(state),
    advance: (ms) => moveClock(state, ms),
    setTime: (ms) => void moveClock(state, ms - clockMs(state)),
    failNext: (order) => orderFault(state.faults, order),
    clearFaults: () => {
      state.faults.length = 0;
    },
    setRateLimit: (limit) => {
      state.bucket = limit === null ? null : fullBucket(limit, nowMs(state));
    },
    setLags: (lags) => setLags(state, lags),
    forgetIdentifiers: () => state.identifiers.clear(),
    deliverWebhooks,
    disturbWebhooks: (disturbance) => disturbWebhooks(state, disturbance),
    close: async () => {
      await deliveries.stop();
      await stop(server);
    },
  };
}

function localAccount(state: LocalState): LocalAccount {
  return {
    seed: (file) => applySeed(state, file),
    createCustomer: (seed = {}) => seedCustomer(state, seed),
    deleteCustomer: (id) => deleteCustomer(state, id),
    createMeter: (seed) => seedMeter(state, seed),
    deactivateMeter: (eventName) => switchMeter(state, eventName, false),
    reactivateMeter: (eventName) => switchMeter(state, eventName, true),
    createSubscription: (seed) => seedSubscription(state, seed),
    cancelSubscription: (id, atMs) => cancelSubscription(state, id, atMs),
    createWebhook: (seed) => seedWebhook(state, seed),
    rollSecret: (webhook, overlapMs = DAY_MS) => rollWebhookSecret(state, webhook, overlapMs),
  };
}

/** What is read after all that is due has run. */
function readings(state: LocalState): Pick<LocalStripe, "ledger" | "total" | "invoiced"> {
  return {
    ledger: () => {
      runDue(state);
      return ledgerEntries(state);
    },
    total: (eventName, customer) => {
      runDue(state);
      return ledgerTotal(state, eventName, customer);
    },
    invoiced: () => {
      runDue(state);
      return invoicedUsage(state);
    },
  };
}
