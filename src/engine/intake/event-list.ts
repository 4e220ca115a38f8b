import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ownMember, ownMembers } from "../../core/own-member.ts";
import type { Verdict } from "../../core/verdict.ts";
import { voidingOf } from "../../core/amended-event.ts";
import { settle } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import type { EventPlace, EventSearch, StoredEvent, StoreView } from "../ports.ts";
import type { Attribution, Customer } from "../registry/customer.ts";
import type { EventListQuery, EventPage, ListedEvent } from "./accepted.ts";
import { eventProblems } from "./event-problems.ts";

/**
 * Events newest first, by event time, then arrival, each with why it does not count where it should. A page may have
 * fewer events than asked for, even none, and a `next` all the same: so many were looked at. METER_REQUEST_INVALID for
 * a cursor that is none of ours.
 */
export async function listEvents(
  store: StoreView,
  catalog: Catalog,
  attribution: Attribution,
  query: EventListQuery,
): Promise<EventPage> {
  const { cursor, customers, limit, ...filters } = ownMembers(query);
  const wanted = customers?.flatMap((idOrKey) => attribution.find(idOrKey) ?? []);
  const search: EventSearch = {
    ...renamed(filters),
    ...(cursor === undefined ? {} : { after: placeOf(cursor) }),
    ...(wanted === undefined
      ? {}
      : { companies: [...new Set(wanted.flatMap((each) => attribution.companiesOf(each)))] }),
    limit: Math.min(limit, limits.listedEventsMax),
    searchMax: limits.searchedEventsMax,
  };
  const { events, next } = await store.searchEvents(search);
  const listed = events.map((stored) => listedEvent(catalog, attribution, stored).listed);
  return {
    // A company may have been another customer's for a time.
    events: wanted === undefined ? listed : listed.filter(({ customer }) => wanted.some(({ id }) => id === customer)),
    next: next === null ? null : cursorOf(next),
  };
}

/** One event as a list has it, with what each meter says of it. */
export interface JudgedEvent {
  readonly listed: ListedEvent;
  readonly verdicts: readonly Verdict[];
}

/** The event of this id, of the oldest source where none is named. Null when there is none. */
export async function findListedEvent(
  store: Pick<StoreView, "findEvents">,
  catalog: Catalog,
  attribution: Attribution,
  query: { readonly id: string; readonly source?: string },
): Promise<JudgedEvent | null> {
  const source = ownMember(query, "source");
  const found = await store.findEvents(query.id);
  const stored = found.find(({ event }) => source === undefined || event.source === source);
  return stored === undefined ? null : listedEvent(catalog, attribution, stored);
}

function listedEvent(catalog: Catalog, attribution: Attribution, stored: StoredEvent): JudgedEvent {
  const { event, verdicts } = settle(catalog, stored, (known) => catalog.explain(known));
  const subject = ownMember(event, "subject") ?? null;
  const customer = customerOf(attribution, event.company, subject, event.time);
  const isVoided = voidingOf(stored.amendments) !== null;
  const listed: ListedEvent = {
    seq: stored.seq,
    event,
    subject,
    customer: customer?.id ?? null,
    voided: isVoided,
    storedAt: ownMember(event, "recordedAt") ?? event.time,
    problems: isVoided ? [] : eventProblems(catalog, event, verdicts, customer),
  };
  return { listed, verdicts };
}

function customerOf(
  attribution: Attribution,
  company: string | null,
  subject: string | null,
  time: number,
): Customer | null {
  return company === null ? null : attribution.customerOf(company, subject ?? company, time);
}

function renamed({
  ingestedFrom,
  ingestedTo,
  ...others
}: Omit<EventListQuery, "cursor" | "customers" | "limit">): Omit<EventSearch, "limit" | "searchMax"> {
  return { ...others, recordedFrom: ingestedFrom, recordedTo: ingestedTo };
}

/** Opaque to callers: where a page ended. */
function cursorOf({ time, seq }: EventPlace): string {
  return `${time.toString(36)}.${seq.toString(36)}`;
}

function placeOf(cursor: string): EventPlace {
  const [, timeText = "", seqText = ""] = /^(-?[0-9a-z]{1,11})\.([0-9a-z]{1,11})$/.exec(cursor) ?? [];
  const place = { time: Number.parseInt(timeText, 36), seq: Number.parseInt(seqText, 36) };
  if (Number.isSafeInteger(place.time) && Number.isSafeInteger(place.seq)) return place;
  throw new MeterbookError("METER_REQUEST_INVALID", "The cursor is none that a page of events ended with.", {
    mistakes: [{ pointer: "/cursor", message: "give `next` of the page before, as it was" }],
    remedy: "Begin the list anew, without a cursor.",
  });
}
