import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";

import { createCapture, type Capture, type TrackDetails } from "../capture/capture.ts";
import { checkOptions, type MeterOptions } from "../capture/options.ts";
import { inertMeter } from "../capture/metered-request.ts";
import { newCounters, type CaptureStats } from "../capture/stats.ts";
import { formatProblem } from "../config/problem.ts";
import type { Settings } from "../config/settings.ts";
import { planCapture } from "../core/capture-plan.ts";
import { MeterbookError, type ErrorCode } from "../core/errors.ts";
import type { Logger } from "../engine/ports.ts";
import { openJournal, type Journal } from "../journal/journal.ts";
import { openMemoryJournal } from "../journal/memory-journal.ts";
import type { JournalProblem } from "../journal/problem.ts";
import { HandOver } from "./hand-over.ts";
import { loadConfig } from "./load-config.ts";
import { journalRoot } from "./journal-root.ts";
import { meterRouter, refuseOff, type ApiHandler, type MeterRouter } from "./meter-router.ts";
import { noticeOfProblem, type Notice } from "./notice.ts";
import { sessionKey } from "./session-key.ts";
import { stripeWebhookHandler, type StripeWebhookHandler } from "./stripe-webhook.ts";
import { stderrLogger, systemClock, systemDeadline, systemRandom } from "./system.ts";
import { startWorker, type WorkerLink } from "./worker-link.ts";

/** What `meter()` gives: the middleware itself, with the calls that need no request. */
export interface Meter {
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
  /** Records work that is no request; durable when it returns. Answers the event's id. Throws METER_TRACK_INVALID. */
  track(action: string, details?: TrackDetails): string;
  /**
   * Resolves when everything recorded so far is in the database, but for large answers whose last bytes are still on
   * their way: those follow when it is known how they ended. Rejects when the store did not answer in time.
   */
  flush(options?: { timeoutMs?: number }): Promise<void>;
  /**
   * Waits for answers that are under way, flushes, then stops the worker. Idempotent. Later requests are served and not
   * metered, which is told once: close the server first.
   */
  close(options?: { timeoutMs?: number }): Promise<void>;
  stats(): CaptureStats;
  /**
   * A handler for the endpoint that Stripe's webhooks call, for Express, Connect and node:http. Mount it before
   * express.json(): it reads the raw body. It is not metered, and answers 200 only when the database has what was told.
   */
  stripeWebhook(): StripeWebhookHandler;
  /**
   * The HTTP API over the same database: events in, meters, usage out. `app.use("/meterbook", meter.router())`, before
   * express.json(). Its own calls are not metered. Every call needs an API key: `meterbook keys create`.
   */
  router(options?: RouterOptions): ApiHandler;
}

/** Options of `meter.router()`. */
interface RouterOptions {
  /** What stands before every path where nobody cuts it off, as in plain node:http. */
  readonly basePath?: string;
  /**
   * Lets programs of this machine in without a key until there is the first one; false when absent. Not for an app behind a
   * proxy on the same machine: through it everybody seems to be of this machine.
   */
  readonly openOnLoopback?: boolean;
}

const FLUSH_TIMEOUT_MS = 10_000;
const STAY_ALIVE_MS = 60_000;

/** Wires capture, journal and worker for one app process. See README for the options. */
export function createMeter(given: MeterOptions = {}): Meter {
  const options = checkOptions(given);
  const logger =
    options.logger ??
    stderrLogger(options.debug ?? /(^|[\s,])meter(book)?(:\*)?($|[\s,])/.test(process.env["DEBUG"] ?? ""));
  const notice = safely((told: Notice): void => logger.warn({ code: told.code }, told.text));
  if (options.enabled === false) return inert();
  const loaded = loadConfig({ config: options.config, directory: process.cwd(), env: process.env });
  if (!loaded.found)
    notice({
      code: "METER_CONFIG_NOT_FOUND" satisfies ErrorCode,
      text: `There is no meterbook.yaml in ${process.cwd()}: requests are recorded, nothing is metered. Run \`npx meterbook init\`.`,
    });
  for (const warning of loaded.warnings)
    notice({ code: "METER_CONFIG_DOUBTFUL" satisfies ErrorCode, text: formatProblem(warning) });
  const settings = withOptions(loaded.settings, options);
  // Started in the wrong folder, an app without its file must not end the meters that the database knows.
  return assemble(settings, options, logger, notice, loaded.found);
}

