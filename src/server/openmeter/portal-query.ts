import type { IncomingMessage } from "node:http";

import { z } from "zod";

import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import type { PortalToken } from "../../engine/registry/portal-tokens.ts";
import type { Backend } from "../backend.ts";
import { readCredentials } from "../credentials.ts";
import { route, type Route } from "../route.ts";
import { answerOf, QUERY_ANSWERS } from "./query-routes.ts";
import { queryParameters, questionOf } from "./query-wire.ts";
import { problemReply } from "./reply.ts";

/**
 * The question of a subject's own page. Keys do not open it and portal tokens open nothing else, so that a token can
 * never show more than its subject.
 */
export const portalQueryRoute: Route = route({
  method: "get",
  path: "/api/v1/portal/meters/{meterSlug}/query",
  access: "open",
  tag: "OpenMeter: portal",
  summary: "Query a meter's usage with a portal token",
  description:
    "`Authorization: Bearer <portal token>`. Only of the token's subject, and only of the meters that it names.",
  params: z.object({ meterSlug: z.string() }),
  query: queryParameters.omit({ subject: true, filterCustomerId: true }),
  answers: QUERY_ANSWERS,
  async reply({ backend, params: { meterSlug }, query, request }) {
    const token = await tokenOf(backend, request);
    if (token === null) return UNAUTHORIZED;
    if (token.meters !== null && !token.meters.includes(meterSlug)) throw noMeter(meterSlug);
    const { progressId: _, ...asked } = questionOf(meterSlug, query);
    try {
      return await answerOf(backend, { ...asked, subjects: [token.subject] }, query, request.headers.accept);
    } catch (error) {
      // What is hidden and what is not there must read the same.
      if (isMeterbookError(error) && error.code === "METER_NOT_FOUND") throw noMeter(meterSlug);
      throw error;
    }
  },
});

const UNAUTHORIZED = problemReply({
  status: 401,
  detail: "A portal token is wanted: Authorization: Bearer <token>. It may have expired, or been ended.",
  code: "METER_UNAUTHORIZED",
  extensions: {},
  headers: { "WWW-Authenticate": 'Bearer realm="meterbook portal"' },
});

async function tokenOf(backend: Backend, request: IncomingMessage): Promise<PortalToken | null> {
  const shown = readCredentials(request, null);
  if (shown.kind === "unclear") throw new MeterbookError("METER_REQUEST_INVALID", shown.message);
  return shown.kind === "none" ? null : backend.findPortalToken({ text: shown.text });
}

function noMeter(meter: string): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", `There is no meter ${JSON.stringify(meter)}.`);
}
