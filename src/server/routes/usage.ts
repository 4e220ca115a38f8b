import { randomUUID } from "node:crypto";

import { MeterbookError } from "../../core/errors.ts";
import type { EventResult } from "../../engine/intake/accepted.ts";
import type { SessionBoundary } from "../../engine/intake/session.ts";
import { sessionAnswer, usageAnswer, usageBody } from "../contract/usage.ts";
import { route, type Call, type Reply, type Route } from "../route.ts";
import { SentReading, type SentPlace } from "./sent-usage.ts";
import { recordBoundary } from "./sessions.ts";
import type { UsageBody } from "../contract/usage.ts";

/** The simple way in: one figure of one meter for one tenant. What meter-lib sends is taken as it is. */
export const usageRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/usage",
    access: "ingest",
    tag: "Usage",
    summary: "Report usage of one meter",
    description:
      "With `total_usage` a figure, with `start_time` or `end_time` one end of a session. `tenant_id` and `device_id` may " +
      "stand in the header fields `x-tenant-id` and `x-device-id`. Send an `id` (or `Idempotency-Key`) to be able to send " +
      "the same report again: it counts once. `customer_id` is accepted and decides nothing: who pays is the customer that " +
      "owns the tenant.",
    body: usageBody,
    answers: {
      200: { description: "It is stored, or was before", schema: usageAnswer.or(sessionAnswer) },
    },
    reply: takeUsage,
  }),
];

async function takeUsage(call: Call<undefined, undefined, UsageBody>): Promise<Reply> {
  const reading = new SentReading(call.body, call.request.headers);
  const place = reading.place();
  const total = reading.figure("total_usage", "totalUsage");
  const startTime = reading.time("start_time", "startTime");
  const endTime = reading.time("end_time", "endTime");
  if ([total, startTime, endTime].filter((value) => value !== null).length !== 1)
    reading.mistake("total_usage", "exactly one of total_usage, start_time and end_time is expected");
  reading.check();
  if (total !== null) return takeFigure(call, place, total, reading.text("customer_id", "customerId"));
  const boundary: SessionBoundary = {
    ...boundaryPlace(place),
    boundary: startTime === null ? "end" : "start",
    time: startTime ?? endTime ?? call.now,
  };
  return recordBoundary(call, boundary);
}

function boundaryPlace({
  tenantId,
  deviceId,
  meterId,
  sessionId,
  metadata,
  id,
}: SentPlace): Omit<SessionBoundary, "boundary" | "time"> {
  return { tenantId, deviceId, meterId, sessionId, metadata, id };
}

async function takeFigure(
  { backend }: Pick<Call<undefined, undefined, UsageBody>, "backend">,
  { tenantId, deviceId, meterId, metadata, timestamp, id }: SentPlace,
  total: string,
  customerId: string | null,
): Promise<Reply> {
  const [result] = await backend.reportUsage({
    reports: [
      {
        id: id ?? randomUUID(),
        tenantId,
        deviceId,
        meterId,
        total,
        timestamp,
        metadata,
        ...(customerId === null ? {} : { extra: { customer_id: customerId } }),
      },
    ],
  });
  return answerOf(result);
}

function answerOf(result: EventResult | undefined): Reply {
  if (result === undefined) throw new MeterbookError("METER_SERVER_BUSY", "The usage was not taken");
  if (result.status === "rejected") {
    const mistakes = result.problems.map(({ pointer, message }) => ({
      pointer: MEMBERS.get(pointer) ?? pointer,
      message,
    }));
    throw new MeterbookError("METER_REQUEST_INVALID", "The usage has mistakes", { mistakes });
  }
  const { status, source, id, held, unmetered } = result;
  if (status === "conflict")
    throw new MeterbookError("METER_CONFLICT", `Another report has the id ${id} and says something else`);
  return { status: 200, body: { status, source, id, held, unmetered } };
}

/** How the parts of a report are spelled in the body. */
const MEMBERS: ReadonlyMap<string, string> = new Map([
  ["/tenantId", "/tenant_id"],
  ["/deviceId", "/device_id"],
  ["/meterId", "/meter_id"],
  ["/total", "/total_usage"],
]);
