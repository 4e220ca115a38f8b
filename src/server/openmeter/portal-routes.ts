import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { Backend } from "../backend.ts";
import { route, type Route } from "../route.ts";
import { inWireWords } from "./wire-mistakes.ts";
import { shownToken, TOKEN_NAMES, tokenSent, tokensEnded, tokenShown } from "./portal-wire.ts";
import { jsonReply, NO_CONTENT } from "./reply.ts";
import { sentInteger } from "./sent-list.ts";

const tag = "OpenMeter: portal";

/** Portal tokens over v1: a customer's own page asks with them. */
export const portalRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/api/v1/portal/tokens",
    access: "admin",
    tag,
    summary: "Make a portal token of a subject",
    description: "The token is shown this once.",
    body: tokenSent,
    answers: { 200: { description: "The token.", schema: tokenShown } },
    async reply({ backend, body: { subject, allowedMeterSlugs }, caller: { author }, now }) {
      // A name that is mistyped would otherwise be found out by the customer.
      const meters = allowedMeterSlugs ? await keysOf(backend, allowedMeterSlugs) : null;
      const order = { subject, meters, expiresInMs: limits.portalTokenMs, author };
      const token = await inWireWords(TOKEN_NAMES, () => backend.createPortalToken(order));
      return jsonReply(200, shownToken(token, now));
    },
  }),
  route({
    method: "get",
    path: "/api/v1/portal/tokens",
    access: "admin",
    tag,
    summary: "List portal tokens",
    query: z.object({ limit: sentInteger(1, 100).optional() }),
    answers: { 200: { description: "Newest first, as a plain list.", schema: z.array(tokenShown) } },
    async reply({ backend, query: { limit = 25 }, now }) {
      const tokens = await backend.listPortalTokens({ limit });
      return jsonReply(
        200,
        tokens.map((issued) => shownToken(issued, now)),
      );
    },
  }),
  route({
    method: "post",
    path: "/api/v1/portal/tokens/invalidate",
    access: "admin",
    tag,
    summary: "End a portal token, or all of a subject",
    body: tokensEnded,
    answers: { 204: { description: "They open nothing any more." } },
    async reply({ backend, body: { id, subject }, caller: { author } }) {
      await backend.endPortalTokens({
        author,
        ...(id === undefined ? {} : { id }),
        ...(subject === undefined ? {} : { subject }),
      });
      return NO_CONTENT;
    },
  }),
];

async function keysOf(backend: Backend, idsOrKeys: readonly string[]): Promise<readonly string[]> {
  const meters = await Promise.all(idsOrKeys.map((idOrKey) => backend.getMeter({ idOrKey })));
  return meters.map(({ key }) => key);
}
