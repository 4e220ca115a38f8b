import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Faults on demand. */
export const FAULT_ROWS = {
  "fault.reset": documented("The connection is reset, before or after the call took effect."),
  "fault.hang": documented("No answer ever comes, before or after the call took effect."),
  "fault.server_error": documented("A 5xx api_error, before or after the call took effect."),
  "fault.truncated": documented("The call took effect; the 200 ends in the middle of its body."),
  "fault.rate_limit": documented("A 429 with stripe-rate-limited-reason, without effect."),
  "fault.lock_timeout": documented(
    "A 429 with code lock_timeout, stripe-should-retry: true and no reason header, without effect.",
  ),
  "fault.conflict": seenLive("A 409, without effect."),
  "fault.unauthorized": documented("A 401, without effect."),
  "fault.forbidden": documented("A 403, without effect."),
  "fault.drip": documented("The call took effect; its answer comes a byte at a time."),
  "fault.redirect": guessed("A 301 with a page, from something between client and service, without effect."),
  "fault.wrong_body": guessed(
    "A 200 with another object, an empty one or a page; the genuine client takes the first two for success.",
  ),
  "fault.reject_later": documented(
    "A 200, and the event is refused later: it is not counted and appears in an error report.",
  ),
} as const satisfies Readonly<Record<string, Behaviour>>;
