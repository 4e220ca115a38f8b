import type { Stripe } from "stripe";

import type { ErrorCode } from "../core/errors.ts";
import { windowStart } from "../core/window.ts";
import { limits } from "../engine/limits.ts";
import type { BilledPeriod, Clock } from "../engine/ports.ts";
import { failureOf, refusalOf } from "./report-answer.ts";
import type { StripeConnection } from "./stripe-connection.ts";
import type { StripeMeters } from "./stripe-meters.ts";

const SECOND_MS = 1_000;

export interface StripePeriods {
  /** Present billing periods of all customers on the active meters; of several items on one meter, each. */
  read(): Promise<readonly BilledPeriod[]>;
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

  async function list(now: number): Promise<readonly BilledPeriod[]> {
    const names = await meters.namesById();
    const { stripe, read } = connection;
    return read(async () => {
      const periods: BilledPeriod[] = [];
      try {
        for await (const subscription of stripe.subscriptions.list({ status: "all", limit: 100 }))
          if (!hasLongEnded(subscription, now)) periods.push(...(await periodsOf(connection, subscription, names)));
      } catch (error) {
        const failure = failureOf(error);
        if (failure.status !== 403) throw error;
        if (!isRightMissing)
          onNotice?.({ code: "METER_STRIPE_REFUSED", text: `${refusalOf(failure)} ${UNKNOWN_PERIODS}` });
        isRightMissing = true;
        return [];
      }
      isRightMissing = false;
      return periods;
    });
  }

  return {
    read: async () => {
      const at = clock.now();
      if (known !== null && isSameHour(at, known.at)) return known.periods;
      known = { at, periods: await list(at) };
      return known.periods;
    },
  };
}

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
  "Billing periods are not known without it: usage is reported all the same, but windows are not cut where a period ends.";

/** What ended before any usage that Stripe still takes, or never began, has no say. */
function hasLongEnded({ ended_at: endedAt, status }: Stripe.Subscription, now: number): boolean {
  if (status === "incomplete_expired") return true;
  return endedAt !== null && now - endedAt * SECOND_MS > limits.periodsEndedMaxMs;
}

async function periodsOf(
  { stripe }: StripeConnection,
  subscription: Stripe.Subscription,
  names: ReadonlyMap<string, string>,
): Promise<BilledPeriod[]> {
  const { items, customer } = subscription;
  const all = [...items.data];
  // A subscription carries its first items only; one with more is asked for the others.
  if (items.has_more) {
    all.length = 0;
    for await (const item of stripe.subscriptionItems.list({ subscription: subscription.id, limit: 100 }))
      all.push(item);
  }
  return all.flatMap((item) => {
    const reportAs = names.get(item.price.recurring?.meter ?? "");
    if (reportAs === undefined) return [];
    const period = billedPart(subscription, item);
    return period === null
      ? []
      : [{ customer: typeof customer === "string" ? customer : customer.id, reportAs, item: item.id, ...period }];
  });
}

/** The item's period (since the API of 2025-03-31 it is the item's own) as far as the subscription lives; null when there is none of it. */
function billedPart(
  { ended_at: endedAt, cancel_at: cancelAt, cancel_at_period_end: endsWithPeriod }: Stripe.Subscription,
  item: Stripe.SubscriptionItem,
): Pick<BilledPeriod, "from" | "to" | "renews"> | null {
  const from = item.current_period_start * SECOND_MS;
  const end = item.current_period_end * SECOND_MS;
  const lastAt = Math.min(
    endedAt === null ? Infinity : endedAt * SECOND_MS,
    cancelAt === null ? Infinity : cancelAt * SECOND_MS,
  );
  const to = Math.min(end, lastAt);
  if (to <= from) return null;
  return { from, to, renews: !endsWithPeriod && lastAt > end };
}
