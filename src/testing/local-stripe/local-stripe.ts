import { MeterbookError } from "../../core/errors.ts";
import type { Clock } from "../../engine/ports.ts";
import { recordAccountEvent } from "./account-events.ts";
import { addCustomer, customerObject } from "./customers.ts";
import { orderFault, type FaultOrder } from "./faults.ts";
import { ledgerEntries, ledgerTotal, type LedgerEntry } from "./ledger.ts";
import { addMeter, meterObject } from "./meters.ts";
import { fullBucket, type RateLimit } from "./rate-limit.ts";
import { listen, stop } from "./server.ts";
import { emptyState, type ApiKey, type LocalState, type LocalStripeSettings, type LoggedCall } from "./state.ts";

export interface LocalStripeOptions {
  /** 0, the default, takes a free port. Always on 127.0.0.1. */
  readonly port?: number;
  /** The system's clock unless told. */
  readonly clock?: Clock;
  readonly account?: string;
  /** Which keys fit and what `livemode` says; test unless told. */
  readonly mode?: "test" | "live";
  /** The only keys that are taken; without them any secret or restricted key of the mode. */
  readonly apiKeys?: readonly (string | ApiKey)[];
  /** How long a customer's change is not found by search; 0 unless told. */
  readonly searchLagMs?: number;
  /** False = search is refused, as it is for accounts in some countries. */
  readonly searchAvailable?: boolean;
  /** How long an event is not in summaries; 0 unless told. */
  readonly summaryLagMs?: number;
  /** How long Idempotency-Keys are kept; 24 h unless told. */
  readonly idempotencyHorizonMs?: number;
  /** How long identifiers of meter events are remembered; 24 h unless told. Then they are forgotten: a resend counts again. */
  readonly identifierHorizonMs?: number;
  /** Refuse concurrent calls on one (customer, meter) with 409; false unless told. */
  readonly concurrencyConflicts?: boolean;
  /** How long each call takes before it has effect, in real time; 0 unless told. */
  readonly latencyMs?: number;
  /** Calls over it are refused with 429; null or absent = none. */
  readonly rateLimit?: RateLimit | null;
  /** Faults that the first calls meet, in order. */
  readonly faults?: readonly FaultOrder[];
}

/** A customer to put there without a call. */
export interface SeedCustomer {
  readonly id?: string;
  readonly email?: string;
  readonly name?: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A meter to put there without a call, in Stripe's words; absent ones take Stripe's defaults. */
export interface SeedMeter {
  readonly event_name: string;
  readonly display_name?: string;
  readonly formula?: "sum" | "count" | "last";
  readonly customer_key?: string;
  readonly value_key?: string;
  readonly event_time_window?: "hour" | "day" | null;
}

/** A running local Stripe: billing meters and customers, held in memory, on 127.0.0.1. */
export interface LocalStripe {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly account: string;
  /** Every call so far, oldest first, without credentials. */
  readonly requests: readonly LoggedCall[];
  /** What was really counted, per (meter, customer, timestamp). Knows no lag. */
  ledger(): readonly LedgerEntry[];
  /** A customer's exact total of a meter, as a decimal string; "0" when there is none. */
  total(eventName: string, customer: string): string;
  createCustomer(seed?: SeedCustomer): { readonly id: string };
  createMeter(seed: SeedMeter): { readonly id: string; readonly event_name: string };
  /** Deletes a customer as its owner would in the dashboard. */
  deleteCustomer(id: string): void;
  /** Orders a fault for the next call or calls; several orders queue. */
  failNext(order: FaultOrder): void;
  clearFaults(): void;
  /** Changes the rate from now on; null = none. */
  setRateLimit(limit: RateLimit | null): void;
  /** Forgets all identifiers at once, as if their horizon had passed. What was counted stays. */
  forgetIdentifiers(): void;
  /** Stops and cuts every connection. Idempotent. */
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;

/** Starts a local Stripe. Point the genuine client at it: `new Stripe("sk_test_x", {host, port, protocol: "http", telemetry: false})`. */
export async function startLocalStripe(options: LocalStripeOptions = {}): Promise<LocalStripe> {
  const settings = resolveSettings(options);
  const state = emptyState(settings, bucketOf(options.rateLimit ?? null, settings.clock));
  for (const order of options.faults ?? []) {
    orderFault(state.faults, order);
  }
  const { server, port } = await listen(state, options.port ?? 0);
  return {
    url: `http://127.0.0.1:${String(port)}`,
    host: "127.0.0.1",
    port,
    account: settings.account,
    requests: state.calls,
    ledger: () => ledgerEntries(state),
    total: (eventName, customer) => ledgerTotal(state, eventName, customer),
    ...seeds(state),
    failNext: (order) => orderFault(state.faults, order),
    clearFaults: () => {
      state.faults.length = 0;
    },
    setRateLimit: (limit) => {
      state.bucket = bucketOf(limit, settings.clock);
    },
    forgetIdentifiers: () => state.identifiers.clear(),
    close: () => stop(server),
  };
}

function seeds(state: LocalState): Pick<LocalStripe, "createCustomer" | "createMeter" | "deleteCustomer"> {
  return {
    createCustomer({ id, ...fields } = {}) {
      const customer = customerObject(state, addCustomer(state, fields, id));
      recordAccountEvent(state, "customer.created", customer);
      return customer;
    },
    createMeter(seed) {
      const meter = addMeter(state, {
        eventName: seed.event_name,
        ...(seed.display_name === undefined ? {} : { displayName: seed.display_name }),
        ...(seed.formula === undefined ? {} : { formula: seed.formula }),
        ...(seed.customer_key === undefined ? {} : { customerKey: seed.customer_key }),
        ...(seed.value_key === undefined ? {} : { valueKey: seed.value_key }),
        window: seed.event_time_window ?? null,
      });
      return meterObject(state, meter);
    },
    deleteCustomer(id) {
      const customer = state.customers.get(id);
      if (customer === undefined) {
        throw invalid(`There is no customer ${id} in this local Stripe.`);
      }
      recordAccountEvent(state, "customer.deleted", customerObject(state, customer));
      customer.deleted = true;
    },
  };
}

function resolveSettings(options: LocalStripeOptions): LocalStripeSettings {
  return {
    clock: options.clock ?? { now: () => Date.now() },
    account: options.account ?? "acct_L0000000000000",
    mode: options.mode ?? "test",
    apiKeys: options.apiKeys?.map((key) => (typeof key === "string" ? { key } : key)) ?? null,
    searchLagMs: span("searchLagMs", options.searchLagMs, 0),
    searchAvailable: options.searchAvailable ?? true,
    summaryLagMs: span("summaryLagMs", options.summaryLagMs, 0),
    idempotencyHorizonMs: span("idempotencyHorizonMs", options.idempotencyHorizonMs, DAY_MS),
    identifierHorizonMs: span("identifierHorizonMs", options.identifierHorizonMs, DAY_MS),
    concurrencyConflicts: options.concurrencyConflicts ?? false,
    latencyMs: span("latencyMs", options.latencyMs, 0),
  };
}

function span(name: string, value: number | undefined, fallback: number): number {
  if (value !== undefined && !(value >= 0)) {
    throw invalid(`${name} must be milliseconds, 0 or more, not ${String(value)}.`);
  }
  return value ?? fallback;
}

function bucketOf(limit: RateLimit | null, clock: Clock): LocalState["bucket"] {
  return limit === null ? null : fullBucket(limit, clock.now());
}

function invalid(sentence: string): MeterbookError {
  return new MeterbookError("METER_OPTION_INVALID", sentence);
}
