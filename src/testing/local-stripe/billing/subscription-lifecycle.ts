import { recordAccountEvent } from "../account-events.ts";
import { schedule } from "../agenda.ts";
import type { BehaviourKey } from "../behaviours.ts";
import { nextId, nowSeconds, type LocalState } from "../state.ts";
import { boundaryAfter, boundaryUpTo, type Cycle } from "./calendar.ts";
import { draftInvoice } from "./invoice-lifecycle.ts";
import type { PriceRecord, SubscriptionRecord } from "./records.ts";
import { subscriptionObject } from "./subscription-object.ts";

/** The rows of the behaviours table that the life of a subscription shows. */
export const PERIOD_BEHAVIOURS: readonly BehaviourKey[] = [
  "subscription.periods",
  "subscription.trial",
  "subscription.cancel_at",
  "subscription.customer_deleted",
  "invoice.period_end",
  "invoice.grace",
  "invoice.half_open",
  "invoice.negative",
  "invoice.visible_usage",
  "invoice.tiers",
  "invoice.rounding",
  "invoice.first",
];

/** Starts a subscription. An anchor in the past means that it has been running since, its closed periods billed elsewhere. */
export function addSubscription(
  state: LocalState,
  facts: {
    readonly customer: string;
    readonly prices: readonly PriceRecord[];
    readonly anchor: number | null;
    readonly trialEnd: number | null;
    readonly metadata: Readonly<Record<string, string>>;
  },
): SubscriptionRecord {
  const now = nowSeconds(state);
  const anchor = facts.trialEnd ?? facts.anchor ?? now;
  const startDate = Math.min(anchor, now);
  const subscription: SubscriptionRecord = {
    id: nextId(state, "sub"),
    customer: facts.customer,
    created: now,
    startDate,
    anchor,
    items: facts.prices.map((price) => ({ id: nextId(state, "si"), price })),
    periodStart: now,
    periodEnd: now,
    trialEnd: facts.trialEnd,
    cancelAt: null,
    cancelAtPeriodEnd: false,
    canceledAt: null,
    endedAt: null,
    latestInvoice: null,
    metadata: facts.metadata,
  };
  state.subscriptions.set(subscription.id, subscription);
  openPeriod(state, subscription, anchor > now ? startDate : boundaryUpTo(cycleOf(subscription), now));
  tell(state, "customer.subscription.created", subscription);
  return subscription;
}

/** Plans the end, or with null takes the plan back: at a time in seconds, or with the period that runs. */
export function planEnd(
  state: LocalState,
  subscription: SubscriptionRecord,
  plan: { readonly at: number } | "period_end" | null,
): void {
  subscription.cancelAtPeriodEnd = plan === "period_end";
  subscription.cancelAt =
    plan === "period_end" ? naturalEnd(subscription) : plan === null ? null : Math.max(plan.at, nowSeconds(state));
  subscription.canceledAt = plan === null ? null : nowSeconds(state);
  openPeriod(state, subscription, subscription.periodStart);
  tell(state, "customer.subscription.updated", subscription);
}

/** Ends a subscription now. Without `invoiceNow` the usage of the period that runs is on no invoice. */
export function endSubscription(state: LocalState, subscription: SubscriptionRecord, invoiceNow: boolean): void {
  const now = nowSeconds(state);
  subscription.canceledAt ??= now;
  subscription.endedAt = now;
  if (invoiceNow) {
    const { periodStart } = subscription;
    const isTrial = isTrialPeriod(subscription);
    draftInvoice(state, subscription, { periodStart, periodEnd: now, isTrial, reason: "subscription_update" });
  }
  tell(state, "customer.subscription.deleted", subscription);
}

/** Ends all that a customer has: it was deleted. */
export function endSubscriptionsOf(state: LocalState, customer: string): void {
  for (const subscription of state.subscriptions.values()) {
    if (subscription.customer === customer && subscription.endedAt === null) {
      endSubscription(state, subscription, false);
    }
  }
}

function openPeriod(state: LocalState, subscription: SubscriptionRecord, start: number): void {
  subscription.periodStart = start;
  const end = Math.min(naturalEnd(subscription), subscription.cancelAt ?? Number.POSITIVE_INFINITY);
  subscription.periodEnd = end;
  schedule(state, end * 1000, () => {
    const isMeant = subscription.endedAt === null && subscription.periodStart === start;
    if (isMeant && subscription.periodEnd === end) {
      closePeriod(state, subscription);
    }
  });
}

function closePeriod(state: LocalState, subscription: SubscriptionRecord): void {
  const { periodStart, periodEnd, cancelAt } = subscription;
  const isTrial = isTrialPeriod(subscription);
  draftInvoice(state, subscription, { periodStart, periodEnd, isTrial, reason: "subscription_cycle" });
  if (cancelAt !== null && cancelAt <= periodEnd) {
    subscription.endedAt = periodEnd;
    tell(state, "customer.subscription.deleted", subscription);
  } else {
    openPeriod(state, subscription, periodEnd);
    tell(state, "customer.subscription.updated", subscription);
  }
}

/** Where the period that runs ends unless the subscription ends before. */
function naturalEnd(subscription: SubscriptionRecord): number {
  return isTrialPeriod(subscription)
    ? (subscription.trialEnd ?? 0)
    : boundaryAfter(cycleOf(subscription), subscription.periodStart);
}

function isTrialPeriod({ trialEnd, periodStart }: SubscriptionRecord): boolean {
  return trialEnd !== null && periodStart < trialEnd;
}

function cycleOf({ anchor, items }: SubscriptionRecord): Cycle {
  return { anchor, interval: items[0]?.price.interval ?? "month", count: items[0]?.price.intervalCount ?? 1 };
}

function tell(state: LocalState, type: string, subscription: SubscriptionRecord): void {
  recordAccountEvent(state, type, subscriptionObject(state, subscription));
}
