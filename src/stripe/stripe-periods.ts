import type { Stripe } from "stripe";

import type { ErrorCode } from "../core/errors.ts";
import { windowStart } from "../core/window.ts";
import { limits } from "../engine/limits.ts";
import type { BilledPeriod, Clock, CustomerPeriods } from "../engine/ports.ts";
import { earlierSpans } from "./earlier-periods.ts";
import { failureOf, refusalOf } from "./report-answer.ts";
import type { StripeConnection } from "./stripe-connection.ts";
import type { StripeMeters } from "./stripe-meters.ts";
import { unsubscribedCustomers } from "./unsubscribed-customers.ts";

const SECOND_MS = 1_000;

export interface StripePeriods {
  /** Present billing periods of all customers on the active meters; of several items on one meter, each. */
  read(): Promise<readonly BilledPeriod[]>;
  /**
   * One customer's, asked for now, but for one who had none when asked for and is asked for again only so often; null while
   * the key may not read them, which was told.
   */
  ofCustomer(customer: string): Promise<CustomerPeriods | null>;
}

export interface StripePeriodsOptions {
  readonly connection: StripeConnection;
  readonly meters: StripeMeters;
  readonly clock: Clock;
  readonly onNotice: ((notice: { readonly code: ErrorCode; readonly text: string }) => void) | undefined;
}

/**
 * Subscriptions with metered prices, read once an hour. A key that may not read them is told once: periods are then
 * unknown, which is no reason to stop reporting.
 */
export function stripePeriods({ connection, meters, clock, onNotice }: StripePeriodsOptions): StripePeriods {
  let known: { readonly at: number; readonly periods: readonly BilledPeriod[] } | null = null;
  let isRightMissing = false;
  const unsubscribed = unsubscribedCustomers();

  async function list(now: number): Promise<readonly BilledPeriod[]> {
    const names = await meters.namesById();
    const { stripe, read } = connection;
    return read(async () => {
      const periods: BilledPeriod[] = [];
      try {
        for await (const subscription of stripe.subscriptions.list({ status: "all", limit: 100 }))
          if (!hasLongEnded(subscription, now))
            periods.push(...(await periodsOf(connection, subscription, names)).present);
      } catch (error) {
        missesRight(error);
        return [];
      }
      isRightMissing = false;
      return periods;
    });
  }

  /** Throws what is not about the right to read subscriptions. */
  function missesRight(error: unknown): void {
    const failure = failureOf(error);
    if (failure.status !== 403) throw error;
    if (!isRightMissing) onNotice?.({ code: "METER_STRIPE_REFUSED", text: `${refusalOf(failure)} ${UNKNOWN_PERIODS}` });
    isRightMissing = true;
  }

  async function ask(customer: string): Promise<CustomerPeriods | null> {
    const names = await meters.namesById();
    const { stripe, read } = connection;
    return read(async () => {
      const found: CustomerPeriods[] = [];
      try {
        for await (const subscription of stripe.subscriptions.list({ customer, status: "all", limit: 100 }))
          if (!hasLongEnded(subscription, clock.now())) found.push(await periodsOf(connection, subscription, names));
      } catch (error) {
        if (failureOf(error).message.startsWith("No such customer")) return NO_PERIODS;
        missesRight(error);
        return null;
      }
      return {
        present: found.flatMap(({ present }) => present),
        earlier: found.flatMap(({ earlier }) => earlier),
      };
    });
  }

  return {
    read: async () => {
      const at = clock.now();
      if (known !== null && isSameHour(at, known.at)) return known.periods;
      known = { at, periods: await list(at) };
      for (const { customer } of known.periods) unsubscribed.drop(customer);
      return known.periods;
    },
    ofCustomer: async (customer) => {
      // The right is looked for again with the hour's reading.
      if (isRightMissing) return null;
      if (!unsubscribed.mayAsk(customer, hourOf(clock.now()))) return { ...NO_PERIODS, asOf: known?.at ?? 0 };
      const told = await ask(customer);
      if (told !== null && told.present.length + told.earlier.length === 0) unsubscribed.keep(customer);
      else unsubscribed.drop(customer);
      return told;
    },
  };
}

const NO_PERIODS: CustomerPeriods = { present: [], earlier: [] };

