import { z } from "zod";

import { route, type Route } from "../route.ts";

const ready = z.object({ ready: z.boolean() }).meta({ id: "Readiness" });

/** Whether the process lives, and whether it takes calls: for those who start and watch it. */
export const healthRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/healthz",
    access: "open",
    tag: "health",
    summary: "Whether the process lives",
    answers: { 200: { description: "It does.", schema: z.object({ alive: z.literal(true) }) } },
    reply: async () => ({ status: 200, body: { alive: true } }),
  }),
  route({
    method: "get",
    path: "/readyz",
    access: "open",
    tag: "health",
    summary: "Whether it takes calls",
    answers: {
      200: { description: "It does.", schema: ready },
      503: { description: "Not now; the log says why.", schema: ready },
    },
    reply: async ({ backend }) => {
      // Reasons name files and faults, and everybody may ask.
      const { isReady } = await backend.readiness({});
      return { status: isReady ? 200 : 503, body: { ready: isReady } };
    },
  }),
];
