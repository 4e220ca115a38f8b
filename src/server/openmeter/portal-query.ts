import { z } from "zod";

import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import { route, type Route } from "../route.ts";
import { answerOf, QUERY_ANSWERS } from "./query-routes.ts";
import { queryParameters, questionOf } from "./query-wire.ts";

/** The question of a subject's own page. */
export const portalQueryRoute: Route = route({
  method: "get",
  path: "/api/v1/portal/meters/{meterSlug}/query",
  access: "portal",
  tag: "OpenMeter: portal",
  summary: "Query a meter's usage with a portal token",
  description:
    "`Authorization: Bearer <portal token>`. Only of the token's subject, and only of the meters that it names.",
  params: z.object({ meterSlug: z.string() }),
  query: queryParameters.omit({ subject: true, filterCustomerId: true }),
  answers: QUERY_ANSWERS,
  async reply({ backend, caller: { portal: token }, params: { meterSlug }, query, request }) {
    if (token === null) throw noMeter(meterSlug);
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

function noMeter(meter: string): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", `There is no meter ${JSON.stringify(meter)}.`);
}
