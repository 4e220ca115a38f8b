import type { IncomingMessage, ServerResponse } from "node:http";

import type { CapturePlan } from "../core/capture-plan.ts";
import { MeterbookError } from "../core/errors.ts";
import type { Clock, Logger } from "../engine/ports.ts";
import { addValue } from "./added-values.ts";
import type { CaptureContext } from "./context.ts";
import { addFault, type Exchange, type ExchangeListener } from "./exchange.ts";
import { allLanded, newFlight } from "./flight.ts";
import type { HookSetup } from "./hooks.ts";
import { identitySources } from "./identity.ts";
import { keptFields } from "./kept-fields.ts";
import { createNotices, type Notify } from "./notices.ts";
import { observe } from "./observe.ts";
import type { MeterOptions } from "./options.ts";
import { pathFilter } from "./path-filter.ts";
import { hearRejection } from "./promise-guard.ts";
import type { Recorder } from "./recorder.ts";
import { redactedReads, redactionOf } from "./redaction.ts";
import { newCounters, type CaptureCounters, type CaptureStats } from "./stats.ts";
import { track, type TrackDetails } from "./track.ts";

export type { TrackDetails } from "./track.ts";

/** Makes events of HTTP exchanges, whatever the framework: the body of every middleware. */
export interface Capture {
  /** Watches one exchange. Never throws, answers at once. */
  observe(request: IncomingMessage, response: ServerResponse): void;
  /** Records work that is no request; written when this returns. Answers the event's id. Throws METER_TRACK_INVALID. */
  track(action: string, details?: TrackDetails): string;
  /** Resolves when no async hook is under way any more. */
  pending(): Promise<void>;
  /** Observed exchanges whose event is not written yet. */
  inFlight(): number;
  /** Resolves when no exchange is in flight; new ones put it off, and whoever waits sets the bound. */
  settled(): Promise<void>;
  stats(): CaptureStats;
}

export interface CaptureSetup {
  readonly options: MeterOptions;
  readonly plan: CapturePlan;
  /** Where companies and users are looked for: `hook`, or paths over the live request and response, in order. */
  readonly identity: { readonly companyId: readonly string[]; readonly userId: readonly string[] };
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** A new event id, unique within `source`. */
  readonly nextId: () => string;
  /** The source of the events of exchanges; with the id it is their identity for ever. Default `meterbook/http`. */
  readonly source?: string;
  /** Identity of the database that the recorder's lines go to. Of two captures on one request both record it only when their books are known to differ. */
  readonly book?: string;
  /** Key of the hash of session tokens. */
  readonly sessionKey: Uint8Array;
  readonly notify: Notify;
  readonly logger?: Logger;
  /** Runs something later and answers how to call it off; for tests. Default: a timer that keeps no process alive. */
  readonly after?: HookSetup["after"];
}

const EXCHANGE_SOURCE = "meterbook/http";

/** Works everything out that does not depend on the request. Throws PathError for an identity or redact path that cannot be read. */
export function createCapture(setup: CaptureSetup): Capture {
  const context = contextOf(setup);
  const reads = redactedReads(setup.options, setup.plan);
  if (reads.length > 0) {
    const sentence = `redact names ${reads.join(", ")}, which meters read: the value is kept. Take it out of redact, or change the meter.`;
    context.notices.tell("METER_MASKED_VALUE", sentence, "redact");
  }
  return {
    observe: (request, response) => observe(context, request, response),
    track: (action, details) => track(context, action, details),
    pending: async () => {
      while (context.underWay.size > 0) await Promise.all(context.underWay);
    },
    inFlight: () => context.flight.count,
    settled: () => allLanded(context.flight),
    stats: () => ({ ...context.counters }),
  };
}

function contextOf(setup: CaptureSetup): CaptureContext {
  const { options, plan } = setup;
  const counters = newCounters();
  const notices = createNotices(setup.notify, plan.meteredHeaders.response);
  const fail = failureListener(options, counters);
  return {
    options,
    plan,
    kept: keptFields(plan, options, options.capture ?? "metered"),
    leastKept: keptFields(plan, options, "metered"),
    recorder: setup.recorder,
    clock: setup.clock,
    nextId: setup.nextId,
    source: setup.source ?? EXCHANGE_SOURCE,
    book: setup.book ?? null,
    notices,
    counters,
    redaction: redactionOf(options, plan),
    isMetered: pathFilter(options.include, options.exclude),
    stripHeaders: (options.stripHeaders ?? []).map((name) => name.toLowerCase()),
    logger: setup.logger ?? options.logger ?? null,
    listener: valueListener(fail),
    underWay: new Set(),
    flight: newFlight(),
    fail,
    hooks: {
      options,
      companySources: identitySources(setup.identity.companyId, options.identifyCompany !== undefined),
      userSources: identitySources(setup.identity.userId, options.identifyUser !== undefined),
      sessionKey: setup.sessionKey,
      after: setup.after ?? afterDelay,
      told: (hook, error) => {
        fail(error, hook);
        notices.tell(
          "METER_HOOK_FAILED",
          `${error.message.replace(/\.?$/, ".")} The event is ${hook === "skip" ? "recorded" : "kept and held"}; told once for each hook, onError hears of every one.`,
          hook,
        );
      },
    },
  };
}

function failureListener(options: MeterOptions, counters: CaptureCounters): CaptureContext["fail"] {
  return (error, at, id) => {
    counters.errors++;
    try {
      hearRejection(options.onError?.(error, id === undefined ? { at } : { at, id }));
    } catch {
      // There is nobody left to tell; the counter has it.
    }
  };
}

function valueListener(fail: CaptureContext["fail"]): ExchangeListener {
  return {
    added(exchange, name, amount) {
      try {
        if (exchange.isSettled) throw tooLate(exchange, name);
        addValue((exchange.values ??= new Map()), name, amount);
      } catch (error) {
        // A name that is none has no place of its own: whatever reads added values is held.
        const hasPlace = typeof name === "string" && exchange.values?.has(name) === true;
        if (!exchange.isSettled && !hasPlace) addFault(exchange, "values", "not_a_number");
        fail(error, "req.meter.add", exchange.recordedId ?? undefined);
      }
    },
  };
}

function tooLate(exchange: Exchange, name: unknown): MeterbookError {
  const when = exchange.isAborted
    ? "the client has left"
    : exchange.isEnding
      ? "the response has ended"
      : "the response is complete";
  return new MeterbookError(
    "METER_TRACK_INVALID",
    `req.meter.add(${JSON.stringify(name)}): ${when}, the event is written.`,
    {
      remedy: "Add values before res.end(); for work that goes on afterwards use track().",
    },
  );
}

function afterDelay(delayMs: number, late: () => void): () => void {
  const timer = setTimeout(late, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
