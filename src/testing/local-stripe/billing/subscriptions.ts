import { createdFilter } from "../created-filter.ts";
import { changedMetadata } from "../metadata.ts";
import { listPage, PAGE_PARAMETERS } from "../pages.ts";
import {
  onlyParameters,
  optionalBoolean,
  optionalChoice,
  optionalInteger,
  optionalText,
  requiredText,
} from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import type { LocalState } from "../state.ts";
import { refuse, refuseMissing } from "../stripe-refusal.ts";
import type { SubscriptionRecord } from "./records.ts";
import { readItems, readStart, SUBSCRIPTION_NOT_KEPT } from "./subscription-form.ts";
import { addSubscription, endSubscription, planEnd } from "./subscription-lifecycle.ts";
import { subscriptionObject, subscriptionStatus } from "./subscription-object.ts";

const PATH = "/v1/subscriptions";
const START = ["billing_cycle_anchor", "backdate_start_date", "trial_end", "trial_period_days"];
const STATUSES = [
  "active",
  "canceled",
  "incomplete",
  "incomplete_expired",
  "past_due",
  "paused",
  "trialing",
  "unpaid",
  "all",
  "ended",
] as const;

export const subscriptionRoutes: readonly Route[] = [
  {
    operation: "subscription.create",
    method: "POST",
    path: PATH,
    right: "rak_subscription_write",
    behaviours: ["subscription.create", "subscription.backdated"],
    answer: ({ state, form }) => {
      onlyParameters(
        form,
        ["customer", "items", "metadata", "cancel_at", "cancel_at_period_end", ...START],
        SUBSCRIPTION_NOT_KEPT,
      );
      const customer = liveCustomer(state, requiredText(form, "customer"));
      const prices = readItems(state, form);
      const metadata = changedMetadata({}, form);
      const subscription = addSubscription(state, { customer, prices, metadata, ...readStart(state, form) });
      changeEnd(state, subscription, form);
      return subscriptionObject(state, subscription);
    },
  },
  {
    operation: "subscription.list",
    method: "GET",
    path: PATH,
    right: "rak_subscription_read",
    behaviours: ["subscription.list", "page.cursor"],
    answer: listSubscriptions,
  },
  {
    operation: "subscription.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_subscription_read",
    behaviours: ["subscription.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, []);
      return subscriptionObject(call.state, pathSubscription(call));
    },
  },
  {
    operation: "subscription.update",
    method: "POST",
    path: `${PATH}/:id`,
    right: "rak_subscription_write",
    behaviours: ["subscription.update"],
    answer: (call) => {
      const { state, form } = call;
      onlyParameters(
        form,
        ["metadata", "cancel_at", "cancel_at_period_end"],
        [...SUBSCRIPTION_NOT_KEPT, ...START, "items"],
      );
      const subscription = pathSubscription(call);
      if (subscription.endedAt !== null && (form["cancel_at"] ?? form["cancel_at_period_end"]) !== undefined) {
        refuse("subscription.canceled_fixed", {
          message: "A canceled subscription can only update its cancellation_details and metadata.",
        });
      }
      subscription.metadata = changedMetadata(subscription.metadata, form);
      changeEnd(state, subscription, form);
      return subscriptionObject(state, subscription);
    },
  },
  {
    operation: "subscription.cancel",
    method: "DELETE",
    path: `${PATH}/:id`,
    right: "rak_subscription_write",
    behaviours: ["subscription.cancel"],
    answer: (call) => {
      const { state, form } = call;
      onlyParameters(form, ["invoice_now", "prorate"], ["cancellation_details"]);
      const subscription = pathSubscription(call);
      if (subscription.endedAt !== null) {
        refuseMissing("subscription.not_found", "subscription", subscription.id);
      }
      endSubscription(state, subscription, optionalBoolean(form, "invoice_now") ?? false);
      return subscriptionObject(state, subscription);
    },
  },
];

function changeEnd(state: LocalState, subscription: SubscriptionRecord, form: Call["form"]): void {
  const atPeriodEnd = optionalBoolean(form, "cancel_at_period_end");
  const isUnset = form["cancel_at"] === "";
  const cancelAt = isUnset ? null : optionalInteger(form, "cancel_at");
  if (atPeriodEnd === true) {
    planEnd(state, subscription, "period_end");
  } else if (cancelAt !== null) {
    planEnd(state, subscription, { at: cancelAt });
  } else if (isUnset || (atPeriodEnd === false && subscription.cancelAtPeriodEnd)) {
    planEnd(state, subscription, null);
  }
}

function listSubscriptions({ state, form }: Call): object {
  const kept = ["customer", "status", "price", "created"];
  onlyParameters(
    form,
    [...PAGE_PARAMETERS, ...kept],
    "automatic_tax collection_method current_period_end current_period_start customer_account plan test_clock".split(
      " ",
    ),
  );
  const customer = optionalText(form, "customer");
  const price = optionalText(form, "price");
  const status = optionalChoice(form, "status", STATUSES);
  const wanted = createdFilter(form);
  const fits = (subscription: SubscriptionRecord): boolean =>
    (customer === null || subscription.customer === customer) &&
    (price === null || subscription.items.some((item) => item.price.id === price)) &&
    statusFits(status, subscriptionStatus(state, subscription)) &&
    wanted(subscription.created);
  const entries = [...state.subscriptions.values()].toReversed().map((subscription) => ({
    id: subscription.id,
    object: fits(subscription) ? subscriptionObject(state, subscription) : null,
  }));
  return listPage(entries, form, PATH, "subscription");
}

/** Without a status all but the canceled ones are listed. */
function statusFits(asked: (typeof STATUSES)[number] | null, status: string): boolean {
  if (asked === null) {
    return status !== "canceled";
  }
  return asked === "all" || status === (asked === "ended" ? "canceled" : asked);
}

function liveCustomer(state: LocalState, id: string): string {
  return state.customers.get(id)?.deleted === false
    ? id
    : refuseMissing("customer.not_found", "customer", id, "customer");
}

function pathSubscription({ state, path }: Call): SubscriptionRecord {
  const id = path["id"] ?? "";
  return state.subscriptions.get(id) ?? refuseMissing("subscription.not_found", "subscription", id);
}
