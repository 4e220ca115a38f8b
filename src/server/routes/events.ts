import type { IncomingMessage } from "node:http";

import { z } from "zod";

import type { IngestReply } from "../../engine/intake/accepted.ts";
import {
  eventQuery,
  eventShown,
  explanationShown,
  listQueryOf,
  resultsShown,
  showEvents,
  showExplanation,
  showResults,
} from "../contract/event.ts";
import { flag, identifier, listOf } from "../contract/listing.ts";
import { busyProblem, invalidProblem, problemReply } from "../problem.ts";
import { route, type Reply, type Route } from "../route.ts";
import { byId } from "./paths.ts";

const ACCEPTED = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"] as const;

/** Sending events, and looking at them. */
export const eventRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/events",
    access: "ingest",
    tag: "events",
    summary: "Send events",
    description:
      "CloudEvents 1.0: one event, a batch, or binary mode. The answer comes when they are stored, and says of each what became of it.",
    query: z.strictObject({
      atomic: flag
        .meta({ description: "All or nothing: one event that is rejected or in conflict keeps out the others." })
        .optional(),
    }),
    body: z.instanceof(Uint8Array),
    rawBody: true,
    accepts: ACCEPTED,
    answers: {
      200: { description: "What became of each event.", schema: resultsShown },
      204: { description: "All of them are stored, and `Prefer: return=minimal` was sent." },
    },
    reply: async ({ backend, query, body, request }) => {
      const brief = prefersMinimal(request);
      const reply = await backend.ingest({
        body,
        contentType: request.headers["content-type"] ?? null,
        headers: cloudEventHeaders(request),
        atomic: query.atomic ?? false,
        brief,
      });
      return replyTo(reply);
    },
  }),
  route({
    method: "get",
    path: "/v1/events",
    access: "read",
    tag: "events",
    summary: "List events, newest first",
    query: eventQuery,
    answers: { 200: { description: "A page of events.", schema: listOf(eventShown) } },
    reply: async ({ backend, query }) => ({
      status: 200,
      body: showEvents(await backend.listEvents(listQueryOf(query))),
    }),
  }),
  route({
    method: "get",
    path: "/v1/events/{id}",
    access: "read",
    tag: "events",
    summary: "Explain an event: what each meter made of it, and where it was reported",
    params: byId,
    query: z.strictObject({ source: identifier.optional() }),
    answers: { 200: { description: "The event with its verdicts.", schema: explanationShown } },
    reply: async ({ backend, params: { id }, query: { source } }) => ({
      status: 200,
      body: showExplanation(await backend.explainEvent({ id, ...(source === undefined ? {} : { source }) })),
    }),
  }),
];

const REFUSED: Readonly<Record<Extract<IngestReply, { kind: "refused" }>["why"], number>> = {
  content_type: 415,
  not_json: 400,
  too_large: 413,
  too_many: 413,
  too_deep: 400,
  empty: 400,
  busy: 503,
};

function replyTo(reply: IngestReply): Reply {
  // A short answer never hides that something was not stored: such a reply has its results.
  if (reply.kind === "whole") return { status: 204, headers: { "preference-applied": "return=minimal" } };
  if (reply.kind === "refused") {
    const status = REFUSED[reply.why];
    return problemReply(status === 503 ? busyProblem(reply.message) : invalidProblem(reply.message, [], status));
  }
  const shown = showResults(reply.results, reply.kept);
  const rejected = reply.results.flatMap((result) =>
    result.status === "rejected"
      ? result.problems.map(({ pointer, message }) => ({ pointer: `/${result.index}${pointer}`, message }))
      : [],
  );
  if (!reply.kept || shown.rejected === reply.results.length) {
    const detail = reply.kept ? "No event was stored." : "One event keeps out the others, since the call is atomic.";
    return problemReply({ ...invalidProblem(detail, rejected), members: { ...shown } });
  }
  return { status: 200, body: shown };
}

function prefersMinimal({ headers }: IncomingMessage): boolean {
  const { prefer } = headers;
  return typeof prefer === "string" && /(^|[,;\s])return=minimal($|[,;\s])/i.test(prefer);
}

/** The attributes of binary mode; in an object that inherits nothing. */
function cloudEventHeaders({ headers }: IncomingMessage): Readonly<Record<string, string>> {
  const found: Record<string, string> = Object.setPrototypeOf({}, null);
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith("ce-") && typeof value === "string") found[name] = value;
  return found;
}
