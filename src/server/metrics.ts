import { z } from "zod";

import type { IngestReply } from "../engine/intake/accepted.ts";
import type { ServiceFigures } from "./backend.ts";
import { route, type Route } from "./route.ts";

/** One answered call, as it is counted: the route's own path, never the caller's. */
interface CountedCall {
  readonly method: string;
  /** Null where no route was found. */
  readonly route: string | null;
  readonly status: number;
  readonly durationMs: number;
}

/** What the threads of the service stand at. */
export interface ThreadFigures {
  /** Calls that wait for the thread that writes, and for the one that reads. */
  readonly writing: number;
  readonly reading: number;
  readonly restarts: number;
}

/** Counts what the service does, for a monitoring system that asks for it. */
export interface ServiceMetrics {
  called(call: CountedCall): void;
  /** What became of the events of one call. */
  ingested(reply: IngestReply): void;
  /** Everything counted so far, beside these figures of now, as the monitoring system reads it. */
  text(
    figures: ServiceFigures,
    threads: ThreadFigures,
  ): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** What to do where no metrics can be given. */
export const METRICS_MISSING =
  "Metrics need the package prom-client, which is not installed beside meterbook. Run `npm install prom-client` and start the service again.";

/** `GET /metrics`. Null metrics: the package that makes them is not installed, and the answer says how to get it. */
export function metricsRoute(metrics: ServiceMetrics | null, threads: () => ThreadFigures): Route {
  return route({
    method: "get",
    path: "/metrics",
    access: "read",
    tag: "service",
    summary: "What the service does, for Prometheus",
    answers: {
      200: { description: "Prometheus text format", contentTypes: ["text/plain"] },
      501: { description: METRICS_MISSING, schema: z.object({ status: z.literal(501), detail: z.string() }) },
    },
    reply: async ({ backend }) => {
      if (metrics === null) {
        const body = { type: "about:blank", title: "Not Implemented", status: 501, detail: METRICS_MISSING };
        return { status: 501, contentType: "application/problem+json", body: JSON.stringify(body) };
      }
      const { contentType, body } = await metrics.text(await backend.figures({}), threads());
      return { status: 200, contentType, body };
    },
  });
}
