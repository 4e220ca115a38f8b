import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import type { SessionBoundary, SessionView } from "../../engine/intake/session.ts";
import { limits } from "../../engine/limits.ts";
import { boundaryBody, session, sessionAnswer, sessionList, type BoundaryBody } from "../contract/usage.ts";
import { route, type Call, type Reply, type Route } from "../route.ts";
import { SentReading } from "./sent-usage.ts";

const boundaryRoute = (boundary: SessionBoundary["boundary"], summary: string): Route =>
  route({
    method: "post",
    path: `/v1/sessions/${boundary}`,
    access: "ingest",
    tag: "Sessions",
    summary,
    description:
      "A start and an end of one tenant, device and meter become one event: its type is the meter, its time the end, " +
      "`data.total_usage` how long it lasted in the meter's unit. With `session_id` they pair by it; without, an end ends " +
      "the earliest start that is open for at most a day. Sent again, a boundary changes nothing.",
    body: boundaryBody,
    answers: { 200: { description: "It is kept; `held` says that it counts for nothing yet", schema: sessionAnswer } },
    reply: (call: Call<undefined, undefined, BoundaryBody>) => recordBoundary(call, boundaryOf(call, boundary)),
  });

/** Sessions of time meters: begin, end, what waits. */
export const sessionRoutes: readonly Route[] = [
  boundaryRoute("start", "Begin a session"),
  boundaryRoute("end", "End a session"),
  route({
    method: "get",
    path: "/v1/sessions",
    access: "read",
    tag: "Sessions",
    summary: "List sessions that wait",
    description:
      "Open ones, and held ones with their reason: an end without a start, or a start without an end for a day.",
    query: z.strictObject({
      state: z.enum(["open", "held"]).optional(),
      tenantId: z.string().optional(),
      after: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(limits.sessionsPageMax).default(100),
    }),
    answers: { 200: { description: "A page, in the order of ids", schema: sessionList } },
    reply: async ({ backend, query: { state, tenantId, after, limit } }) => {
      const { sessions, next } = await backend.listSessions({
        limit,
        ...(state === undefined ? {} : { state }),
        ...(tenantId === undefined ? {} : { tenantId }),
        ...(after === undefined ? {} : { after }),
      });
      return { status: 200, body: { data: sessions.map(shownSession), next } };
    },
  }),
  route({
    method: "delete",
    path: "/v1/sessions/{id}",
    access: "admin",
    tag: "Sessions",
    summary: "Dismiss a session that waits",
    description: "It counts for nothing. Its boundary may then be sent anew.",
    params: z.object({ id: z.string() }),
    answers: { 200: { description: "The session, dismissed", schema: session } },
    reply: async ({ backend, caller, params: { id } }) => {
      return { status: 200, body: shownSession(await backend.dismissSession({ id, author: caller.author })) };
    },
  }),
];

function boundaryOf(call: Call<undefined, undefined, BoundaryBody>, boundary: "start" | "end"): SessionBoundary {
  const reading = new SentReading(call.body, call.request.headers);
  const { timestamp, ...place } = reading.place();
  const time = reading.time("time", "time");
  if (time !== null && timestamp !== null) reading.mistake("timestamp", "is there as time too");
  reading.check();
  return { ...place, boundary, time: time ?? timestamp ?? call.now };
}

/** Records a boundary and answers what became of it; a conflict is METER_CONFLICT. */
export async function recordBoundary(
  { backend, caller }: Pick<Call<undefined, undefined, unknown>, "backend" | "caller">,
  boundary: SessionBoundary,
): Promise<Reply> {
  const { status, session: found } = await backend.recordSession({ boundary, author: caller.author });
  if (status === "conflict") {
    const other =
      found.reason === "event_conflict"
        ? "its event's id has another content"
        : "it was sent with another time or metadata";
    throw new MeterbookError("METER_CONFLICT", `This ${boundary.boundary} contradicts what is there: ${other}`);
  }
  return { status: 200, body: { status, session: shownSession(found) } };
}

function shownSession({ startedAt, endedAt, ...rest }: SessionView): object {
  return { ...rest, startedAt: instantText(startedAt), endedAt: instantText(endedAt) };
}

function instantText(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
