import { createHash } from "node:crypto";

import type { Stripe } from "stripe";

import type { ErrorCode } from "../core/errors.ts";
import type { Clock, CustomerAnswer, UsageReporter } from "../engine/ports.ts";
import { failureOf } from "./report-answer.ts";
import { connectStripe, type StripeConnection } from "./stripe-connection.ts";
import { stripeCustomers, type CompanyIdAt } from "./stripe-customers.ts";
import { cancelMeterEvent, measuredClockFault, sendMeterEvent } from "./stripe-meter-events.ts";
import { stripeMeters } from "./stripe-meters.ts";
import { stripePeriods } from "./stripe-periods.ts";
import { countedByStripe } from "./stripe-summaries.ts";

export interface StripeReporterOptions {
  readonly apiKey: string;
  readonly mode: "test" | "live";
  /** Base URL of another Stripe, such as a local one; null = Stripe's own. */
  readonly apiBase: string | null;
  readonly companyIdAt: CompanyIdAt;
  readonly clock: Clock;
  /** The client's way to the network; its own unless told. */
  readonly transport?: Stripe.HttpClient;
  /** How long a call may take in all, milliseconds; limits.reporterTimeoutMs unless told. */
  readonly timeoutMs?: number;
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
  const periods = stripePeriods({ connection, meters, clock, onNotice: options.onNotice });
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
    report: (record, idempotencyKey) => sendMeterEvent(connection, meters, record, idempotencyKey),
    cancel: (record, idempotencyKey) => cancelMeterEvent(connection, record, idempotencyKey),
    counted: (query) => countedByStripe(connection, meters, query),
    clockFault: () => measuredClockFault(connection),
    periods: () => periods.read(),
    customerPeriods: (customer) => periods.ofCustomer(customer),
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
