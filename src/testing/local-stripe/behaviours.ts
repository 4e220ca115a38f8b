/**
 * How well a behaviour is known: `documented` by Stripe; `seen live` = recorded by other people's code or reports of the
 * real service; `guessed` = no source settles it, so no design may rest on it.
 */
type Mark = "documented" | "seen live" | "guessed";

export interface Behaviour {
  readonly mark: Mark;
  /** The rule in words. */
  readonly rule: string;
}

const documented = (rule: string): Behaviour => ({ mark: "documented", rule });
const seenLive = (rule: string): Behaviour => ({ mark: "seen live", rule });
const guessed = (rule: string): Behaviour => ({ mark: "guessed", rule });

/** Everything the local Stripe does, one row a rule. Each refusal, route and fault names its row, so none goes unmarked. */
export const BEHAVIOURS = {
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
  "customer.create": documented("Creates a customer with metadata, email, name, description, phone."),
  "customer.retrieve": documented("A live customer is answered whole."),
  "customer.retrieve_deleted": documented("A deleted customer is a 200 with deleted: true."),
  "customer.update": documented("Only what is sent changes; metadata keys are merged, an empty value unsets."),
  "customer.delete": documented("Answers id, object, deleted: true."),
  "customer.not_found": seenLive("'No such customer: 'x'' with code resource_missing: 404 by path, 400 by parameter."),
  "customer.change_deleted": guessed("Updating or deleting a deleted customer is the 404 of a missing one."),
  "customer.metadata_limits": documented(
    "50 keys, key at most 40, value at most 500 characters, no square brackets in keys.",
  ),
  "customer.list": documented("Newest first, deleted ones left out, limit 1–100 (10), created and email filters."),
  "page.limit": seenLive("A limit over 100 or under 1 is a 400 with code parameter_invalid_integer."),
  "page.cursor": documented("starting_after and ending_before name an object; has_more says whether to go on."),
  "page.cursor_unknown": seenLive("A cursor that names nothing is a 400 resource_missing."),
  "customer_search.query": documented(
    "metadata['k']:'v', email, name; either quote, quotes inside a value escaped; AND or OR, not both; - negates.",
  ),
  "customer_search.case": guessed("The exact match ignores case: whoever asks must compare the value again."),
  "customer_search.lag": documented("A change is searchable within about a minute; here after the set lag."),
  "customer_search.stale": guessed(
    "Matched by the old index, answered as the object is now; deleted ones are left out at once.",
  ),
  "customer_search.pages": documented("next_page is handed back as page."),
  "customer_search.bad_query": documented("A query that cannot be read is a 400; its words are guessed."),
  "customer_search.unavailable": documented(
    "Search does not exist for some accounts (India); the refusal's words are guessed.",
  ),
  "meter.create": documented(
    "display_name, event_name, default_aggregation; keys default to stripe_customer_id and value.",
  ),
  "meter.event_name_taken": documented(
    "One meter per event name; that an inactive one still holds it, and the words, are guessed.",
  ),
  "meter.retrieve": documented("A meter by id."),
  "meter.update": documented("Only display_name can change."),
  "meter.list": documented("Newest first, filtered by status."),
  "meter.deactivate": documented("Sets status inactive and deactivated_at."),
  "meter.reactivate": documented("Sets status active and clears deactivated_at."),
  "meter.same_status": guessed("Deactivating an inactive meter, or reactivating an active one, is a 400."),
  "meter.not_found": seenLive("'No such meter: 'x'' with code resource_missing."),
  "meter_event.create": documented("Answers created, event_name, identifier, livemode, payload, timestamp; no id."),
  "meter_event.check_order": guessed("Parameters, meter, customer key, value, timestamp, customer, identifier."),
  "meter_event.no_meter": seenLive(
    "'No such meter' for an event name that no meter has; the rest of the words is guessed.",
  ),
  "meter_event.inactive_meter": seenLive(
    "'No active meter found' for a deactivated meter; the rest of the words is guessed.",
  ),
  "meter_event.no_customer_key": documented("The payload must hold the meter's customer key; the words are guessed."),
  "meter_event.no_such_customer": seenLive("'No such customer: 'x'', for deleted customers too (that part guessed)."),
  "meter_event.no_value": documented(
    "The payload must hold the meter's value key, but for count; the words are guessed.",
  ),
  "meter_event.invalid_value": documented(
    "A value that is no plain decimal number is refused; the words, and that exponents and more than 12 fraction digits are, guessed.",
  ),
  "meter_event.negative_value": documented("Negative values are accepted, for corrections."),
  "meter_event.too_many_digits": documented(
    "More than 15 significant digits are refused; how zeros count, and the words, are guessed.",
  ),
  "meter_event.too_old": seenLive(
    "'The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal to N.'",
  ),
  "meter_event.in_future": documented("More than 5 minutes ahead is refused; the words are guessed."),
  "meter_event.timestamp_default": documented("Without a timestamp it is now."),
  "meter_event.duplicate_identifier": seenLive(
    "'An event already exists with identifier X.': 400, no code, stripe-should-retry: false.",
  ),
  "meter_event.identifier_memory": documented(
    "Identifiers are unique for at least 24 hours; here exactly the set horizon, then forgotten.",
  ),
  "meter_event.identifier_scope": guessed(
    "Identifiers are unique per account, over all meters; a cancelled event's identifier stays taken.",
  ),
  "meter_event.identifier_generated": documented("An absent identifier is made up."),
  "meter_event.window": documented(
    "With event_time_window the last received event of a customer's UTC hour or day replaces the others.",
  ),
  "meter_event.concurrent": seenLive(
    "Concurrent calls on one (customer, meter) are a 409 without being counted; its code and words are guessed.",
  ),
  "adjustment.cancel": documented("Cancels an event by identifier: it is not counted any more."),
  "adjustment.status": guessed("The answer says complete, and the effect is immediate."),
  "adjustment.window": guessed("In an hour or day window the event received before the cancelled one counts again."),
  "adjustment.too_late": documented("Only within 24 hours of receipt; the words are guessed."),
  "adjustment.unknown_identifier": documented("An identifier that names no event is a 400; the words are guessed."),
  "summary.range": documented("start_time inclusive, end_time exclusive, both on the minute."),
  "summary.unaligned": documented(
    "Times off the minute (or hour, or UTC day when grouped) are a 400; the words are guessed.",
  ),
  "summary.grouping": documented("value_grouping_window hour or day answers one summary a window."),
  "summary.order": guessed("Newest window first."),
  "summary.empty": guessed("A span without events has no summary."),
  "summary.lag": documented("Events become visible later; here after the set lag."),
  "summary.number": documented("aggregated_value is a JSON number, so a double."),
  "account.retrieve": documented("The account of the key."),
  "account_event.list": documented(
    "customer.created, customer.updated, customer.deleted; newest first, 30 days back, type and types filters.",
  ),
  "account_event.retrieve": documented("One event by id."),
  "account_event.not_found": seenLive("'No such event: 'x'' with code resource_missing."),
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
} as const satisfies Readonly<Record<string, Behaviour>>;

export type BehaviourKey = keyof typeof BEHAVIOURS;
