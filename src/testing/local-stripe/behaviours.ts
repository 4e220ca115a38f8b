import { BILLING_BEHAVIOURS } from "./behaviours/billing.ts";
import { CALL_BEHAVIOURS } from "./behaviours/calls.ts";
import { CUSTOMER_BEHAVIOURS } from "./behaviours/customers.ts";
import { FAULT_ROWS } from "./behaviours/faults.ts";
import { METERING_BEHAVIOURS } from "./behaviours/metering.ts";
import { WEBHOOK_BEHAVIOURS } from "./behaviours/webhooks.ts";

/** Everything the local Stripe does, one row a rule. Each refusal, route and fault names its row, so none goes unmarked. */
export const BEHAVIOURS = {
  ...CALL_BEHAVIOURS,
  ...CUSTOMER_BEHAVIOURS,
  ...METERING_BEHAVIOURS,
  ...BILLING_BEHAVIOURS,
  ...WEBHOOK_BEHAVIOURS,
  ...FAULT_ROWS,
} as const;

export type BehaviourKey = keyof typeof BEHAVIOURS;
