import { isFault, parseDecimal } from "../../core/decimal.ts";
import { recordAccountEvent } from "./account-events.ts";
import { runDue } from "./agenda.ts";
import { addPrice } from "./billing/prices.ts";
import { addProduct } from "./billing/products.ts";
import type { Interval, SubscriptionRecord } from "./billing/records.ts";
import { addSubscription, endSubscription, planEnd } from "./billing/subscription-lifecycle.ts";
import { addCustomer, customerObject, removeCustomer } from "./customers.ts";
import { addMeter, meterNamed, meterObject, setMeterStatus } from "./meters.ts";
import { invalidOption } from "./options.ts";
import { clockMs, type LocalState, type MeterRecord } from "./state.ts";
import { isLoopbackUrl } from "./webhooks/loopback.ts";
import { addWebhook, currentSecret } from "./webhooks/registry.ts";

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

/** A subscription to put there without a call: one item with a price of its own for each meter. */
export interface SeedSubscription {
  readonly customer: string;
  /** Event names of meters that exist. */
  readonly meters: readonly string[];
  /** A month unless told. */
  readonly interval?: Interval;
  /** Seconds; now unless told. In the past: it has been running since, and its closed periods have no invoice here. */
  readonly anchor?: number;
  /** Seconds, ahead of now; no trial unless told. */
  readonly trialEnd?: number;
  /** Price of one unit in the currency's smallest; 1 unless told. */
  readonly unitAmountDecimal?: string;
}

/** A webhook to put there without a call. */
export interface SeedWebhook {
  /** An http URL on a loopback address. */
  readonly url: string;
  /** Event types, or `*`. */
  readonly events: readonly string[];
  /** Whether it is a destination of thin events; false unless told. */
  readonly thin?: boolean;
}

/** What was put there. */
export interface SeededSubscription {
  readonly id: string;
  readonly items: readonly { readonly id: string; readonly price: string; readonly eventName: string }[];
}

export interface SeededWebhook {
  readonly id: string;
  /** `whsec_…` */
  readonly secret: string;
}

export function seedCustomer(state: LocalState, { id, ...fields }: SeedCustomer): { readonly id: string } {
  runDue(state);
  const customer = customerObject(state, addCustomer(state, fields, id));
  recordAccountEvent(state, "customer.created", customer);
  return customer;
}

/** Deletes a customer as its owner would in the dashboard. */
export function deleteCustomer(state: LocalState, id: string): void {
  runDue(state);
  const customer = state.customers.get(id);
  if (customer === undefined) {
    throw invalidOption(`There is no customer ${id} in this local Stripe.`);
  }
  removeCustomer(state, customer);
}

export function seedMeter(state: LocalState, seed: SeedMeter): { readonly id: string; readonly event_name: string } {
  runDue(state);
  const meter = addMeter(state, {
    eventName: seed.event_name,
    ...(seed.display_name === undefined ? {} : { displayName: seed.display_name }),
    ...(seed.formula === undefined ? {} : { formula: seed.formula }),
    ...(seed.customer_key === undefined ? {} : { customerKey: seed.customer_key }),
    ...(seed.value_key === undefined ? {} : { valueKey: seed.value_key }),
    window: seed.event_time_window ?? null,
  });
  return meterObject(state, meter);
}

/** Switches a meter off, or on again, as its owner would in the dashboard. */
export function switchMeter(state: LocalState, eventName: string, isActive: boolean): void {
  runDue(state);
  setMeterStatus(state, knownMeter(state, eventName), isActive);
}

export function seedSubscription(state: LocalState, seed: SeedSubscription): SeededSubscription {
  runDue(state);
  if (state.customers.get(seed.customer)?.deleted !== false) {
    throw invalidOption(`There is no customer ${seed.customer} in this local Stripe.`);
  }
  const unit = parseDecimal(seed.unitAmountDecimal ?? "1");
  if (isFault(unit) || unit < 0n || seed.meters.length === 0) {
    throw invalidOption("A subscription needs at least one meter, and an amount of 0 or more.");
  }
  if ((seed.trialEnd ?? Number.POSITIVE_INFINITY) * 1000 <= clockMs(state)) {
    throw invalidOption("trialEnd must lie ahead, in seconds.");
  }
  const prices = seed.meters.map((eventName) =>
    addPrice(state, {
      product: addProduct(state, eventName).id,
      currency: "usd",
      scheme: { kind: "per_unit", unit },
      interval: seed.interval ?? "month",
      intervalCount: 1,
      meter: knownMeter(state, eventName).id,
      transform: null,
    }),
  );
  const { customer, anchor = null, trialEnd = null } = seed;
  const subscription = addSubscription(state, { customer, prices, anchor, trialEnd, metadata: {} });
  const items = subscription.items.map(({ id, price }, index) => ({
    id,
    price: price.id,
    eventName: seed.meters[index] ?? "",
  }));
  return { id: subscription.id, items };
}

/** Ends a subscription as its owner would: at a time with a last invoice, or at once, its running period on none. */
export function cancelSubscription(state: LocalState, id: string, atMs?: number): void {
  runDue(state);
  const subscription = knownSubscription(state, id);
  if (atMs === undefined || atMs <= clockMs(state)) {
    endSubscription(state, subscription, false);
  } else {
    planEnd(state, subscription, { at: Math.floor(atMs / 1000) });
  }
}

export function seedWebhook(state: LocalState, { url, events, thin = false }: SeedWebhook): SeededWebhook {
  runDue(state);
  if (!isLoopbackUrl(url)) {
    throw invalidOption(`The local Stripe calls http URLs of this machine only, not ${url}.`);
  }
  const webhook = addWebhook(state, { url, events, api: thin ? "v2" : "v1", payload: thin ? "thin" : "snapshot" });
  return { id: webhook.id, secret: currentSecret(webhook) };
}

function knownMeter(state: LocalState, eventName: string): MeterRecord {
  const meter = meterNamed(state, eventName);
  if (meter === null) {
    throw invalidOption(`There is no meter with event name ${eventName} in this local Stripe.`);
  }
  return meter;
}

function knownSubscription(state: LocalState, id: string): SubscriptionRecord {
  const subscription = state.subscriptions.get(id);
  if (subscription === undefined || subscription.endedAt !== null) {
    throw invalidOption(`There is no subscription ${id} that runs in this local Stripe.`);
  }
  return subscription;
}
