import type { EventSearch, EventSearchPage, StoredEvent } from "../engine/ports.ts";
import { payerOf } from "./memory-events.ts";

/** Searches events by event time, newest first. */
export function searchEvents(events: readonly StoredEvent[], search: EventSearch): EventSearchPage {
  const { from, to, after, limit, searchMax } = search;
  const inSpan = events
    .filter(
      ({ seq, event: { time } }) =>
        (from === undefined || time >= from) &&
        (to === undefined || time < to) &&
        (after === undefined || time < after.time || (time === after.time && seq < after.seq)),
    )
    .toSorted((a, b) => b.event.time - a.event.time || b.seq - a.seq);
  const found: StoredEvent[] = [];
  for (const [at, stored] of inSpan.entries()) {
    if (fits(stored, search)) found.push(stored);
    if (found.length < limit && at + 1 < searchMax) continue;
    const isLast = at + 1 === inSpan.length;
    return { events: found, next: isLast ? null : { time: stored.event.time, seq: stored.seq } };
  }
  return { events: found, next: null };
}

function fits(stored: StoredEvent, search: EventSearch): boolean {
  const { event } = stored;
  const { recordedAt = event.time, subject } = event;
  const { companies, idPart, subjectPart, recordedFrom, recordedTo } = search;
  const payer = payerOf(stored);
  return (
    (search.type === undefined || event.type === search.type) &&
    (search.source === undefined || event.source === search.source) &&
    (search.subject === undefined || subject === search.subject) &&
    (recordedFrom === undefined || recordedAt >= recordedFrom) &&
    (recordedTo === undefined || recordedAt < recordedTo) &&
    (idPart === undefined || hasPart(event.id, idPart)) &&
    (subjectPart === undefined || (subject !== undefined && hasPart(subject, subjectPart))) &&
    (companies === undefined || (payer !== null && companies.includes(payer)))
  );
}

function hasPart(text: string, part: string): boolean {
  return asciiLower(text).includes(asciiLower(part));
}

// The database folds these letters only.
function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
