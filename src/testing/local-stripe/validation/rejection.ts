import type { RefusalText } from "../stripe-refusal.ts";

/** The checks that a meter event can fail, each with the code of an error report and of the v2 API. */
const REJECTION_CODES = {
  "meter_event.no_meter": { report: "no_meter", v2: "no_meter" },
  "meter_event.inactive_meter": { report: "archived_meter", v2: "archived_meter" },
  "meter_event.no_customer_key": { report: "meter_event_no_customer_defined", v2: "payload_no_customer_defined" },
  "meter_event.no_such_customer": { report: "meter_event_customer_not_found", v2: "payload_invalid_customer" },
  "meter_event.no_value": { report: "meter_event_value_not_found", v2: "payload_no_value_defined" },
  "meter_event.invalid_value": { report: "meter_event_invalid_value", v2: "payload_invalid_value" },
  "meter_event.too_many_digits": { report: "meter_event_value_too_many_digits", v2: "payload_invalid_value" },
  "meter_event.too_old": { report: "timestamp_too_far_in_past", v2: "timestamp_too_far_in_past" },
  "meter_event.in_future": { report: "timestamp_in_future", v2: "timestamp_in_future" },
} as const;

export type RejectionKey = keyof typeof REJECTION_CODES;

/** A code of an error report on meter events (docs.stripe.com, "Record usage for billing with the API"). */
export type MeterErrorCode =
  | (typeof REJECTION_CODES)[RejectionKey]["report"]
  | "meter_event_dimension_count_too_high"
  | "missing_dimension_payload_keys";

export const METER_ERROR_CODES: readonly MeterErrorCode[] = [
  ...Object.values(REJECTION_CODES).map(({ report }) => report),
  "meter_event_dimension_count_too_high",
  "missing_dimension_payload_keys",
];

/** Why a meter event does not count. */
export interface Rejection {
  readonly kind: "rejection";
  readonly behaviour: RejectionKey;
  readonly text: RefusalText;
}

export function rejection(behaviour: RejectionKey, text: RefusalText): Rejection {
  return { kind: "rejection", behaviour, text };
}

export function isRejection(value: unknown): value is Rejection {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "rejection";
}

/** The code under which an error report counts it. */
export function reportCode({ behaviour }: Rejection): MeterErrorCode {
  return REJECTION_CODES[behaviour].report;
}

/** The code that the v2 API answers. */
export function v2Code({ behaviour }: Rejection): string {
  return REJECTION_CODES[behaviour].v2;
}
