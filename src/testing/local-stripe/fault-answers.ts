import type { Answer } from "./answer.ts";
import { FAULT_BEHAVIOURS, type Fault, type RateLimitedReason } from "./faults.ts";
import { StripeRefusal, type RefusalText } from "./stripe-refusal.ts";

const PAGE = "<!doctype html><html><head><title>Moved</title></head><body>See elsewhere.</body></html>";
const HTML = { "content-type": "text/html; charset=utf-8" } as const;

/** The error answer of a fault; null for those that answer otherwise or damage the connection. */
export function faultRefusal(fault: Fault): StripeRefusal | null {
  const text = refusalText(fault);
  return text === null ? null : new StripeRefusal(FAULT_BEHAVIOURS[fault.kind], text);
}

/** The answer of a fault that answers something else instead of the call's own answer; null for the others. */
export function faultAnswer(fault: Fault | null): Answer | null {
  if (fault?.kind === "redirect") {
    const location = fault.location ?? "https://example.invalid/";
    return { status: 301, body: PAGE, headers: { ...HTML, location } };
  }
  if (fault?.kind !== "wrong_body") {
    return null;
  }
  switch (fault.body ?? "other_object") {
    case "other_object":
      return { status: 200, body: '{"id": "cus_another", "object": "customer"}', headers: {} };
    case "empty":
      return { status: 200, body: "{}", headers: {} };
    case "html":
      break;
  }
  return { status: 200, body: PAGE, headers: HTML };
}

function refusalText(fault: Fault): RefusalText | null {
  switch (fault.kind) {
    case "reset":
    case "hang":
    case "truncated":
    case "drip":
    case "redirect":
    case "wrong_body":
    case "reject_later":
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