/**
 * Read again a minute after each full hour, before the hour's windows are closed: a subscription that began in the hour
 * cuts its window, and usage stated before its begin would be on no invoice.
 */
function isSameHour(a: number, b: number): boolean {
  return hourOf(a) === hourOf(b);
}

function hourOf(at: number): number {
  return windowStart(at - limits.periodsAfterHourMs, limits.reporterPeriodsMs);
}

const UNKNOWN_PERIODS =
  "Billing periods are not known without it: usage is reported all the same, also of customers without a subscription, and windows are not cut where a period ends.";

/**
 * What ended before any usage that Stripe still takes, or never began, has no say. An `incomplete` one has not begun: unless
 * its first invoice is paid within 23 hours it expires and bills nothing; when it is, its period began when it was made.
 * `past_due` and `unpaid` ones go on making invoices, `trialing` ones make them too and give the trial's usage free, and
 * `pause_collection` only leaves them unpaid or voids them: that is its owner's decision
 * (docs.stripe.com/billing/subscriptions/overview, …/billing/subscriptions/pause-payment).
 */
function hasLongEnded({ ended_at: endedAt, status }: Stripe.Subscription, now: number): boolean {
  if (status === "incomplete" || status === "incomplete_expired") return true;
  return endedAt !== null && now - endedAt * SECOND_MS > limits.periodsEndedMaxMs;
}

async function periodsOf(
  { stripe }: StripeConnection,
  subscription: Stripe.Subscription,
  names: ReadonlyMap<string, string>,
): Promise<CustomerPeriods> {
  const { items, customer: payer } = subscription;
  const all = [...items.data];
  // A subscription carries its first items only; one with more is asked for the others.
  if (items.has_more) {
    all.length = 0;
    for await (const item of stripe.subscriptionItems.list({ subscription: subscription.id, limit: 100 }))
      all.push(item);
  }
  const customer = typeof payer === "string" ? payer : payer.id;
  const present: BilledPeriod[] = [];
  const earlier: BilledPeriod[] = [];
  for (const item of all) {
    const reportAs = names.get(item.price.recurring?.meter ?? "");
    const part = reportAs === undefined ? null : billedPart(subscription, item);
    if (reportAs === undefined || part === null) continue;
    const lane = { customer, reportAs, item: item.id };
    present.push({ ...lane, ...part });
    for (const span of earlierSpans(subscription, item)) earlier.push({ ...lane, ...span, renews: true });
  }
  return { present, earlier };
}

type Part = Pick<BilledPeriod, "from" | "to" | "renews">;

/** The item's period (since the API of 2025-03-31 it is the item's own) as far as the subscription is billed; null when there is none of it. */
function billedPart(subscription: Stripe.Subscription, item: Stripe.SubscriptionItem): Part | null {
  const { ended_at: endedAt, cancel_at: cancelAt, cancel_at_period_end: endsWithPeriod } = subscription;
  const from = item.current_period_start * SECOND_MS;
  const end = item.current_period_end * SECOND_MS;
  // Ended at once, the period that ran comes to no invoice unless that was asked for, which is told nowhere
  // (docs.stripe.com/api/subscriptions/cancel, invoice_now): what is not reported of it yet is for a person.
  if (wasEndedAtOnce(subscription, item)) return { from, to: from, renews: false };
  const lastAt = Math.min(
    endedAt === null ? Infinity : endedAt * SECOND_MS,
    cancelAt === null ? Infinity : cancelAt * SECOND_MS,
    pausedAt(subscription),
  );
  const to = Math.min(end, lastAt);
  if (to <= from) return null;
  return { from, to, renews: !endsWithPeriod && lastAt > end };
}

function wasEndedAtOnce(
  { ended_at: endedAt, cancel_at: cancelAt }: Stripe.Subscription,
  { current_period_end: end }: Stripe.SubscriptionItem,
): boolean {
  return endedAt !== null && endedAt < end && (cancelAt === null || endedAt < cancelAt);
}

/** A subscription whose trial ended without a means of payment makes no invoices until it is resumed (…/billing/subscriptions/trials). */
function pausedAt({ status, trial_end: trialEnd }: Stripe.Subscription): number {
  return status === "paused" && trialEnd !== null ? trialEnd * SECOND_MS : Infinity;
}
