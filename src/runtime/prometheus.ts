import type promClient from "prom-client";
import type { Registry } from "prom-client";

import type { IngestReply } from "../engine/intake/accepted.ts";
import { OUTBOX_STATES } from "../engine/ports.ts";
import type { ServiceFigures } from "../server/backend.ts";
import type { ServiceMetrics, ThreadFigures } from "../server/metrics.ts";

type Prometheus = typeof promClient;

/** Bounds of the durations' histogram, in seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Metrics by prom-client, which is optional: null where it is not installed. */
export async function openMetrics(): Promise<ServiceMetrics | null> {
  try {
    const { default: prometheus } = await import("prom-client");
    return metricsOver(prometheus);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
    if (isMissing) return null;
    throw error;
  }
}

function metricsOver(prometheus: Prometheus): ServiceMetrics {
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const calls = new prometheus.Counter({
    name: "meterbook_http_calls_total",
    help: "Answered calls by route and status",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const durations = new prometheus.Histogram({
    name: "meterbook_http_call_duration_seconds",
    help: "From a call's first header to the end of its answer",
    labelNames: ["method", "route"],
    buckets: SECONDS,
    registers,
  });
  const events = new prometheus.Counter({
    name: "meterbook_ingest_events_total",
    help: "Events that were sent to this process, by what became of them",
    labelNames: ["status"],
    registers,
  });
  const refused = new prometheus.Counter({
    name: "meterbook_ingest_refused_calls_total",
    help: "Calls of which nothing was read as events, by reason",
    labelNames: ["reason"],
    registers,
  });
  const show = gauges(prometheus, registry);
  return {
    called: (call) => {
      // Methods and paths of strangers are without number.
      const known =
        call.route === null ? { method: "OTHER", route: "(none)" } : { method: call.method, route: call.route };
      calls.inc({ ...known, status: String(call.status) });
      durations.observe(known, call.durationMs / 1_000);
    },
    ingested: (reply) => {
      if (reply.kind === "refused") return refused.inc({ reason: reply.why });
      for (const [status, count] of statusesOf(reply)) events.inc({ status }, count);
    },
    text: async (figures, threads) => {
      show(figures, threads);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** An atomic call that was not kept has stored nothing, whatever its events are like. */
function statusesOf(reply: Exclude<IngestReply, { kind: "refused" }>): ReadonlyMap<string, number> {
  const statuses = new Map<string, number>();
  if (reply.kind === "whole") {
    if (reply.stored > 0) statuses.set("stored", reply.stored);
    if (reply.duplicates > 0) statuses.set("duplicate", reply.duplicates);
    return statuses;
  }
  const { results, kept } = reply;
  for (const { status } of results) {
    const known = status === "stored" && !kept ? "not_kept" : status;
    statuses.set(known, (statuses.get(known) ?? 0) + 1);
  }
  return statuses;
}

/** Gauges of what stands in the store and before the threads, set whenever they are asked for. */
function gauges(prometheus: Prometheus, registry: Registry): (figures: ServiceFigures, threads: ThreadFigures) => void {
  const gauge = (name: string, help: string, labelNames: readonly string[] = []) =>
    new prometheus.Gauge({ name: `meterbook_${name}`, help, labelNames, registers: [registry] });
  const stored = gauge("stored_events", "Events in the database");
  const held = gauge("held_events", "Events of which a meter holds its share");
  const duplicates = gauge("duplicate_events", "Events that came again, by all processes since the database was made");
  const conflicts = gauge("conflicting_events", "Events with the identity of another one, as far as they are kept");
  const outbox = gauge("outbox_rows", "Reports to the biller by state", ["state"]);
  const holds = gauge("holds", "Open holds by meter", ["meter"]);
  const backlog = gauge("journal_backlog_bytes", "Bytes of journals that are not in the database yet");
  const lag = gauge("drain_lag_seconds", "Since the journals were last taken into the database");
  const waiting = gauge("waiting_calls", "Calls that wait for a thread", ["thread"]);
  const restarts = gauge("thread_restarts", "Threads that took the place of one that died");
  return ({ counts, backlogBytes, drainLagMs, holds: open }, threads) => {
    stored.set(counts.events);
    held.set(counts.heldEvents);
    duplicates.set(counts.duplicates);
    conflicts.set(counts.conflicts);
    for (const state of OUTBOX_STATES) outbox.set({ state }, counts.outbox[state]);
    holds.reset();
    for (const { meter, holds: count } of open) holds.set({ meter }, count);
    backlog.set(backlogBytes);
    if (drainLagMs !== null) lag.set(drainLagMs / 1_000);
    waiting.set({ thread: "writer" }, threads.writing);
    waiting.set({ thread: "reader" }, threads.reading);
    restarts.set(threads.restarts);
  };
}
