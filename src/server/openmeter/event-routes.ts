import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { EventListQuery } from "../../engine/intake/accepted.ts";
import { route, type Reply, type Route } from "../route.ts";
import { eventFilter } from "./event-conditions.ts";
import { fittingEvents } from "./event-pages.ts";
import { ingestedEvent, shownEvent } from "./event-wire.ts";
import { ingestCall, ingestReply, preferenceOf } from "./ingest-wire.ts";
import { instant } from "./instant.ts";
import { jsonReply } from "./reply.ts";
import { sentFlag, sentInteger, sentList } from "./sent-list.ts";
import { checkSpan } from "./query-wire.ts";

const EVENT_TYPES = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"];

/** The route that takes events, under a path of OpenMeter's and with its status. */
export function ingestRoute(path: string, accepted: 204 | 202): Route {
  return route({
    method: "post",
    path,
    access: "ingest",
    tag: "OpenMeter: events",
    summary: "Take in events",
    description:
      "One CloudEvent or a list of them. The answer comes after the commit. With `Prefer: return=representation` it says what became of each event; an event that is not kept makes it a problem that says the same. With `atomic=true` all are kept or none.",
    query: z.object({ atomic: sentFlag.optional() }),
    body: z.instanceof(Uint8Array),
    rawBody: true,
    accepts: EVENT_TYPES,
    answers: {
      [accepted]: { description: "Every event is kept, or was there already." },
      200: { description: "With `Prefer: return=representation`: what became of each event.", schema: z.unknown() },
    },
    async reply({ backend, request, body, query }): Promise<Reply> {
      const asked = await backend.ingest(ingestCall(request, body, query.atomic ?? false));
      return ingestReply(asked, accepted, preferenceOf(request));
    },
  });
}

const pageLimit = sentInteger(1, limits.openmeterEventsMax).optional();

const listQuery = z.object({
  clientId: z.string().optional(),
  ingestedAtFrom: instant.optional(),
  ingestedAtTo: instant.optional(),
  id: z.string().optional(),
  subject: z.string().optional(),
  customerId: sentList.optional(),
  from: instant.optional(),
  to: instant.optional(),
  limit: pageLimit,
});

/** The events of v1 and v2. */
export const eventRoutes: readonly Route[] = [
  ingestRoute("/api/v1/events", 204),
  route({
    method: "get",
    path: "/api/v1/events",
    access: "read",
    tag: "OpenMeter: events",
    summary: "List events, newest first",
    description: "Without `from` those of the last 72 hours. `id` and `subject` are parts of a text.",
    query: listQuery,
    answers: { 200: { description: "The events, with why they do not count.", schema: z.array(ingestedEvent) } },
    async reply({ backend, query, now }) {
      checkSpan(query.from, query.to);
      const { events } = await backend.listEvents(eventsAsked(query, now));
      return jsonReply(200, events.map(shownEvent));
    },
  }),
  route({
    method: "get",
    path: "/api/v2/events",
    access: "read",
    tag: "OpenMeter: events",
    summary: "List events that fit a filter, page by page",
    query: z.object({
      cursor: z.string().optional(),
      limit: pageLimit,
      clientId: z.string().optional(),
      filter: eventFilter.optional(),
    }),
    answers: {
      200: {
        description:
          "Newest first. A page may have fewer rows than asked for; `nextCursor` is there while there are more.",
        schema: z.object({ items: z.array(ingestedEvent), nextCursor: z.string().optional() }),
      },
    },
    async reply({ backend, query: { cursor, limit = limits.openmeterEventsMax, filter = {} } }) {
      const page = { limit, ...(cursor === undefined ? {} : { cursor }) };
      const { events, next } = await fittingEvents(backend, filter, page);
      return jsonReply(200, { items: events.map(shownEvent), ...(next === null ? {} : { nextCursor: next }) });
    },
  }),
];

/** A v1 list as a question; by default it goes 72 hours back. */
function eventsAsked(query: z.output<typeof listQuery>, now: number): EventListQuery {
  const { from, to, ingestedAtFrom, ingestedAtTo, id, subject, customerId, limit } = query;
  return {
    from: from ?? (to ?? now) - limits.openmeterEventsBackMs,
    limit: limit ?? limits.openmeterEventsMax,
    ...(to === undefined ? {} : { to }),
    ...(ingestedAtFrom === undefined ? {} : { ingestedFrom: ingestedAtFrom }),
    ...(ingestedAtTo === undefined ? {} : { ingestedTo: ingestedAtTo }),
    ...(id === undefined ? {} : { idPart: id }),
    ...(subject === undefined ? {} : { subjectPart: subject }),
    ...(customerId === undefined ? {} : { customers: customerId }),
  };
}
