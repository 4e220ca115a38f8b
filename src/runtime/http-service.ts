import { readFileSync } from "node:fs";

import type { Settings } from "../config/settings.ts";
import { sentenceOf } from "../core/errors.ts";
import { METER_TEMPLATES } from "../engine/meters/templates.ts";
import type { Logger } from "../engine/ports.ts";
import { apiRouter, type AnsweredCall, type ApiRouter } from "../server/api-router.ts";
import type { Backend } from "../server/backend.ts";
import { metricsRoute, type ServiceMetrics } from "../server/metrics.ts";
import { assertSafe } from "../server/open-access.ts";
import { serviceRoutes } from "../server/service-routes.ts";
import { openMetrics } from "./prometheus.ts";
import type { Notice } from "./notice.ts";
import { remoteBackend } from "./remote-backend.ts";
import { systemClock, systemDeadline, systemRandom } from "./system.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The HTTP service of one process, over the thread that writes. */
export interface Service {
  readonly router: ApiRouter;
  readonly backend: Backend;
  /** Puts an edited configuration into force. Rejects, and everything is as before, when it cannot be. */
  adopt(settings: Settings): Promise<void>;
  /** Answers what is under way, and ends the thread that reads. */
  close(timeoutMs: number): Promise<void>;
}

export interface ServiceOptions {
  readonly settings: Settings;
  readonly link: WorkerLink;
  readonly logger: Logger;
  readonly onNotice: (notice: Notice) => void;
  readonly basePath?: string;
  /** Whether programs of this machine need no key as long as there never was one. */
  readonly openOnLoopback: boolean;
}

/** Wires router, threads, metrics and log. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { settings, link, logger, onNotice, openOnLoopback, basePath = "" } = options;
  const remote = remoteBackend({ settings, link, onNotice });
  const metrics = settings.server.metrics ? await openMetrics() : null;
  const backend = servedBackend(remote.backend, metrics, logger);
  // With its first call the writing thread takes up what a killed process left half done: not only when somebody writes.
  void backend.readiness({});
  const router = apiRouter({
    backend,
    clock: systemClock,
    random: systemRandom,
    logger,
    version: ownVersion(),
    openOnLoopback,
    basePath,
    templates: METER_TEMPLATES,
    routes: serviceRoutes({ metrics: settings.server.metrics ? metricsRoute(metrics, remote.standing) : null }),
    onAnswer: (call) => {
      metrics?.called(call);
      logCall(logger, call);
    },
  });
  return {
    router,
    backend,
    adopt: (edited) => remote.adopt(edited, systemClock.now()),
    close: async (timeoutMs) => {
      await Promise.race([router.close(), systemDeadline(timeoutMs)]);
      await remote.close();
    },
  };
}

/** METER_SERVER_UNSAFE where others could reach a service that has no key yet. */
export async function assertServiceSafe(backend: Backend, host: string): Promise<void> {
  const [key] = await backend.listKeys({ includeRevoked: false, limit: 1 });
  assertSafe(host, key !== undefined);
}

/** One line a call: none of what was sent stands in it. */
function logCall(logger: Logger, call: AnsweredCall): void {
  const { method, route, status, durationMs, author, bytes } = call;
  const facts = { method, route, status, durationMs, author, bytes };
  if (status >= 500) logger.error(facts, "A call was not done.");
  else logger.info(facts, "A call was answered.");
}

function servedBackend(backend: Backend, metrics: ServiceMetrics | null, logger: Logger): Backend {
  let wasReady = true;
  // Who watches asks often: only what changes is told.
  const told = <Readiness extends { readonly isReady: boolean; readonly reasons: readonly string[] }>(
    readiness: Readiness,
  ): Readiness => {
    const { isReady, reasons } = readiness;
    if (wasReady && !isReady) logger.error({ reasons }, "The service is not ready.");
    if (!wasReady && isReady) logger.info({}, "The service is ready again.");
    wasReady = isReady;
    return readiness;
  };
  let asked: ReturnType<Backend["readiness"]> | null = null;
  const askReadiness: Backend["readiness"] = async (query) =>
    told(await backend.readiness(query).catch((error: unknown) => ({ isReady: false, reasons: [sentenceOf(error)] })));
  return {
    ...backend,
    get settings() {
      return backend.settings;
    },
    ingest: async (call) => {
      const reply = await backend.ingest(call);
      metrics?.ingested(reply);
      return reply;
    },
    // A store that cannot be opened is the answer, not a fault of the question. Anybody may ask, so those who ask at
    // once share one answer, and take no places from those who send events.
    readiness: (query) => (asked ??= askReadiness(query).finally(() => (asked = null))),
  };
}

function ownVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version }: { version: string } = JSON.parse(text);
  return version;
}
