import { Stripe } from "stripe";

import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { Clock } from "../engine/ports.ts";
import { clockSkew, type ClockSkew } from "./clock-skew.ts";
import { failureOf, refusalOf } from "./report-answer.ts";
import { withoutSecrets } from "./secrets.ts";

export interface ConnectionOptions {
  readonly apiKey: string;
  readonly mode: "test" | "live";
  /** Base URL of another Stripe, such as a local one; null = Stripe's own. */
  readonly apiBase: string | null;
  readonly clock: Clock;
  readonly onSkewed: (sentence: string) => void;
  /** The client's way to the network; its own unless told. */
  readonly transport?: Stripe.HttpClient | undefined;
  /** How long a call may take from its first byte to the last of its answer; limits.reporterTimeoutMs unless told. */
  readonly timeoutMs?: number | undefined;
}

/** The genuine client with retries and telemetry off, and what all its answers tell of the clocks. */
export interface StripeConnection {
  readonly stripe: Stripe;
  readonly skew: ClockSkew;
  /** Runs a call that only reads: failures become METER_STRIPE_REFUSED (key, right) or METER_STRIPE_UNREACHABLE. */
  readonly read: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/** Throws METER_STRIPE_KEY_MISSING, METER_LIVE_KEY_IN_TEST_MODE or METER_OPTION_INVALID before anything is sent. */
export function connectStripe(options: ConnectionOptions): StripeConnection {
  const { apiKey, mode, apiBase, clock, timeoutMs = limits.reporterTimeoutMs } = options;
  if (apiKey === "") throw new MeterbookError("METER_STRIPE_KEY_MISSING", "The Stripe key is empty.");
  const isLiveKey = /^[a-z]+_live_/.test(apiKey);
  if (isLiveKey && mode === "test") {
    throw new MeterbookError("METER_LIVE_KEY_IN_TEST_MODE", "The Stripe key is a live key, but mode is test.", {
      remedy: "Use a test key, or set billing.stripe.mode: live.",
    });
  }
  const skew = clockSkew(options.onSkewed);
  const stripe = new Stripe(apiKey, {
    ...addressOf(apiBase, isLiveKey),
    maxNetworkRetries: 0,
    timeout: timeoutMs,
    telemetry: false,
    httpClient: watchedClient(options.transport ?? Stripe.createNodeHttpClient(), { clock, skew, timeoutMs }),
  });
  return { stripe, skew, read: (work) => readWith(apiKey, work) };
}

/** Every answer of the transport passes by the clock measurement. */
function watchedClient(
  client: Stripe.HttpClient,
  { clock, skew, timeoutMs }: { readonly clock: Clock; readonly skew: ClockSkew; readonly timeoutMs: number },
): Stripe.HttpClient {
  const makeRequest: Stripe.HttpClient["makeRequest"] = async (...call) => {
    const sentAt = clock.now();
    // The client bounds silence, not the whole: a body that comes byte by byte would outlast every lease.
    const timeUp = AbortSignal.timeout(timeoutMs);
    const asked = client.makeRequest(...call).catch((cause: unknown) => {
      // By the code of a closed connection the client would send again at once, however long ago it sent first.
      throw new Error(cause instanceof Error ? cause.message : String(cause), { cause });
    });
    const answer = await before(timeUp, asked);
    skew.measure(answer.getHeaders()["date"], sentAt, clock.now());
    const toJSON = (): Promise<unknown> => answer.toJSON();
    return { ...passedOn(answer), toJSON: async () => objectOnly(await before(timeUp, toJSON())) };
  };
  return { getClientName: () => client.getClientName(), makeRequest };
}

/** What work gives, unless time is up before; its later end is then nobody's. */
async function before<Result>(timeUp: AbortSignal, work: Promise<Result>): Promise<Result> {
  const over = new AbortController();
  const late = new Promise<never>((_, reject) => {
    const onTimeUp = (): void => reject(new Error("no whole answer in time"));
    if (timeUp.aborted) onTimeUp();
    timeUp.addEventListener("abort", onTimeUp, { once: true, signal: over.signal });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}

/** The client fails outside of every promise, ending the process, when a body is JSON but no object: 42, "ok". */
function objectOnly(body: unknown): object {
  if (typeof body === "object" && body !== null) return body;
  throw new TypeError("the answer's body is not a JSON object");
}

function passedOn(answer: Stripe.HttpClientResponse) {
  return {
    getStatusCode: () => answer.getStatusCode(),
    getHeaders: () => answer.getHeaders(),
    getRawResponse: () => answer.getRawResponse(),
    toStream: (done: () => void) => answer.toStream(done),
    dispose: () => answer.dispose?.(),
  };
}

function addressOf(
  apiBase: string | null,
  isLiveKey: boolean,
): { host?: string; port?: string; protocol?: "http" | "https" } {
  if (apiBase === null) return {};
  const url = URL.canParse(apiBase) ? new URL(apiBase) : null;
  const protocol = url?.protocol === "http:" ? "http" : url?.protocol === "https:" ? "https" : null;
  if (url === null || protocol === null || url.pathname !== "/" || url.search !== "") {
    throw new MeterbookError(
      "METER_OPTION_INVALID",
      `apiBase must be like http://127.0.0.1:12111, received ${JSON.stringify(apiBase)}.`,
    );
  }
  if (protocol === "http" && isLiveKey) {
    throw new MeterbookError("METER_OPTION_INVALID", "A live Stripe key is never sent over plain http.", {
      remedy: "Use https in billing.stripe.apiBase, or a test key.",
    });
  }
  return { host: url.hostname, port: url.port === "" ? DEFAULT_PORTS[protocol] : url.port, protocol };
}

const DEFAULT_PORTS = { http: "80", https: "443" } as const;

async function readWith<Result>(apiKey: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    // No cause: the client's errors carry texts and headers that were not cleaned of secrets.
    const failure = failureOf(error);
    if (failure.status === 401 || failure.status === 403) {
      throw new MeterbookError("METER_STRIPE_REFUSED", withoutSecrets(refusalOf(failure), apiKey), {
        remedy:
          "Give a key with the rights to read meters, customers, subscriptions and events, and to write meter events.",
      });
    }
    const status = failure.status === null ? "no readable answer" : `answer ${failure.status}`;
    throw new MeterbookError(
      "METER_STRIPE_UNREACHABLE",
      `Stripe: ${status}: ${withoutSecrets(failure.message, apiKey)}`,
    );
  }
}
