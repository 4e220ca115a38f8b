import { z } from "zod";

import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import type { MeterQuestion } from "../../engine/usage/meter-question.ts";
import type { Backend } from "../backend.ts";
import { route, type Caller, type Reply, type Route } from "../route.ts";
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
const answers = {
  200: { description: "The usage.", schema: result, contentTypes: ["application/json", "text/csv"] },
};

/** Questions about usage over v1, of the operator and of a customer's own page. */
export const queryRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/meters/{meterIdOrSlug}/query",
    access: "read",
    tag: "OpenMeter: meters",
    summary: "Query a meter's usage",
    params,
    query: queryParameters,
    answers,
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
    answers,
    reply: ({ backend, params: { meterIdOrSlug }, body, request }) =>
      answerOf(backend, questionOf(meterIdOrSlug, body), body, request.headers.accept),
  }),
  route({
    method: "get",
    path: "/api/v1/portal/meters/{meterSlug}/query",
    access: "token",
    tag: "OpenMeter: portal",
    summary: "Query a meter's usage with a portal token",
    description: "Only of the token's subject, and only of the meters that it names.",
    params: z.object({ meterSlug: z.string() }),
    query: queryParameters.omit({ subject: true, filterCustomerId: true }),
    answers,
    async reply({ backend, caller, params: { meterSlug }, query, request }) {
      const question = { ...questionOf(meterSlug, query), customers: [ownCustomer(caller, meterSlug)] };
      try {
        return await answerOf(backend, question, query, request.headers.accept);
      } catch (error) {
        // What is hidden and what is not there must read the same.
        if (isMeterbookError(error) && error.code === "METER_NOT_FOUND") throw noMeter(meterSlug);
        throw error;
      }
    },
  }),
];

async function answerOf(
  backend: Backend,
  question: MeterQuestion,
  asked: QueryAsked,
  accept: string | undefined,
): Promise<Reply> {
  const answer = await inWireWords(QUERY_NAMES, () => backend.queryMeter(question));
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

/** The customer of a token, if it may see this meter. */
function ownCustomer({ customer }: Caller, meter: string): string {
  if (customer === null) {
    throw new MeterbookError("METER_FORBIDDEN", "This address is for portal tokens.", {
      remedy: "Ask /api/v1/meters/{meterIdOrSlug}/query with a key.",
    });
  }
  if (customer.meters !== null && !customer.meters.includes(meter)) throw noMeter(meter);
  return customer.id;
}

function noMeter(meter: string): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", `There is no meter ${JSON.stringify(meter)}.`);
}