/** A host's logger that throws must not end the app. */
function safely(tell: (notice: Notice) => void): (notice: Notice) => void {
  return (notice) => {
    try {
      tell(notice);
    } catch {
      // There is nobody left to tell.
    }
  };
}

/** Options of the code win over the file. A relative path is the working directory's of now, whatever it is later. */
function withOptions(settings: Settings, options: MeterOptions): Settings {
  return {
    ...settings,
    storage: {
      ...settings.storage,
      path: options.db === undefined ? settings.storage.path : resolve(options.db),
      durability: options.durability ?? settings.storage.durability,
    },
  };
}

function assemble(
  settings: Settings,
  options: MeterOptions,
  logger: Logger,
  notice: (notice: Notice) => void,
  hasFile: boolean,
): Meter {
  const { durability } = settings.storage;
  // First, because it can refuse its options: nothing is open then.
  const capture = createCapture({
    options,
    plan: planCapture({ meters: settings.meters, fields: settings.fields, identityPaths: settings.identity.companyId }),
    identity: { companyId: settings.identity.companyId, userId: settings.identity.userId },
    recorder: {
      durable: durability === "power",
      append: (json) => journal.append(json),
      appendDurable: (json, done) => journal.appendDurable(json, done),
    },
    book: settings.storage.path,
    clock: systemClock,
    nextId: () => journal.nextId(),
    sessionKey: options.getSessionToken === undefined ? systemRandom(32) : sessionKey(journalRoot(settings)),
    logger,
    notify: (code, text) => notice({ code, text }),
  });
  const shared = {
    clock: systemClock,
    random: systemRandom,
    onProblem: (problem: JournalProblem) => notice(noticeOfProblem(problem)),
  };
  const memory = durability === "memory" ? openMemoryJournal(shared) : null;
  const journal: Journal =
    memory ??
    openJournal({ ...shared, root: journalRoot(settings), durability: durability === "power" ? "power" : "process" });
  const hand = memory === null ? null : new HandOver(memory);
  const link = startWorker({
    order: {
      settings,
      ownWriter: journal.writer,
      reports: options.report ?? true,
      adoptFrom: hasFile ? systemClock.now() : null,
    },
    onNotice: notice,
    onTaken: (lines) => hand?.taken(lines),
    onRestart: () => hand?.handAgain(),
  });
  hand?.start(link);
  const makeRouter: MakeRouter = (given) => meterRouter({ settings, link, logger, onNotice: notice, ...given });
  return new RunningMeter({ capture, journal, link, hand, notice, makeRouter }).api();
}

interface MeterParts {
  readonly capture: Capture;
  readonly journal: Journal;
  readonly link: WorkerLink;
  readonly hand: HandOver | null;
  readonly notice: (notice: Notice) => void;
  readonly makeRouter: MakeRouter;
}

type MakeRouter = (options: Required<RouterOptions>) => MeterRouter;

/** One app process's side of the chain, from the first request to the end of close(). */
class RunningMeter {
  readonly #capture: Capture;
  readonly #journal: Journal;
  readonly #link: WorkerLink;
  readonly #hand: HandOver | null;
  readonly #notice: (notice: Notice) => void;
  readonly #makeRouter: MakeRouter;
  readonly #routers: MeterRouter[] = [];
  #closing: Promise<void> | null = null;
  #isClosed = false;
  #isLateTold = false;

  constructor({ capture, journal, link, hand, notice, makeRouter }: MeterParts) {
    this.#capture = capture;
    this.#journal = journal;
    this.#link = link;
    this.#hand = hand;
    this.#notice = notice;
    this.#makeRouter = makeRouter;
  }

