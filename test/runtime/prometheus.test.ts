import { describe, expect, it } from "vitest";

import type { EventResult } from "../../src/engine/intake/accepted.ts";
import { openMetrics } from "../../src/runtime/prometheus.ts";
import type { Backend, ServiceFigures } from "../../src/server/backend.ts";
import { METRICS_MISSING, metricsRoute } from "../../src/server/metrics.ts";
import type { Reply } from "../../src/server/route.ts";
import { threads } from "./served-threads.ts";

const idle = { writing: 0, reading: 0, restarts: 0 };

function result(status: EventResult["status"], index: number): EventResult {
  if (status === "rejected") return { status, index, source: null, id: null, problems: [] };
  return { status, index, source: "s", id: String(index), held: [], unmetered: false };
}

async function opened() {
  const metrics = await openMetrics();
  if (metrics === null) throw new Error("prom-client is installed for tests");
  return metrics;
}

async function askedOf(route: ReturnType<typeof metricsRoute>, backend: Backend): Promise<Reply> {
  const caller = { author: "local", scopes: [], customer: null, portal: null };
  return route.reply({ backend, caller, params: {}, query: {}, body: undefined, now: 0, request: {} as never });
}

describe("GET /metrics", () => {
  it("counts calls by route and status, and strangers' paths as one", async () => {
    const metrics = await opened();
    const { backend } = threads().remote;
    const call = { method: "POST", route: "/v1/events", status: 200, durationMs: 3 };
    for (const status of [200, 200, 400]) metrics.called({ ...call, status });
    for (const path of ["a", "b"]) metrics.called({ ...call, method: path, route: null, status: 404 });
    const { status, contentType, body } = await askedOf(
      metricsRoute(metrics, () => idle),
      backend,
    );
    expect({ status, contentType }).toEqual({
      status: 200,
      contentType: expect.stringContaining("text/plain") as string,
    });
    expect(body).toContain('meterbook_http_calls_total{method="POST",route="/v1/events",status="200"} 2');
    expect(body).toContain('meterbook_http_calls_total{method="POST",route="/v1/events",status="400"} 1');
    expect(body).toContain('meterbook_http_calls_total{method="OTHER",route="(none)",status="404"} 2');
    expect(body).toContain(
      'meterbook_http_call_duration_seconds_bucket{le="0.005",method="POST",route="/v1/events"} 3',
    );
    expect(body).toContain('meterbook_outbox_rows{state="pending"} 0');
    expect(body).toContain("meterbook_stored_events 0");
  }, 60_000);

  it("counts what became of events, and nothing as stored of a call that was not kept", async () => {
    const metrics = await opened();
    const results = (["stored", "stored", "duplicate", "conflict", "rejected"] as const).map(result);
    metrics.ingested({ kind: "results", kept: true, results });
    metrics.ingested({ kind: "whole", stored: 0, duplicates: 0 });
    metrics.ingested({ kind: "results", kept: false, results: results.slice(0, 1) });
    metrics.ingested({ kind: "refused", why: "busy", message: "" });
    const figures: ServiceFigures = {
      counts: {
        events: 2,
        heldEvents: 1,
        duplicates: 1,
        conflicts: 1,
        outbox: { pending: 1, sending: 0, accepted: 0, settled: 0, held: 0, dead: 0, conflict: 0 },
        lastEventAt: null,
      },
      backlogBytes: 7,
      drainLagMs: 1_500,
      holds: [{ meter: "tokens", holds: 3 }],
    };
    const { body } = await metrics.text(figures, { writing: 4, reading: 5, restarts: 6 });
    for (const line of [
      'meterbook_ingest_events_total{status="stored"} 2',
      'meterbook_ingest_events_total{status="duplicate"} 1',
      'meterbook_ingest_events_total{status="conflict"} 1',
      'meterbook_ingest_events_total{status="rejected"} 1',
      'meterbook_ingest_events_total{status="not_kept"} 1',
      'meterbook_ingest_refused_calls_total{reason="busy"} 1',
      'meterbook_holds{meter="tokens"} 3',
      "meterbook_journal_backlog_bytes 7",
      "meterbook_drain_lag_seconds 1.5",
      'meterbook_waiting_calls{thread="writer"} 4',
      'meterbook_waiting_calls{thread="reader"} 5',
      "meterbook_thread_restarts 6",
    ])
      expect(body).toContain(line);
  });

  it("says how to get metrics where the package is not installed", async () => {
    const { backend } = threads().remote;
    const reply = await askedOf(
      metricsRoute(null, () => idle),
      backend,
    );
    expect(reply).toMatchObject({ status: 501, contentType: "application/problem+json" });
    expect(JSON.parse(String(reply.body))).toMatchObject({ status: 501, detail: METRICS_MISSING });
  }, 60_000);
});
