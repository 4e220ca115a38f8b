import { existsSync } from "node:fs";

import { Command, Option } from "commander";

import type { Settings } from "../../config/settings.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { Logger } from "../../engine/ports.ts";
import { findConfig } from "../../runtime/load-config.ts";
import { listenHttp } from "../../runtime/http-listener.ts";
import type { Notice } from "../../runtime/notice.ts";
import { configReloader } from "../../runtime/reload.ts";
import { assertServiceSafe, openService, type Service } from "../../runtime/http-service.ts";
import { LOG_LEVELS, serviceLogger, type LogLevel } from "../../runtime/service-log.ts";
import { stderrLogger, systemClock } from "../../runtime/system.ts";
import { startWorker, type WorkerLink } from "../../runtime/worker-link.ts";
import { watchFile } from "../config-watch.ts";
import { portOf } from "../instants.ts";
import { output } from "../output.ts";
import { settingsFor, type CommonOptions } from "../session.ts";
import { hangUps, stopSignal, type HangUps, type Stop } from "../stop-signals.ts";

/** How long answers that are under way, and then the store, may take when the service stops. */
const STOP_MS = 20_000;

interface ServeOptions extends CommonOptions {
  readonly host?: string;
  readonly port?: string;
  readonly logLevel: LogLevel;
  readonly watch?: boolean;
}

/** `meterbook serve`: the HTTP service, the drain and the reporter in one process, until it is stopped. */
export function serveCommand(): Command {
  return new Command("serve")
    .description("Serve the HTTP API: events in, meters, usage out; takes journals in and reports beside it")
    .option("--host <address>", "address to listen at, instead of server.host")
    .option("--port <port>", "port, instead of server.port; 0 takes a free one")
    .addOption(
      new Option("--log-level <level>", "what is logged, and what is worse").choices(LOG_LEVELS).default("info"),
    )
    .option("--watch", "put a saved configuration into force at once, as SIGHUP does")
    .addHelpText("after", HELP)
    .action(async (options: ServeOptions) => {
      process.exitCode = await serve(options);
    });
}

const HELP = `
SIGHUP reads the configuration again: a good one counts from then on, a broken one is told and changes nothing.
^C and SIGTERM answer what is under way and put everything away (130, 143); a second one ends at once.
The log goes to stdout, one JSON object a line; on a terminal as plain text to stderr.
Example: meterbook serve --port 8888
Then: curl http://127.0.0.1:8888/v1/events -H 'content-type: application/cloudevents+json' -d '{"specversion":"1.0","id":"1","source":"shell","type":"agent_run","subject":"acme","data":{"agent_name":"summarizer"}}'`;

async function serve(options: ServeOptions): Promise<number> {
  const asked = hangUps();
  const read = (): Settings => servedSettings(options);
  const settings = read();
  const isNew = !existsSync(settings.storage.path);
  const stop = stopSignal();
  const isPerson = process.stdout.isTTY === true && options.json !== true;
  const logger = isPerson ? personLogger(options.logLevel) : serviceLogger({ level: options.logLevel });
  const onNotice = ({ code, text }: Notice): void => logger.warn({ code }, text);
  const link = startWorker({
    order: { settings, ownWriter: null, reports: true, adoptFrom: systemClock.now() },
    onNotice,
    onTaken: () => undefined,
    onRestart: () => undefined,
  });
  const service = await openService({
    settings,
    link,
    logger,
    onNotice,
    basePath: settings.server.basePath,
    openOnLoopback: true,
  });
  try {
    const exit = await listenUntilStopped({ options, settings, isNew, read, service, logger, stop, asked });
    await putAway(service, link);
    logger.info({}, "Stopped: everything that was answered is stored.");
    return exit;
  } catch (error) {
    // What kept it from serving is told, not what follows from that.
    await putAway(service, link).catch(() => undefined);
    throw error;
  }
}

interface Running {
  readonly options: ServeOptions;
  readonly settings: Settings;
  /** There was no database before. */
  readonly isNew: boolean;
  readonly read: () => Settings;
  readonly service: Service;
  readonly logger: Logger;
  readonly stop: Stop;
  readonly asked: HangUps;
}

async function listenUntilStopped(running: Running): Promise<number> {
  const { options, settings, read, service, logger, stop, asked } = running;
  const { host, port, basePath } = settings.server;
  await assertServiceSafe(service.backend, host);
  const meters = await service.backend.listMeters({ includeDeleted: false });
  const listener = await listenHttp((request, response) => service.router(request, response), { host, port });
  const reload = configReloader({
    read,
    current: () => service.backend.settings,
    adopt: (edited) => service.adopt(edited),
    logger,
  });
  const onHangUp = (): void => void reload();
  const file = findConfig({ config: options.config, directory: process.cwd() });
  const unwatch = options.watch === true && file !== null ? watchFile(file, onHangUp) : () => undefined;
  announce(`${listener.url}${basePath}`, meters.length, running);
  asked.take(onHangUp);
  const exit = await stop.came;
  asked.ignore();
  unwatch();
  logger.info({}, "Stopping: no further calls are taken, those under way are answered.");
  await listener.close(service.close(STOP_MS), STOP_MS);
  return exit;
}

async function putAway(service: Service, link: WorkerLink): Promise<void> {
  await service.close(STOP_MS);
  await link.close(STOP_MS);
}

/** The file's settings, with what the command line says instead. */
function servedSettings(options: ServeOptions): Settings {
  const settings = settingsFor(options);
  const { host = settings.server.host } = options;
  const port = options.port === undefined ? settings.server.port : portOf(options.port);
  if (host.trim() === "")
    throw new MeterbookError("METER_COMMAND_INVALID", "--host is empty.", {
      remedy: "Name an address, such as 127.0.0.1.",
    });
  return { ...settings, server: { ...settings.server, host, port } };
}

function announce(url: string, meters: number, { settings, isNew, options, logger }: Running): void {
  const facts = { url, database: settings.storage.path, meters };
  logger.info(facts, `Listening at ${url}`);
  if (process.stdout.isTTY !== true || options.json === true) return;
  const out = output({ json: false });
  out.line(`  meterbook  ${url}          (^C to stop)`);
  out.line(`  database   ${settings.storage.path}${isNew ? " (new)" : ""}`);
  out.line("");
  out.line(`  curl ${url}/v1/status`);
  out.line(
    `  curl ${url}/v1/events -H 'content-type: application/cloudevents+json' -d '{"specversion":"1.0","id":"1","source":"shell","type":"agent_run","subject":"acme","data":{"agent_name":"summarizer"}}'`,
  );
}

/** On a terminal a person reads along. */
function personLogger(level: LogLevel): Logger {
  const written = stderrLogger(level === "debug");
  const upTo = LOG_LEVELS.indexOf(level);
  const isSaid = (name: LogLevel): boolean => LOG_LEVELS.indexOf(name) <= upTo;
  return {
    debug: (facts, sentence) => (isSaid("debug") ? written.debug(facts, sentence) : undefined),
    info: (facts, sentence) => (isSaid("info") ? written.info(facts, sentence) : undefined),
    warn: (facts, sentence) => (isSaid("warn") ? written.warn(facts, sentence) : undefined),
    error: (facts, sentence) => (isSaid("error") ? written.error(facts, sentence) : undefined),
  };
}
