import { createHash } from "node:crypto";

import { isMeterbookError, type ErrorCode } from "../core/errors.ts";
import { wireValue, type UsageRecord } from "../core/usage-record.ts";
import type { Clock, CustomerAnswer, ReportAnswer, UsageReporter } from "../engine/ports.ts";
import { answerOfFailure, failureOf } from "./report-answer.ts";
import { connectStripe, type StripeConnection } from "./stripe-connection.ts";
import { stripeCustomers, type CompanyIdAt } from "./stripe-customers.ts";
import { stripeMeters, type FitMeter, type StripeMeters } from "./stripe-meters.ts";

export interface StripeReporterOptions {
  readonly apiKey: string;
  readonly mode: "test" | "live";
  /** Base URL of another Stripe, such as a local one; null = Stripe's own. */
  readonly apiBase: string | null;
  readonly companyIdAt: CompanyIdAt;
  readonly clock: Clock;
  readonly onNotice?: (notice: { readonly code: ErrorCode; readonly text: string }) => void;
}

/** A reporter that can also make the customer of a company that has none (`unmatchedCustomer: create`). */
export interface StripeReporter extends UsageReporter {
  createCustomer(company: string): Promise<CustomerAnswer>;
}

/**
 * Usage as Stripe meter events, through the genuine client. Retries are ours alone: the client makes each call once
 * (but for a connection that was closed under it, with the same key).
 */
export function stripeReporter(options: StripeReporterOptions): StripeReporter {
  const { clock, mode, apiKey } = options;
  const connection = connectStripe({
    ...options,
    onSkewed: (text) => options.onNotice?.({ code: "METER_CLOCK_SKEW", text }),
  });
  const customers = stripeCustomers(connection, options.companyIdAt, clock);
  const meters = stripeMeters(connection, clock);
  let account: string | null = null;
  return {
    account: async () => {
      account ??= `${await accountId(connection, apiKey)}/${mode}`;
      return account;
    },
    customers: () => customers.list(),
    findCustomer: (company) => customers.find(company),
    createCustomer: (company) => customers.create(company),
    meter: (reportAs) => meters.answer(reportAs),
    report: (record, idempotencyKey) => report(connection, meters, record, idempotencyKey),
  };
}

/** The account's id; a restricted key that may not read it is known by what stays when the key is rolled. */
async function accountId({ stripe, read }: StripeConnection, apiKey: string): Promise<string> {
  return read(async () => {
    try {
      return (await stripe.accounts.retrieveCurrent()).id;
    } catch (error) {
      if (failureOf(error).status !== 403) throw error;
      // Behind the prefix a key carries the account's part first; the secret part never enters the hash.
      const stable = apiKey.replace(/^[a-z]+_(test|live)_/, "").slice(0, ACCOUNT_PART_LENGTH);
      return `key_${createHash("sha256").update(stable).digest("hex").slice(0, 16)}`;
    }
  });
}

const ACCOUNT_PART_LENGTH = 16;

async function report(
  connection: StripeConnection,
  meters: StripeMeters,
  record: UsageRecord,
  idempotencyKey: string,
): Promise<ReportAnswer> {
  const obstacle = await obstacleTo(connection);
  if (obstacle !== null) return obstacle;
  const meter = await meterFor(meters, record);
  if ("kind" in meter) return meter;
  try {
    const answer = await connection.stripe.billing.meterEvents.create(
      {
        event_name: record.reportAs,
        identifier: record.identifier,
        payload: {
          meterbook_company: record.company,
          [meter.customerKey]: record.customer,
          [meter.valueKey]: wireValue(record.value),
        },
        timestamp: Math.floor(record.timestamp / 1_000),
      },
      { idempotencyKey },
    );
    const { requestId, statusCode } = answer.lastResponse;
    if (statusCode < 300 && answer.identifier === record.identifier)
      return { kind: "accepted", requestId: requestId ?? null };
    return unknown(`Stripe's answer (${statusCode}) is not about this event`, requestId ?? null);
  } catch (error) {
    const answer = answerOfFailure(failureOf(error), record.identifier);
    // A meter was taken away at Stripe: what waits for it is then held instead of refused as well.
    if (answer.kind === "dead" && answer.reason.startsWith("no_meter")) meters.forget();
    return answer;
  }
}

/** Clocks that differ stop everything; each try asks for Stripe's time again, so that a clock set right is noticed. */
async function obstacleTo({ stripe, skew, read }: StripeConnection): Promise<ReportAnswer | null> {
  if (skew.complaint() === null) return null;
  try {
    await read(() => stripe.billing.meters.list({ limit: 1 }));
  } catch (error) {
    return answerOfReading(error);
  }
  const complaint = skew.complaint();
  return complaint === null ? null : { kind: "stop", reason: complaint };
}

async function meterFor(meters: StripeMeters, record: UsageRecord): Promise<FitMeter | ReportAnswer> {
  try {
    const meter = await meters.fit(record.reportAs);
    // Raw differences into such a meter would be lost for ever behind a 200.
    if (typeof meter === "string") return { kind: "dead", reason: `meter_unfit: ${meter}`, requestId: null };
    return meter ?? DEFAULT_KEYS;
  } catch (error) {
    return answerOfReading(error);
  }
}

/** For a meter that is gone: Stripe itself shall say so. */
const DEFAULT_KEYS: FitMeter = { customerKey: "stripe_customer_id", valueKey: "value" };

function answerOfReading(error: unknown): ReportAnswer {
  if (isMeterbookError(error) && error.code === "METER_STRIPE_REFUSED") return { kind: "stop", reason: error.message };
  return unknown(error instanceof Error ? error.message : String(error), null);
}

function unknown(reason: string, requestId: string | null): ReportAnswer {
  return { kind: "unknown", reason, requestId, freshKey: false, retryAfterMs: null, rateLimited: false };
}
