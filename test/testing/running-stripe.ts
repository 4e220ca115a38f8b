import { request as httpRequest } from "node:http";
import { Stripe } from "stripe";
import { expect } from "vitest";
import { manualClock, startLocalStripe } from "../../src/testing/index.ts";
import type { LocalStripe, LocalStripeOptions, ManualClock } from "../../src/testing/index.ts";
import { validateStripeRequest } from "./stripe-schema.ts";

/** 2026-11-15T12:00:00Z, on the day's noon: minute, hour and day borders are easy to read. */
export const NOON = Date.UTC(2026, 10, 15, 12);
export const NOON_SECONDS = NOON / 1000;

export interface Running {
  readonly local: LocalStripe;
  readonly clock: ManualClock;
  readonly client: Stripe;
}

/** A local Stripe at noon with the genuine client, stopped when `use` ends. What it took must fit Stripe's own schema. */
export async function withLocalStripe(
  options: LocalStripeOptions,
  use: (running: Running) => Promise<void>,
): Promise<void> {
  const clock = manualClock(NOON);
  const local = await startLocalStripe({ clock, ...options });
  try {
    await use({ local, clock, client: clientOf(local) });
    expect(misfits(local)).toEqual([]);
  } finally {
    await local.close();
  }
}

/** Paths that Stripe has and its description at hand does not. */
const UNDESCRIBED = ["/v1/account", "/v2/core/events"];

/** The calls that were answered with a 200 although Stripe's schema refuses them; none where the schema is not at hand. */
function misfits(local: LocalStripe): readonly unknown[] {
  return local.requests.flatMap(({ method, path, form, status }) => {
    const isHeld = status === 200 && !UNDESCRIBED.some((known) => path.startsWith(known));
    const verdict = isHeld ? validateStripeRequest(method, path, form) : { kind: "valid" };
    return verdict.kind === "invalid" ? [{ method, path, form, ...verdict }] : [];
  });
}

export function clientOf(local: LocalStripe, key = "sk_test_x", options: Stripe.StripeConfig = {}): Stripe {
  const { host, port } = local;
  return new Stripe(key, { host, port, protocol: "http", telemetry: false, maxNetworkRetries: 0, ...options });
}

/** A meter and a customer, and a sender of events for them. */
export function seeded(
  { local, client }: Running,
  meter: Parameters<LocalStripe["createMeter"]>[0] = { event_name: "tokens" },
): {
  readonly customer: string;
  readonly meter: string;
  readonly send: (value: string, more?: SendOptions) => Promise<Stripe.Response<Stripe.Billing.MeterEvent>>;
} {
  const customer = local.createCustomer({ metadata: { company_id: "acme" } }).id;
  return {
    customer,
    meter: local.createMeter(meter).id,
    send: async (value, { idempotencyKey, ...more } = {}) =>
      client.billing.meterEvents.create(
        { event_name: meter.event_name, payload: { stripe_customer_id: customer, value }, ...more },
        idempotencyKey === undefined ? {} : { idempotencyKey },
      ),
  };
}

export interface SendOptions {
  readonly identifier?: string;
  readonly timestamp?: number;
  readonly idempotencyKey?: string;
}

/** What a failed call shows to a caller of the genuine client. */
export async function failure(call: Promise<unknown>): Promise<{
  readonly type: string;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly param: string | undefined;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) {
      const { type, statusCode: status, code, param, message } = error;
      return { type, status, code, param, message, headers: error.headers ?? {} };
    }
    throw error;
  }
  throw new Error("The call should have failed.");
}

/** A control by hand, as a test in another process does it. */
export async function control(local: LocalStripe, call: string, body: object = {}): Promise<unknown> {
  const [method = "", path = ""] = call.split(" ");
  const sent = method === "POST" ? { body: JSON.stringify(body) } : {};
  const answer = await rawCall(local, method, `/_local/${path}`, sent);
  expect([answer.status, answer.body]).toEqual([200, answer.body]);
  return JSON.parse(answer.body);
}

/** A call by hand, for what the genuine client never sends. */
export async function rawCall(
  local: LocalStripe,
  method: string,
  path: string,
  options: { readonly body?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<{
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: "Bearer sk_test_x",
      "content-type": "application/x-www-form-urlencoded",
      ...options.headers,
    };
    const sent = httpRequest({ host: local.host, port: local.port, method, path, headers }, (response) => {
      response.setEncoding("utf8");
      let body = "";
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    sent.on("error", reject);
    sent.end(options.body);
  });
}