  api(): Meter {
    const middleware = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void => {
      if (this.#isClosed) this.#passBy(request);
      else this.#capture.observe(request, response);
      next?.();
    };
    return Object.assign(middleware, {
      track: (action: string, details: TrackDetails = {}) => {
        if (this.#isClosed)
          throw new MeterbookError(
            "METER_TRACK_INVALID",
            "track() was called after close(): nothing is recorded any more.",
          );
        return this.#capture.track(action, details);
      },
      flush: ({ timeoutMs = FLUSH_TIMEOUT_MS }: { timeoutMs?: number } = {}) => this.#flush(timeoutMs),
      close: ({ timeoutMs = FLUSH_TIMEOUT_MS }: { timeoutMs?: number } = {}) =>
        (this.#closing ??= this.#close(timeoutMs)),
      stats: () => this.#capture.stats(),
      stripeWebhook: () =>
        stripeWebhookHandler({ take: (call) => this.#link.takeWebhook(call), onNotice: this.#notice }),
      router: ({ basePath = "", openOnLoopback = false }: RouterOptions = {}) =>
        this.#router({ basePath, openOnLoopback }),
    });
  }

  #router(options: Required<RouterOptions>): ApiHandler {
    const router = this.#makeRouter(options);
    this.#routers.push(router);
    return router.handler;
  }

  /** A handler's req.meter must not be missing because the app is shutting down. */
  #passBy(request: IncomingMessage): void {
    Object.assign(request, { meter: inertMeter() });
    if (this.#isLateTold) return;
    this.#isLateTold = true;
    this.#notice({
      code: "METER_CLOSED",
      text: "Requests arrive after close(): they are served and not metered. Close the server first.",
    });
  }

  async #flush(timeoutMs: number): Promise<void> {
    if (this.#isClosed) return;
    const deadline = systemClock.now() + timeoutMs;
    await stayAlive(this.#capture.pending());
    await this.#journal.sync();
    do {
      this.#hand?.hand();
      await this.#link.flush(Math.max(1, deadline - systemClock.now()));
    } while (this.#hand !== null && this.#hand.waiting > 0 && systemClock.now() < deadline);
  }

  async #close(timeoutMs: number): Promise<void> {
    const deadline = systemClock.now() + timeoutMs;
    // Events that are on their way in over HTTP are answered before the store goes.
    await Promise.all(this.#routers.map((router) => router.close(timeoutMs)));
    // Answers that are under way are still metered; new ones too, until the journal is closed.
    await stayAlive(Promise.race([this.#capture.settled(), systemDeadline(timeoutMs)]));
    try {
      await this.#flush(Math.max(1, deadline - systemClock.now()));
    } finally {
      this.#isClosed = true;
      this.#hand?.stop();
      if (this.#hand !== null && this.#hand.waiting > 0) {
        this.#notice({
          code: "METER_CLOSED",
          text: `${this.#hand.waiting} events in memory are lost: the store did not take them in time.`,
        });
      }
      await this.#journal.close();
      await this.#link.close(Math.max(1, deadline - systemClock.now()));
    }
  }
}

/** Timers of hooks do not keep the process; whoever awaits flush() or close() wants them to. */
async function stayAlive(work: Promise<unknown>): Promise<void> {
  const keep = setInterval(() => undefined, STAY_ALIVE_MS);
  try {
    await work;
  } finally {
    clearInterval(keep);
  }
}

/** `enabled: false`: requests pass, nothing is opened. */
function inert(): Meter {
  return Object.assign(passThrough.bind(null), {
    track: (_action: string, details: TrackDetails = {}) => details.id ?? "",
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
    stats: newCounters,
    stripeWebhook: () =>
      stripeWebhookHandler({
        take: async () => ({ status: 503, text: "Metering is off in this process; make the call again." }),
        onNotice: () => undefined,
      }),
    router: () => refuseOff,
  });
}

function passThrough(request: IncomingMessage, _response: ServerResponse, next?: (error?: unknown) => void): void {
  Object.assign(request, { meter: inertMeter() });
  next?.();
}
