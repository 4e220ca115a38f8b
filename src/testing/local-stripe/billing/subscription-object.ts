import { isLive, nowSeconds, type LocalState } from "../state.ts";
import { amountFields, priceObject } from "./price-object.ts";
import type { PriceRecord, SubscriptionItemRecord, SubscriptionRecord } from "./records.ts";

/** trialing, active or canceled, as of now. */
export function subscriptionStatus(
  state: LocalState,
  { endedAt, trialEnd }: SubscriptionRecord,
): "trialing" | "active" | "canceled" {
  if (endedAt !== null) {
    return "canceled";
  }
  return trialEnd !== null && nowSeconds(state) < trialEnd ? "trialing" : "active";
}

/** The JSON of a subscription; its periods stand on the items, as since basil. */
export function subscriptionObject(state: LocalState, subscription: SubscriptionRecord): object {
  const { id, items, trialEnd } = subscription;
  return {
    ...UNUSED,
    id,
    object: "subscription",
    billing_cycle_anchor: subscription.anchor,
    cancel_at: subscription.cancelAt,
    cancel_at_period_end: subscription.cancelAtPeriodEnd,
    canceled_at: subscription.canceledAt,
    cancellation_details: {
      comment: null,
      feedback: null,
      feedback_option: null,
      reason: subscription.canceledAt === null ? null : "cancellation_requested",
    },
    created: subscription.created,
    currency: items[0]?.price.currency ?? "usd",
    customer: subscription.customer,
    ended_at: subscription.endedAt,
    items: {
      object: "list",
      data: items.map((item) => itemObject(state, subscription, item)),
      has_more: false,
      url: `/v1/subscription_items?subscription=${id}`,
    },
    latest_invoice: subscription.latestInvoice,
    livemode: isLive(state),
    metadata: subscription.metadata,
    start_date: subscription.startDate,
    status: subscriptionStatus(state, subscription),
    trial_end: trialEnd,
    trial_start: trialEnd === null ? null : subscription.startDate,
  };
}

function itemObject(state: LocalState, subscription: SubscriptionRecord, item: SubscriptionItemRecord): object {
  return {
    id: item.id,
    object: "subscription_item",
    billing_thresholds: null,
    created: subscription.created,
    current_period_end: subscription.periodEnd,
    current_period_start: subscription.periodStart,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: planObject(state, item.price),
    price: priceObject(state, item.price, false),
    subscription: subscription.id,
    tax_rates: [],
  };
}

/** The price in the words of the older API, which items still carry. */
function planObject(state: LocalState, price: PriceRecord): object {
  const { scheme } = price;
  return {
    id: price.id,
    object: "plan",
    active: price.isActive,
    billing_scheme: scheme.kind,
    created: price.created,
    currency: price.currency,
    interval: price.interval,
    interval_count: price.intervalCount,
    livemode: isLive(state),
    metadata: price.metadata,
    meter: price.meter,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: scheme.kind === "tiered" ? scheme.mode : null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: "metered",
    ...amountFields("amount", scheme.kind === "per_unit" ? scheme.unit : null),
  };
}

/** What every subscription has and this server gives no meaning. */
const UNUSED = {
  application: null,
  application_fee_percent: null,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null },
  billing_cycle_anchor_config: null,
  billing_mode: { flexible: null, type: "flexible" },
  billing_schedules: [],
  billing_thresholds: null,
  collection_method: "charge_automatically",
  customer_account: null,
  days_until_due: null,
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  description: null,
  discounts: [],
  invoice_settings: {
    account_tax_ids: null,
    custom_fields: null,
    description: null,
    footer: null,
    issuer: { type: "self" },
  },
  managed_payments: null,
  next_pending_invoice_item_invoice: null,
  on_behalf_of: null,
  pause_collection: null,
  payment_settings: null,
  pending_invoice_item_interval: null,
  pending_setup_intent: null,
  pending_update: null,
  schedule: null,
  test_clock: null,
  transfer_data: null,
  trial_settings: null,
} as const;
