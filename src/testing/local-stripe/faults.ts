import { MeterbookError } from "../../core/errors.ts";
import type { BehaviourKey } from "./behaviours.ts";
import { METER_ERROR_CODES, type MeterErrorCode } from "./validation/rejection.ts";

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
  /** Half a body after the call took effect: as a whole HTTP message, or, with `cut`, as one whose connection breaks. */
  | { readonly kind: "truncated"; readonly cut?: boolean }
  /** The call takes effect; its answer comes a byte at a time, in real time. */
  | { readonly kind: "drip"; readonly byteEveryMs: number }
  /** A 301 from something in between, without effect. */
  | { readonly kind: "redirect"; readonly location?: string }
  /** A 200 that is not the answer to the call: another object, an empty one, or a page. */
  | {
      readonly kind: "wrong_body";
      readonly when: "before" | "after";
      readonly body?: "other_object" | "empty" | "html";
    }
  /** A meter event is taken with a 200, and refused with this code after the summary lag. */
  | { readonly kind: "reject_later"; readonly code: MeterErrorCode }
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
  /** How many calls pass before the first that it is for; 0 unless told. */
  readonly skip?: number;
  /** Which operation: meter_event.create unless told, or `any`. */
  readonly on?: string;
};

export interface PendingFault {
  readonly fault: Fault;
  readonly on: string;
  skip: number;
  left: number;
}

/** The behaviour that each fault shows. */
export const FAULT_BEHAVIOURS: Readonly<Record<Fault["kind"], BehaviourKey>> = {
  reset: "fault.reset",
  hang: "fault.hang",
  server_error: "fault.server_error",
  truncated: "fault.truncated",
  drip: "fault.drip",
  redirect: "fault.redirect",
  wrong_body: "fault.wrong_body",
  reject_later: "fault.reject_later",
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
      remedy: `Give one of the kinds ${Object.keys(FAULT_BEHAVIOURS).join(", ")}; reset, hang, server_error and wrong_body also need when: before or after, drip needs byteEveryMs, reject_later a code.`,
    });
  }
  const { times = 1, skip = 0, on = "meter_event.create", ...fault } = order;
  pending.push({ fault, on, skip, left: times });
}

/** Takes the fault that the next call of an operation meets; null = none. */
export function takeFault(pending: PendingFault[], operation: string): Fault | null {
  for (const [index, order] of pending.entries()) {
    if (order.on !== operation && order.on !== "any") {
      continue;
    }
    if (order.skip > 0) {
      order.skip -= 1;
      continue;
    }
    order.left -= 1;
    if (order.left <= 0) {
      pending.splice(index, 1);
    }
    return order.fault;
  }
  return null;
}

const WITH_WHEN: readonly unknown[] = ["reset", "hang", "server_error", "wrong_body"];
const ERROR_CODES: readonly unknown[] = METER_ERROR_CODES;

function isFaultOrder(order: unknown): order is FaultOrder {
  if (typeof order !== "object" || order === null) {
    return false;
  }
  const facts = new Map<string, unknown>(Object.entries(order));
  const kind = facts.get("kind");
  const when = facts.get("when");
  return (
    typeof kind === "string" &&
    Object.hasOwn(FAULT_BEHAVIOURS, kind) &&
    (!WITH_WHEN.includes(kind) || when === "before" || when === "after") &&
    (kind !== "drip" || isCount(facts.get("byteEveryMs"), 0)) &&
    (kind !== "reject_later" || ERROR_CODES.includes(facts.get("code"))) &&
    isCount(facts.get("times") ?? 1, 1) &&
    isCount(facts.get("skip") ?? 0, 0)
  );
}

function isCount(value: unknown, least: number): boolean {
  return typeof value === "number" && value >= least;
}
