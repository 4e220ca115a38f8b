import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Every call, whatever it asks for. */
export const CALL_BEHAVIOURS = {
  "http.headers": documented(
    "Every answer carries request-id, stripe-version, date; idempotency-key is echoed when one was sent.",
  ),
  "http.key_missing": documented("A call without an API key is a 401."),
  "http.key_invalid": documented("An unknown key, or one of the other mode, is a 401 that shows the key masked."),
  "http.right_missing": seenLive("A restricted key without the right is a 403 that names the right."),
  "http.right_names": guessed("Which right each endpoint asks for, but for rak_billing_meter_read and _write."),
  "http.unknown_url": seenLive("An unknown path or method is a 404 'Unrecognized request URL'."),
  "http.form_malformed": guessed("A body that is not form-encoded is a 400."),
  "http.body_too_large": guessed("A body over 1 MiB is a 413."),
  "http.parameter_missing": seenLive("'Missing required param: x.' with code parameter_missing."),
  "http.parameter_unknown": seenLive("'Received unknown parameter: x' with code parameter_unknown."),
  "http.parameter_not_integer": seenLive("'Invalid integer: x' with code parameter_invalid_integer."),
  "http.parameter_empty": seenLive(
    "An empty text for what cannot be unset is a 400 with code parameter_invalid_empty.",
  ),
  "http.parameter_too_long": documented("Texts have a greatest length; the words of the refusal are guessed."),
  "http.parameter_not_text": seenLive("A map or list where a text is expected is 'Invalid string: …'."),
  "http.parameter_not_map": seenLive("A text where a map is expected is 'Invalid object'."),
  "http.parameter_choice": documented("A value outside an enumeration is a 400 that lists the choices."),
  "http.parameter_not_kept": guessed(
    "This local Stripe refuses parameters that it would have to forget. The real one takes them.",
  ),
  "http.rate_limited": documented(
    "Over the rate, a 429 with code rate_limit and stripe-rate-limited-reason; it is not stored for replay.",
  ),
  "idempotency.replay": documented(
    "The same key with the same parameters answers the stored status and body, marked idempotent-replayed.",
  ),
  "idempotency.stored_error": documented("A 5xx after execution began is stored and replayed too."),
  "idempotency.not_stored": documented("Validation failures, 409s and 429s are not stored."),
  "idempotency.refusal_not_stored": guessed(
    "The 400s of meter events (duplicate, no such customer) count as validation failures.",
  ),
  "idempotency.mismatch": documented(
    "The same key with other parameters or another path is an idempotency_error; status 400.",
  ),
  "idempotency.in_use": documented("A key whose first call still runs is a 409 with code idempotency_key_in_use."),
  "idempotency.expiry": documented("Keys are kept at least 24 hours; here exactly the set horizon."),
  "idempotency.key_too_long": documented("A key has at most 255 characters."),
  "idempotency.post_only": documented("Keys mean nothing on GET and DELETE."),
  "page.limit": seenLive("A limit over 100 or under 1 is a 400 with code parameter_invalid_integer."),
  "page.cursor": documented("starting_after and ending_before name an object; has_more says whether to go on."),
  "page.cursor_unknown": seenLive("A cursor that names nothing is a 400 resource_missing."),
  "http.parameter_not_boolean": seenLive("'Invalid boolean: x' for what is neither true nor false."),
  "idempotency.v2": documented(
    "In v2 keys are kept 30 days, on DELETE too; failed calls are run again, succeeded ones replayed.",
  ),
  "clock.moved": guessed(
    "This local Stripe's clock can be moved; what became due runs in order of time, each at its own moment.",
  ),
} as const satisfies Readonly<Record<string, Behaviour>>;
