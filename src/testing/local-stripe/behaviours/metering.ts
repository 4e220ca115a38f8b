import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Meters, meter events, adjustments, summaries and asynchronous validation. */
export const METERING_BEHAVIOURS = {
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
    "More than 15 significant digits: 'can have at most 15 digits. Received X.'; how zeros count is guessed.",
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
  "meter_event_v2.create": documented("JSON; the same checks at once; answers created and timestamp in RFC 3339."),
  "meter_event_v2.codes": documented(
    "Refusals bear a code: archived_meter, duplicate_meter_event, no_meter, payload_… ; types and words are guessed.",
  ),
  "meter_event_v2.duplicate": documented("A taken identifier is a 400 with code duplicate_meter_event."),
  "meter_event_v2.timestamp": guessed("A timestamp that is no RFC 3339 instant is a 400 with code invalid_fields."),
  "validation.later": documented(
    "Events can be judged after their 200; here all are with validateLater, but for form and identifier (that split guessed).",
  ),
  "validation.moment": guessed(
    "Judged after the summary lag by the customers and meters of then, and by the clock of receipt.",
  ),
  "validation.identifier_taken": guessed(
    "The identifier of a refused event stays taken: a correction needs another one.",
  ),
  "validation.report": documented(
    "Refused events go into thin events v1.billing.meter.error_report_triggered, one for each meter.",
  ),
  "validation.report_data": documented(
    "data has developer_message_summary, validation_start and _end, reason with error_count and error_types.",
  ),
  "validation.no_meter_found": documented("Events that name no meter go into v1.billing.meter.no_meter_found."),
  "validation.windows": documented(
    "validation_start to validation_end are 10 seconds, as in the example; that each report waits for their end is guessed.",
  ),
  "validation.samples": documented("Each kind of error names samples only; how many is guessed, here the set number."),
} as const satisfies Readonly<Record<string, Behaviour>>;
