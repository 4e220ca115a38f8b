import type { Stripe } from "stripe";

import type { BilledPeriod } from "../engine/ports.ts";

type Span = Pick<BilledPeriod, "from" | "to">;

/**
 * What an item has been billed for before its present period: Stripe tells since when, and not where the periods ended. The
 * last one is taken as short as it can be, so none ends later here than it did, and no usage is taken for in time.
 */
export function earlierSpans(subscription: Stripe.Subscription, item: Stripe.SubscriptionItem): Span[] {
  const from = item.current_period_start;
  // An item that was added later bills from then on; one of the first days may be older than its subscription's making.
  const isFirst = item.created <= subscription.created + FIRST_ITEMS_S;
  const since = isFirst ? subscription.start_date : item.created;
  const lastFrom = Math.max(since, from - shortestLast(subscription, item));
  return [
    { from: since, to: lastFrom },
    { from: lastFrom, to: from },
  ].flatMap((span) => (span.from < span.to ? [{ from: span.from * SECOND_MS, to: span.to * SECOND_MS }] : []));
}

/**
 * The shortest that the last period can have been, seconds. It is a day where the price may have been of another kind: a
 * change of its interval begins a period and moves the anchor there (docs.stripe.com/billing/subscriptions/billing-cycle), so
 * only an anchor at least one period back says that the last one was of the present kind.
 */
function shortestLast(subscription: Stripe.Subscription, item: Stripe.SubscriptionItem): number {
  const { current_period_start: from, current_period_end: to, price } = item;
  const { interval, interval_count: count } = price.recurring ?? { interval: "day", interval_count: 1 };
  const { shortest, longest } = DAYS.get(interval) ?? ONE_DAY;
  const lastS = shortest * count * DAY_S;
  const isOfKind = to - from >= lastS && to - from <= longest * count * DAY_S;
  return isOfKind && subscription.billing_cycle_anchor + lastS <= from ? lastS : DAY_S;
}

const SECOND_MS = 1_000;
const DAY_S = 86_400;
/** Items made together with their subscription. */
const FIRST_ITEMS_S = 60;
const ONE_DAY = { shortest: 1, longest: 1 } as const;
/** How many days a period of each kind has. */
const DAYS: ReadonlyMap<string, { readonly shortest: number; readonly longest: number }> = new Map([
  ["day", ONE_DAY],
  ["week", { shortest: 7, longest: 7 }],
  ["month", { shortest: 28, longest: 31 }],
  ["year", { shortest: 365, longest: 366 }],
]);
