import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Customers, their search, the account and its events. */
export const CUSTOMER_BEHAVIOURS = {
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
  "account.retrieve": documented("The account of the key."),
  "account_event.list": documented(
    "customer.created, customer.updated, customer.deleted; newest first, 30 days back, type and types filters.",
  ),
  "account_event.retrieve": documented("One event by id."),
  "account_event.not_found": seenLive("'No such event: 'x'' with code resource_missing."),
} as const satisfies Readonly<Record<string, Behaviour>>;
