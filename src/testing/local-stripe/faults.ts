import { MeterbookError } from "../../core/errors.ts";
import type { BehaviourKey } from "./behaviours.ts";
import { StripeRefusal, type RefusalText } from "./stripe-refusal.ts";

/** What goes wrong. `when` says whether the call takes effect: before = it does not, after = it does. */
export type Fault =
  | { readonly kind: "reset"; readonly when: "before" | "after" }
  | { readonly kind: "hang"; readonly when: "before" | "after" }
  | {
      readonly kind: "server_error";
      readonly when: "before" | "after";
      readonly status?: 500 | 502 | 503 | 504;
      /** The stripe-should-retry header; absent unless given. */
      readonly shouldRetry?: boolean;
      /** Whether the idempotency store keeps the error, as Stripe's does; true unless told. */
      readonly stored?: boolean;
    }
  | { readonly kind: "truncated" }
  | { readonly kind: "rate_limit"; readonly reason?: RateLimitedReason }
  | { readonly kind: "lock_timeout" }
  | { readonly kind: "conflict" }
  | { readonly kind: "unauthorized" }
  | { readonly kind: "forbidden" };

export type RateLimitedReason =
  | "global-rate"
  | "global-concurrency"
  | "endpoint-rate"
  | "endpoint-concurrency"
  | "resource-specific";

/** A fault with the calls that it is for. */
export type FaultOrder = Fault & {
  /** How many of the next calls; 1 unless told. */
  readonly times?: number;
  /** Which operation: meter_event.create unless told, or `any`. */
  readonly on?: string;
};

export interface PendingFault {
  readonly fault: Fault;
  readonly on: string;
  left: number;
}

/** The behaviour that each fault shows. */
export const FAULT_BEHAVIOURS: Readonly<Record<Fault["kind"], BehaviourKey>> = {
  reset: "fault.reset",
  hang: "fault.hang",
  server_error: "fault.server_error",
  truncated: "fault.truncated",
  rate_limit: "fault.rate_limit",
  lock_timeout: "fault.lock_timeout",
  conflict: "fault.conflict",
  unauthorized: "fault.unauthorized",
  forbidden: "fault.forbidden",
};

/** Queues a fault; throws a MeterbookError for what is none. */
export function orderFault(pending: PendingFault[], order: unknown): void {
  if (!isFaultOrder(order)) {
    throw new MeterbookError("METER_OPTION_INVALID", `Not a fault of the local Stripe: ${JSON.stringify(order)}`, {
      remedy: `Give one of the kinds ${Object.keys(FAULT_BEHAVIOURS).join(", ")}; reset, hang and server_error also need when: before or after.`,
    });
  }
  const { times = 1, on = "meter_event.create", ...fault } = order;
  pending.push({ fault, on, left: times });
}

const WITH_WHEN: readonly unknown[] = ["reset", "hang", "server_error"];

function isFaultOrder(order: unknown): order is FaultOrder {
  if (typeof order !== "object" || order === null || !("kind" in order)) {
    return false;
  }
  const { kind } = order;
  const when = "when" in order ? order.when : undefined;
  const times = "times" in order ? order.times : 1;
  return (
    typeof kind === "string" &&
    Object.hasOwn(FAULT_BEHAVIOURS, kind) &&
    (!WITH_WHEN.includes(kind) || when === "before" || when === "after") &&
    typeof times === "number" &&
    times >= 1
  );
}

/** Takes the fault that the next call of an operation meets; null = none. */
export function takeFault(pending: PendingFault[], operation: string): Fault | null {
  const index = pending.findIndex(({ on }) => on === operation || on === "any");
  const found = pending[index];
  if (found === undefined) {
    return null;
  }
  found.left -= 1;
  if (found.left <= 0) {
    pending.splice(index, 1);
  }
  return found.fault;
}

/** The error answer of a fault; null for those that damage the connection instead. */
export function faultRefusal(fault: Fault): StripeRefusal | null {
  const text = refusalText(fault);
  return text === null ? null : new StripeRefusal(FAULT_BEHAVIOURS[fault.kind], text);
}

function refusalText(fault: Fault): RefusalText | null {
  switch (fault.kind) {
    case "reset":
    case "hang":
    case "truncated":
      return null;
    case "server_error":
      return {
        status: fault.status ?? 500,
        message: "An unknown error occurred",
        type: "api_error",
        headers: fault.shouldRetry === undefined ? {} : { "stripe-should-retry": String(fault.shouldRetry) },
      };
    case "rate_limit":
      return rateLimitText(fault.reason ?? "endpoint-rate");
    case "lock_timeout":
      return {
        status: 429,
        message:
          "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
        code: "lock_timeout",
        headers: { "stripe-should-retry": "true" },
      };
    case "conflict":
      return conflictText();
    case "unauthorized":
      return { status: 401, message: "Invalid API Key provided: sk_test_****" };
    case "forbidden":
      break;
  }
  return {
    status: 403,
    message:
      "The provided key does not have the required permissions for this endpoint. Having the 'rak_billing_meter_event_write' permission would allow this request to continue.",
  };
}

export function rateLimitText(reason: RateLimitedReason): RefusalText {
  return {
    status: 429,
    message: "Request rate limit exceeded. Learn more about rate limits here https://docs.stripe.com/rate-limits.",
    code: "rate_limit",
    headers: { "stripe-rate-limited-reason": reason },
  };
}

export function conflictText(): RefusalText {
  return {
    status: 409,
    message: "Another request for this customer and meter is in progress. Please try again.",
    code: "too_many_concurrent_requests",
  };
}
