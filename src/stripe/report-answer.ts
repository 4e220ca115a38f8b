import { Stripe } from "stripe";

import type { ReportAnswer } from "../engine/ports.ts";
import { withoutSecrets } from "./secrets.ts";

/** What a failure of the genuine client says, by status, type and message: codes are mostly absent in v1. */
export interface StripeFailure {
  /** Null when no readable answer came: network, time-out, broken body. */
  readonly status: number | null;
  readonly type: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId: string | null;
}

/** Reads any error that a call threw. What is not Stripe's has no status: the outcome of the call is not known. */
export function failureOf(error: unknown): StripeFailure {
  if (!(error instanceof Stripe.errors.StripeError)) {
    return {
      status: null,
      type: "",
      message: error instanceof Error ? error.message : String(error),
      headers: {},
      requestId: null,
    };
  }
  return {
    status: error.statusCode ?? null,
    type: error.rawType ?? error.type,
    message: withoutSecrets(error.message),
    headers: error.headers ?? {},
    requestId: error.requestId ?? null,
  };
}

/** What becomes of a meter event that was not answered with a 200 (docs.stripe.com/error-low-level, api/billing/meter-event). */
export function answerOfFailure(failure: StripeFailure, identifier: string): ReportAnswer {
  const unsettled = stoppedOrUnknown(failure);
  if (unsettled !== null) return unsettled;
  const { status, message, requestId } = failure;
  if (status === 400 && namesTaken(message, identifier)) return { kind: "accepted", requestId };
  return { kind: "dead", reason: `${refusedBecause(failure)}: ${message}`, requestId };
}

/** What becomes of a cancelling that was not answered with a 200. What is cancelled already is as it should be. */
export function answerOfCancel(failure: StripeFailure, identifier: string): ReportAnswer {
  const unsettled = stoppedOrUnknown(failure);
  if (unsettled !== null) return unsettled;
  const { message, requestId } = failure;
  const namesOther = /\bidentifier\b/i.test(message) && !message.includes(identifier);
  if (/already (been )?cancell?ed/i.test(message) && !namesOther) return { kind: "accepted", requestId };
  return { kind: "dead", reason: `${uncancelledBecause(failure)}: ${message}`, requestId };
}

/** Null when Stripe refused for good: what that means is the call's own matter. */
function stoppedOrUnknown(failure: StripeFailure): ReportAnswer | null {
  const { status, headers, message } = failure;
  if (status === null) return unknown(failure, `no readable answer: ${message}`);
  if (status === 401 || status === 403) return { kind: "stop", reason: refusalOf(failure) };
  if (headers["stripe-should-retry"] === "true")
    return { ...unknown(failure, `Stripe asks to try again (${status}): ${message}`), freshKey: status >= 500 };
  if (status >= 500) return { ...unknown(failure, `Stripe failed (${status}): ${message}`), freshKey: true };
  if (status === 429) return unknown(failure, `too many calls (429): ${message}`);
  if (status === 409 || status === 408) return unknown(failure, `Stripe was busy (${status}): ${message}`);
  // The API answers no redirect of its own: something stands between, and what Stripe knows of the call is not known.
  if (status < 400) return unknown(failure, `an answer that is not Stripe's (${status}): ${message}`);
  // Other parameters under our key: the key is only convenience, the identifier keeps the event single.
  if (failure.type === "idempotency_error") return { ...unknown(failure, message), freshKey: true };
  return null;
}

/** Why a call with this answer can never succeed with this key: names the missing right where Stripe does. */
export function refusalOf({ status, message }: StripeFailure): string {
  const right = /'?(rak_\w+)'?/.exec(message)?.[1];
  if (right !== undefined) return `Stripe refused the key (${status}): it lacks the right ${right}.`;
  return `Stripe refused the key (${status}): ${message}`;
}

/** Whether a duplicate 400 names this very identifier as delivered, whatever else the message says around it. */
function namesTaken(message: string, identifier: string): boolean {
  const named = [...message.matchAll(/already exists with identifier:?\s+(\S+)/gi)].map(([, word = ""]) => word);
  // Quotes around it and the sentence's own punctuation are not part of it.
  return named.some((word) => word.replace(/^["'`(]+|["'`).,;:!?]+$/g, "") === identifier);
}

const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/already exists with identifier/i, "other_identifier"],
  [/no such customer|customer.*(deleted|not found)/i, "no_such_customer"],
  [/no such meter|no active meter|meter.*(inactive|archived|deactivated)/i, "no_meter"],
  [/timestamp/i, "timestamp_refused"],
  [/\bvalue\b|digits|numeric/i, "value_refused"],
];

function uncancelledBecause({ status, message }: StripeFailure): string {
  if (status !== 400 && status !== 404) return `refused_${status}`;
  if (/24 hours|too (late|old)|no longer/i.test(message)) return "too_late_to_cancel";
  return /no (such )?meter event|no event|not found|identifier/i.test(message)
    ? "unknown_identifier"
    : `refused_${status}`;
}

function refusedBecause({ status, message }: StripeFailure): string {
  if (status !== 400) return `refused_${status}`;
  return REFUSALS.find(([pattern]) => pattern.test(message))?.[1] ?? "refused_400";
}

type Unknown = Extract<ReportAnswer, { kind: "unknown" }>;

function unknown({ status, headers, requestId }: StripeFailure, reason: string): Unknown {
  // A 429 without the reason header is something else, such as a lock: slowing down would not help.
  const rateLimited = status === 429 && headers["stripe-rate-limited-reason"] !== undefined;
  return { kind: "unknown", reason, requestId, freshKey: false, retryAfterMs: retryAfterMs(headers), rateLimited };
}

/** `Retry-After` in seconds; its date form is not used by Stripe. */
function retryAfterMs(headers: Readonly<Record<string, string>>): number | null {
  const seconds = headers["retry-after"] ?? "";
  return /^\d{1,5}$/.test(seconds) ? Number(seconds) * 1_000 : null;
}
