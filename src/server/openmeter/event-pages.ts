import { limits } from "../../engine/limits.ts";
import type { EventListQuery, EventPage, ListedEvent } from "../../engine/intake/accepted.ts";
import type { Backend } from "../backend.ts";
import { lookUp, matchesEvent, type EventConditions } from "./event-conditions.ts";

/**
 * A page of the events that fit. What the store cannot look up is judged here, over a bounded number of the store's
 * pages: a page may then have fewer rows than asked for, or none, and still a cursor.
 */
export async function fittingEvents(
  backend: Backend,
  conditions: EventConditions,
  page: Pick<EventListQuery, "cursor" | "limit">,
): Promise<EventPage> {
  const asked = lookUp(conditions);
  const found: ListedEvent[] = [];
  let cursor = page.cursor;
  for (let call = 0; call < limits.openmeterEventCallsMax; call += 1) {
    // Never more than still fit: a cursor stands behind a whole page.
    const limit = page.limit - found.length;
    const { events, next } = await backend.listEvents({ ...asked, limit, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...events.filter((event) => matchesEvent(conditions, event)));
    // A page that is half full is good enough: the rest would be read one by one.
    if (next === null || found.length * 2 >= page.limit) return { events: found, next };
    cursor = next;
  }
  return { events: found, next: cursor ?? null };
}
