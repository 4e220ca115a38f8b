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
  const { apiKey, mode, apiBase, clock } = options;
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
    timeout: limits.reporterTimeoutMs,
    telemetry: false,
    httpClient: watchedClient(clock, skew),
  });
  return { stripe, skew, read: (work) => readWith(apiKey, work) };
}

/** The client's own transport; every answer passes by the clock measurement. */
function watchedClient(clock: Clock, skew: ClockSkew): Stripe.HttpClient {
  const client = Stripe.createNodeHttpClient();
  const makeRequest: Stripe.HttpClient["makeRequest"] = async (...call) => {
    const sentAt = clock.now();
    const answer = await client.makeRequest(...call);
    skew.measure(answer.getHeaders()["date"], sentAt, clock.now());
    return answer;
  };
  return { getClientName: () => client.getClientName(), makeRequest };
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
        remedy: "Give a key with the rights to read meters and customers and to write meter events.",
      });
    }
    const status = failure.status === null ? "no readable answer" : `answer ${failure.status}`;
    throw new MeterbookError(
      "METER_STRIPE_UNREACHABLE",
      `Stripe: ${status}: ${withoutSecrets(failure.message, apiKey)}`,
    );
  }
}
