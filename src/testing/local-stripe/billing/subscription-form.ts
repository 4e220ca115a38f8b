import { localStripeBounds } from "../bounds.ts";
import { listMembers, type FormTree } from "../form-body.ts";
import { onlyParameters, optionalInteger, optionalText, requiredMap, requiredText } from "../parameters.ts";
import { nowSeconds, type LocalState } from "../state.ts";
import { refuse } from "../stripe-refusal.ts";
import { knownPrice } from "./prices.ts";
import type { PriceRecord } from "./records.ts";

const DAY_SECONDS = 86_400;

/** Parameters of Stripe's own that a subscription here would have to forget. */
export const SUBSCRIPTION_NOT_KEPT =
  "add_invoice_items application_fee_percent automatic_tax billing_cycle_anchor_config billing_mode billing_schedules billing_thresholds cancellation_details collection_method currency customer_account days_until_due default_payment_method default_source default_tax_rates description discounts invoice_settings off_session on_behalf_of pause_collection payment_behavior payment_settings pending_invoice_item_interval proration_behavior proration_date transfer_data trial_from_plan trial_settings".split(
    " ",
  );

/** The prices of a new subscription's items; all on one interval. */
export function readItems(state: LocalState, form: FormTree): readonly PriceRecord[] {
  const prices = listMembers(requiredMap(form, "items")).map((member, index) => {
    const label = `items[${String(index)}]`;
    if (typeof member === "string") {
      return refuse("http.parameter_not_map", { message: "Invalid object", param: label });
    }
    if (member["quantity"] !== undefined) {
      refuse("subscription.metered_quantity", {
        message: "You cannot set the quantity for metered plans.",
        param: `${label}[quantity]`,
      });
    }
    onlyParameters(member, ["price"], ["billing_thresholds", "discounts", "metadata", "price_data", "tax_rates"]);
    return knownPrice(state, requiredText(member, "price", { label: `${label}[price]` }), `${label}[price]`);
  });
  if (prices.length > localStripeBounds.subscriptionItemsMax) {
    refuse("subscription.too_many_items", { message: "A subscription can have at most 20 items.", param: "items" });
  }
  const [first] = prices;
  const isMixed = prices.some(
    ({ interval, intervalCount }) => interval !== first?.interval || intervalCount !== first.intervalCount,
  );
  return isMixed
    ? refuse("subscription.mixed_intervals", {
        message: "The local Stripe keeps subscriptions whose prices have one interval.",
        param: "items",
      })
    : prices;
}

/** The anchor and the end of the trial, in seconds; null = now, and none. Both lie ahead, but for a backdated start. */
export function readStart(
  state: LocalState,
  form: FormTree,
): { readonly anchor: number | null; readonly trialEnd: number | null } {
  const now = nowSeconds(state);
  const backdated = optionalInteger(form, "backdate_start_date");
  const anchor = optionalInteger(form, "billing_cycle_anchor");
  const days = optionalInteger(form, "trial_period_days");
  const trialEnd = optionalText(form, "trial_end") === "now" ? null : optionalInteger(form, "trial_end");
  const past = [
    ["billing_cycle_anchor", anchor],
    ["trial_end", trialEnd],
  ] as const;
  for (const [param, time] of past) {
    if (time !== null && time <= now) {
      refuse("subscription.start_in_past", {
        message: `Invalid timestamp for ${param}: must be an integer Unix timestamp in the future.`,
        param,
      });
    }
  }
  return {
    anchor: anchor ?? (backdated === null ? null : Math.min(backdated, now)),
    trialEnd: trialEnd ?? (days === null || days === 0 ? null : now + days * DAY_SECONDS),
  };
}
