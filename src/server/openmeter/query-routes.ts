import { z } from "zod";

import type { MeterQuestion } from "../../engine/usage/meter-question.ts";
import type { Backend } from "../backend.ts";
import { route, type Reply, type Route } from "../route.ts";
import { byKeyOrId } from "./asked-meter.ts";
import { queryCsv } from "./query-csv.ts";
import { queryText } from "./query-rows.ts";
import { QUERY_NAMES, queryBody, queryParameters, questionOf, WINDOW_SIZES, type QueryAsked } from "./query-wire.ts";
import { jsonText, prefers } from "./reply.ts";
import { inWireWords } from "./wire-mistakes.ts";

const params = z.object({ meterIdOrSlug: z.string() });

const result = z.object({
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
  windowSize: z.enum(WINDOW_SIZES).optional(),
  data: z.array(
    z.object({
      value: z.number(),
      windowStart: z.iso.datetime(),
      windowEnd: z.iso.datetime(),
      subject: z.string().nullable(),
      customerId: z.string().optional(),
      groupBy: z.record(z.string(), z.string().nullable()),
    }),
  ),
});
/** What a v1 query is answered with. */
export const QUERY_ANSWERS = {
  200: { description: "The usage.", schema: result, contentTypes: ["application/json", "text/csv"] },
};

/** Questions about usage over v1, of the operator. */
export const queryRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/meters/{meterIdOrSlug}/query",
    access: "read",
    tag: "OpenMeter: meters",
    summary: "Query a meter's usage",
    params,
    query: queryParameters,
    answers: QUERY_ANSWERS,
    reply: ({ backend, params: { meterIdOrSlug }, query, request }) =>
      answerOf(backend, questionOf(meterIdOrSlug, query), query, request.headers.accept),
  }),
  route({
    method: "post",
    path: "/api/v1/meters/{meterIdOrSlug}/query",
    access: "read",
    tag: "OpenMeter: meters",
    summary: "Query a meter's usage, with a question too long for an address",
    params,
    body: queryBody,
    answers: QUERY_ANSWERS,
    reply: ({ backend, params: { meterIdOrSlug }, body, request }) =>
      answerOf(backend, questionOf(meterIdOrSlug, body), body, request.headers.accept),
  }),
];

/** Asks, and answers as JSON or as a table. */
export async function answerOf(
  backend: Backend,
  question: MeterQuestion,
  asked: QueryAsked,
  accept: string | undefined,
): Promise<Reply> {
  const answer = await byKeyOrId(backend, question.meter, (meter) =>
    inWireWords(QUERY_NAMES, () => backend.queryMeter({ ...question, meter })),
  );
  if (!prefers(accept, "text/csv")) return jsonText(queryText(asked, answer));
  const hasSubjects = answer.rows.some(({ subject }) => subject !== null);
  const known = hasSubjects ? await backend.listSubjects({}) : [];
  const subjects = new Map(known.map(({ key, displayName }) => [key, displayName ?? ""] as const));
  return {
    status: 200,
    body: queryCsv(asked.groupBy ?? [], answer, { subjects }),
    contentType: "text/csv",
    headers: { "Content-Disposition": `attachment; filename="${question.meter.replace(/[^\w-]/g, "_")}.csv"` },
  };
}
