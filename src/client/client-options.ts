import type { AttemptOptions } from "./attempts.ts";
import { bounds } from "./bounds.ts";
import { systemClock, systemRandom, type ClientClock, type RandomBytes } from "./client-clock.ts";
import { InvalidOptionError, type MeterbookClientError } from "./client-error.ts";
import type { EventJournal } from "./event-journal.ts";
import type { ErrorListener } from "./journal-sender.ts";
import type { QueueBounds } from "./memory-sender.ts";
import { ownMembers } from "./own-members.ts";
import type { Fetch } from "./service-call.ts";

/** How a client sends. Only `url` is needed. */
export interface MeterbookOptions {
  /** Where meterbook answers: `https://meter.example.com`, or with a path where it is mounted. */
  readonly url: string | URL;
  /** A key with the scope `ingest`; look-ups need `read`. A service on this machine may need none. */
  readonly apiKey?: string;
  /** Source of events that state none. Identity is (source, id). */
  readonly source?: string;
  /** Most events and bytes of one call, and how long an event of trackSoon() waits for others. */
  readonly batch?: { readonly events?: number; readonly bytes?: number; readonly waitMs?: number };
  /** What may wait in memory; beyond it events are refused with a QueueFullError. */
  readonly queue?: { readonly events?: number; readonly bytes?: number };
  readonly timeoutMs?: number;
  /** Tries after the first one. */
  readonly retries?: number;
  /** Events are written down here before they are sent. */
  readonly journal?: EventJournal;
  /** Hears of what nobody awaits: trackSoon(), and what a journal cannot deliver. Where left out, the platform's warnings tell. */
  readonly onError?: ErrorListener;
  readonly fetch?: Fetch;
  readonly clock?: ClientClock;
  readonly random?: RandomBytes;
}

/** Options that are whole. */
export interface ClientSettings {
  readonly attempts: AttemptOptions;
  readonly bounds: QueueBounds;
  readonly source: string;
  readonly journal: EventJournal | null;
  readonly tell: ErrorListener;
}

const OPTIONS: Readonly<Record<keyof MeterbookOptions, true>> = {
  url: true,
  apiKey: true,
  source: true,
  batch: true,
  queue: true,
  timeoutMs: true,
  retries: true,
  journal: true,
  onError: true,
  fetch: true,
  clock: true,
  random: true,
};
const BATCH_OPTIONS: Readonly<Record<keyof NonNullable<MeterbookOptions["batch"]>, true>> = {
  events: true,
  bytes: true,
  waitMs: true,
};
const QUEUE_OPTIONS: Readonly<Record<keyof NonNullable<MeterbookOptions["queue"]>, true>> = {
  events: true,
  bytes: true,
};

/** Judges options and fills in what was left out. Throws InvalidOptionError. */
export function clientSettings(options: MeterbookOptions): ClientSettings {
  const given = ownMembers(options);
  assertKnown("", given, OPTIONS);
  assertKnown("batch.", given.batch ?? {}, BATCH_OPTIONS);
  assertKnown("queue.", given.queue ?? {}, QUEUE_OPTIONS);
  const { url, apiKey, source = "meterbook/client", journal, onError = warn, ...rest } = given;
  const { timeoutMs = bounds.timeoutMs, retries = bounds.retries, clock = systemClock, random = systemRandom } = rest;
  const batch = ownMembers(rest.batch ?? {});
  const queue = ownMembers(rest.queue ?? {});
  const { fetch = globalThis.fetch } = rest;
  if (typeof source !== "string" || source.length === 0 || source.length > 256)
    throw new InvalidOptionError("source", "is not a text of 1 to 256 characters");
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new InvalidOptionError("apiKey", "is no text that a header field can carry");
  return {
    attempts: {
      url: serviceUrl(url),
      apiKey: apiKey ?? null,
      timeoutMs: whole("timeoutMs", timeoutMs, 1),
      retries: whole("retries", retries, 0),
      retryAfterMaxMs: journal === undefined ? bounds.retryAfterMaxMs : bounds.keptRetryAfterMaxMs,
      // Called as a function of its own: some platforms refuse fetch as a method of another object.
      fetch: (target, init) => fetch(target, init),
      clock,
      random,
    },
    bounds: {
      batch: {
        events: whole("batch.events", batch.events ?? bounds.batchEvents, 1),
        bytes: whole("batch.bytes", batch.bytes ?? bounds.batchBytes, 1),
        waitMs: whole("batch.waitMs", batch.waitMs ?? bounds.batchWaitMs, 0),
      },
      queue: {
        events: whole("queue.events", queue.events ?? bounds.queueEvents, 1),
        bytes: whole("queue.bytes", queue.bytes ?? bounds.queueBytes, 1),
      },
    },
    source,
    journal: journal ?? null,
    tell: quietly(onError),
  };
}

/** A name that is mistyped must not be a client without its key, or with other bounds. */
function assertKnown(prefix: string, given: object, known: Readonly<Record<string, true>>): void {
  const names = Object.keys(known);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const said = letters(name);
    const meant =
      names.find((each) => letters(each) === said) ??
      names.find((each) => said !== "" && (letters(each).includes(said) || said.includes(letters(each))));
    const guess = meant === undefined ? "." : `: did you mean ${prefix}${meant}?`;
    throw new InvalidOptionError(`${prefix}${name}`, `is no option${guess} There are ${names.join(", ")}.`);
  }
}

function letters(name: string): string {
  return name.replace(/[^a-z]/gi, "").toLowerCase();
}

function serviceUrl(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new InvalidOptionError("url", `is no URL: ${String(url)}; begin it with http:// or https://`);
  }
  const isHttp = parsed.protocol === "http:" || parsed.protocol === "https:";
  if (!isHttp || parsed.username !== "" || parsed.search !== "" || parsed.hash !== "")
    throw new InvalidOptionError("url", "is not http://host[:port][/path] alone, or the same with https://");
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, "")}`;
}

function whole(option: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidOptionError(option, `is not a whole number of at least ${least}: ${String(value)}`);
}

/** A listener that fails changes nothing of what is sent. */
function quietly(listener: ErrorListener): ErrorListener {
  return (error, event) => {
    try {
      listener(error, event);
    } catch {
      // There is nobody left to tell.
    }
  };
}

/** Node warns on stderr; edge runtimes report to their own logs. */
function warn(error: MeterbookClientError): void {
  const text = `meterbook: ${error.message}`;
  if (typeof process === "object" && typeof process.emitWarning === "function") process.emitWarning(text);
  else Reflect.get(globalThis, "reportError")?.(error);
}
