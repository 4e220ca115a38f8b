import type { EventPlace, EventSearch, EventSearchPage } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { storedEvent } from "./event-query.ts";
import { EVENT_COLUMNS, type EventRow } from "./event-row.ts";
import { storedText } from "./stored-text.ts";

/** Conditions of a WHERE with the values that they compare with. */
interface Conditions {
  readonly texts: string[];
  readonly values: unknown[];
}

/**
 * Searches events by event time, newest first. Where the search must end is read from the index of times alone; only
 * events up to there are looked at.
 */
export function searchEvents(connection: Connection, search: EventSearch): EventSearchPage {
  const span = spanOf(search);
  const end = placeAt(connection, span, search.searchMax);
  if (end !== null) add(span, "(time, events.seq) >= (?, ?)", end.time, end.seq);
  const wanted = wantedOf(connection, search);
  const texts = [...span.texts, ...wanted.texts];
  const rows = connection
    .sql<EventRow>(
      `SELECT ${COLUMNS} FROM events INDEXED BY events_time LEFT JOIN assigned ON assigned.seq = events.seq
       ${whereOf(texts)} ORDER BY time DESC, events.seq DESC LIMIT ?`,
    )
    .raw()
    .all(...span.values, ...wanted.values, search.limit);
  const events = rows.map((row) => storedEvent(connection, row));
  const last = events.at(-1);
  const seen = events.length === search.limit && last !== undefined ? { time: last.event.time, seq: last.seq } : end;
  if (seen === null) return { events, next: null };
  const rest = spanOf({ ...search, after: seen });
  return { events, next: placeAt(connection, rest, 1) === null ? null : seen };
}

const COLUMNS = EVENT_COLUMNS.split(", ")
  .map((column) => `events.${column}`)
  .join(", ");

function spanOf({ from, to, after }: EventSearch): Conditions {
  const span: Conditions = { texts: [], values: [] };
  if (from !== undefined) add(span, "time >= ?", from);
  if (to !== undefined) add(span, "time < ?", to);
  if (after !== undefined) add(span, "(time, events.seq) < (?, ?)", after.time, after.seq);
  return span;
}

/** The place of the n-th event of a span; null when there are fewer. */
function placeAt(connection: Connection, span: Conditions, nth: number): EventPlace | null {
  const row = connection
    .sql<readonly [number, number]>(
      `SELECT time, seq FROM events INDEXED BY events_time ${whereOf(span.texts)} ORDER BY time DESC, seq DESC LIMIT 1 OFFSET ?`,
    )
    .raw()
    .get(...span.values, nth - 1);
  return row === undefined ? null : { time: row[0], seq: row[1] };
}

function wantedOf({ names }: Connection, search: EventSearch): Conditions {
  const wanted: Conditions = { texts: [], values: [] };
  const { type, source, subject, idPart, subjectPart, recordedFrom, recordedTo, companies } = search;
  if (type !== undefined) add(wanted, "type = ?", names.find(type) ?? -1);
  if (source !== undefined) add(wanted, "source = ?", names.find(source) ?? -1);
  if (recordedFrom !== undefined) add(wanted, "ifnull(recorded_at, time) >= ?", recordedFrom);
  if (recordedTo !== undefined) add(wanted, "ifnull(recorded_at, time) < ?", recordedTo);
  if (idPart !== undefined) add(wanted, "instr(lower(id), lower(?)) > 0", storedText(idPart));
  if (subject !== undefined) add(wanted, "rest ->> '$.u' = ?", storedText(subject));
  if (subjectPart !== undefined) add(wanted, "instr(lower(rest ->> '$.u'), lower(?)) > 0", storedText(subjectPart));
  if (companies !== undefined) {
    const codes = companies.map((company) => names.find(company) ?? -1);
    // One text however many there are: statements are kept.
    add(wanted, "ifnull(events.company, assigned.company) IN (SELECT value FROM json_each(?))", JSON.stringify(codes));
  }
  return wanted;
}

function add({ texts, values }: Conditions, text: string, ...bounds: readonly unknown[]): void {
  texts.push(text);
  values.push(...bounds);
}

function whereOf(texts: readonly string[]): string {
  return texts.length === 0 ? "" : `WHERE ${texts.join(" AND ")}`;
}
