import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import { route, type Route } from "../route.ts";
import { currencies } from "./currencies.ts";
import { rfc3339 } from "./instant.ts";
import { jsonReply } from "./reply.ts";

const tag = "OpenMeter: info";
const count = z.int().min(0);

/** What v1 tells beside meters. */
export const infoRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/info/progress/{id}",
    access: "read",
    tag,
    summary: "How far a query is that reads events",
    params: z.object({ id: z.string() }),
    answers: {
      200: {
        description: "Events that were read, and are to be read.",
        schema: z.object({ success: count, failed: count, total: count, updatedAt: z.iso.datetime() }),
      },
    },
    async reply({ backend, params: { id } }) {
      const progress = await backend.queryProgress({ id });
      if (progress === null) throw new MeterbookError("METER_NOT_FOUND", "No query under this name is known.");
      const { read, total, updatedAt } = progress;
      return jsonReply(200, { success: read, failed: 0, total, updatedAt: rfc3339(updatedAt) });
    },
  }),
  route({
    method: "get",
    path: "/api/v1/info/currencies",
    access: "read",
    tag,
    summary: "List currencies",
    answers: {
      200: {
        description: "Every currency of ISO 4217.",
        schema: z.array(z.object({ code: z.string(), name: z.string(), symbol: z.string(), subunits: count })),
      },
    },
    reply: () => Promise.resolve(jsonReply(200, currencies())),
  }),
];
