import { MeterbookError } from "../../core/errors.ts";
import type { Clock } from "../../engine/ports.ts";
import { localStripeBounds } from "./bounds.ts";
import { orderFault, type FaultOrder } from "./faults.ts";
import { fullBucket, SANDBOX_RATE, type RateLimit } from "./rate-limit.ts";
import { emptyState, type ApiKey, type LocalState, type LocalStripeSettings, type LoggedCall } from "./state.ts";
import type { LoggedDelivery, WebhookDisturbance } from "./webhooks/records.ts";

export interface LocalStripeOptions {
  /** 0, the default, takes a free port. Always on 127.0.0.1. */
  readonly port?: number;
  /** The system's clock unless told. */
  readonly clock?: Clock;
  readonly account?: string;
  /** Which keys fit and what `livemode` says; test unless told. */
  readonly mode?: "test" | "live";
  /** The only keys that are taken; without them any secret or restricted key of the mode. */
  readonly apiKeys?: readonly (string | ApiKey)[];
  /** How long a customer's change is not found by search; 0 unless told. */
  readonly searchLagMs?: number;
  /** False = search is refused, as it is for accounts in some countries. */
  readonly searchAvailable?: boolean;
  /** How long an event is not in summaries; 0 unless told. */
  readonly summaryLagMs?: number;
  /** How long Idempotency-Keys are kept; 24 h unless told. */
  readonly idempotencyHorizonMs?: number;
  /** How long identifiers of meter events are remembered; 24 h unless told. Then they are forgotten: a resend counts again. */
  readonly identifierHorizonMs?: number;
  /** Refuse concurrent calls on one (customer, meter) with 409; false unless told. */
  readonly concurrencyConflicts?: boolean;
  /** How long each call takes before it has effect, in real time; 0 unless told. */
  readonly latencyMs?: number;
  /** Calls over it are refused with 429; null or absent = none, but in a sandbox. */
  readonly rateLimit?: RateLimit | null;
  /** The limits of a sandbox: 25 calls a second. False unless told. */
  readonly sandbox?: boolean;
  /** Faults that the first calls meet, in order. */
  readonly faults?: readonly FaultOrder[];
  /** Meter events get a 200 and are judged after the summary lag, as in stream mode; false unless told. */
  readonly validateLater?: boolean;
  /** Most sample errors of one kind in an error report; 5 unless told. */
  readonly errorSamplesMax?: number;
  /** What samples name an event by; its identifier unless told, the Idempotency-Key as in older reports. */
  readonly errorSampleNames?: "identifier" | "idempotency_key";
  /** From a period's end to the finalisation of its invoice; 1 h unless told, at most 72 h. */
  readonly graceMs?: number;
  /** What goes wrong on the way of webhooks from the start; nothing unless told. */
  readonly webhooks?: Partial<WebhookDisturbance>;
  /** Let due work run and webhooks go out by themselves, on real time; false unless told: then they wait to be asked for. */
  readonly automatic?: boolean;
  /** Told of each call once it is answered or cut. */
  readonly onCall?: (call: LoggedCall) => void;
  /** Told of each attempt to deliver a webhook. */
  readonly onDelivery?: (attempt: LoggedDelivery) => void;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** An empty account that behaves as told. */
export function stateFrom(options: LocalStripeOptions): LocalState {
  const settings = settingsFrom(options);
  const lags = {
    searchMs: span("searchLagMs", options.searchLagMs, 0),
    summaryMs: span("summaryLagMs", options.summaryLagMs, 0),
  };
  const limit = options.rateLimit ?? (options.sandbox === true ? SANDBOX_RATE : null);
  const state = emptyState(settings, lags, limit === null ? null : fullBucket(limit, settings.clock.now()));
  for (const order of options.faults ?? []) {
    orderFault(state.faults, order);
  }
  disturbWebhooks(state, options.webhooks ?? {});
  return state;
}

/** Changes what goes wrong on the way of webhooks; what is not named stays. */
export function disturbWebhooks(state: LocalState, change: Partial<WebhookDisturbance>): void {
  const { duplicates, newestFirst, delayMs } = change;
  state.disturbance = {
    duplicates: Math.trunc(span("webhooks.duplicates", duplicates, state.disturbance.duplicates)),
    newestFirst: newestFirst === undefined ? state.disturbance.newestFirst : newestFirst === true,
    delayMs: span("webhooks.delayMs", delayMs, state.disturbance.delayMs),
  };
}

/** Changes the lags; what is not named stays. */
export function setLags(
  state: LocalState,
  change: { readonly summaryLagMs?: number; readonly searchLagMs?: number },
): void {
  const { lags } = state;
  lags.searchMs = span("searchLagMs", change.searchLagMs, lags.searchMs);
  lags.summaryMs = span("summaryLagMs", change.summaryLagMs, lags.summaryMs);
}

function settingsFrom(options: LocalStripeOptions): LocalStripeSettings {
  const graceMs = span("graceMs", options.graceMs, HOUR_MS);
  if (graceMs > localStripeBounds.graceMaxMs) {
    throw invalidOption(`graceMs must be at most 72 hours, not ${String(graceMs)} ms.`);
  }
  return {
    clock: options.clock ?? { now: () => Date.now() },
    account: options.account ?? "acct_L0000000000000",
    mode: options.mode ?? "test",
    apiKeys: options.apiKeys?.map((key) => (typeof key === "string" ? { key } : key)) ?? null,
    searchAvailable: options.searchAvailable ?? true,
    idempotencyHorizonMs: span("idempotencyHorizonMs", options.idempotencyHorizonMs, DAY_MS),
    identifierHorizonMs: span("identifierHorizonMs", options.identifierHorizonMs, DAY_MS),
    concurrencyConflicts: options.concurrencyConflicts ?? false,
    latencyMs: span("latencyMs", options.latencyMs, 0),
    validateLater: options.validateLater ?? false,
    errorSamplesMax: span("errorSamplesMax", options.errorSamplesMax, localStripeBounds.errorSamplesDefault),
    errorSampleNames: options.errorSampleNames ?? "identifier",
    graceMs,
    onCall: options.onCall ?? (() => undefined),
    onDelivery: options.onDelivery ?? (() => undefined),
  };
}

function span(name: string, value: unknown, fallback: number): number {
  if (value === undefined) {
    return fallback;
  }
  if (typeof value !== "number" || !(value >= 0)) {
    throw invalidOption(`${name} must be a number, 0 or more, not ${JSON.stringify(value)}.`);
  }
  return value;
}

/** Something that this local Stripe was asked for is wrong. */
export function invalidOption(sentence: string): MeterbookError {
  return new MeterbookError("METER_OPTION_INVALID", sentence);
}
