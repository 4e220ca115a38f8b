import type { Decimal } from "../core/decimal.ts";
import type { UsageRecord } from "../core/usage-record.ts";
import type { BilledPeriod, BillerLane } from "./outbox-row.ts";

export type CustomerAnswer =
  | { readonly kind: "mapped"; readonly customer: string }
  | { readonly kind: "missing" }
  | { readonly kind: "ambiguous"; readonly customers: readonly string[] }
  | { readonly kind: "deleted"; readonly customer: string };

export type MeterAnswer =
  /** `keepsLast`: the biller keeps only the last report received for each of its own windows; null = it adds all up. */
  | { readonly kind: "ready"; readonly keepsLast: "hour" | "day" | null }
  | { readonly kind: "missing"; readonly reason: string }
  | { readonly kind: "unfit"; readonly reason: string };

export type ReportAnswer =
  | { readonly kind: "accepted"; readonly requestId: string | null }
  /** Outcome unknown or refused for now: same identifier again later. `freshKey`: a stored server error must not be replayed. */
  | {
      readonly kind: "unknown";
      readonly reason: string;
      readonly requestId: string | null;
      readonly freshKey: boolean;
      readonly retryAfterMs: number | null;
      readonly rateLimited: boolean;
    }
  | { readonly kind: "dead"; readonly reason: string; readonly requestId: string | null }
  /** Credentials or rights: stop all sending, one alarm. */
  | { readonly kind: "stop"; readonly reason: string };

/** Which part of the biller's books: [from, to) of event time, minute-aligned (hours and days when grouped). */
export interface CountedQuery extends BillerLane {
  readonly from: number;
  readonly to: number;
  /** One figure for each; null = one for all of it. */
  readonly per: "hour" | "day" | null;
}

/** What the biller's books say. Spans without a figure are absent. */
export interface CountedSpan {
  readonly from: number;
  readonly to: number;
  readonly value: Decimal;
  /** False where its number may stand for another one, being a double. */
  readonly isExact: boolean;
}

/** What bills one customer on our meters. */
export interface CustomerPeriods {
  /** The present periods, and the last ones of subscriptions that ended. */
  readonly present: readonly BilledPeriod[];
  /** What the same items billed before, as far as it is told: none ends later here than it did. */
  readonly earlier: readonly BilledPeriod[];
  /** Answered from memory, without a call: as it was at this instant. */
  readonly asOf?: number;
}

/** Where usage is reported: Stripe, or a recording reporter in tests. */
export interface UsageReporter {
  /** Account and mode, e.g. `acct_1/test`: part of every identifier. */
  account(): Promise<string>;
  /** Brings the company → customer list up to date; called before closing windows. */
  customers(): AsyncIterable<{ readonly company: string; readonly customer: string; readonly deleted: boolean }>;
  /** Asks for one company that the list does not know. */
  findCustomer(company: string): Promise<CustomerAnswer>;
  meter(reportAs: string): Promise<MeterAnswer>;
  report(record: UsageRecord, idempotencyKey: string): Promise<ReportAnswer>;
  /** Takes a report back that the biller received less than 24 hours ago. `dead` when it does not know it, or it is too late. */
  cancel(record: UsageRecord, idempotencyKey: string): Promise<ReportAnswer>;
  /** The biller's books, which may be behind. Throws METER_STRIPE_REFUSED or METER_STRIPE_UNREACHABLE. */
  counted(query: CountedQuery): Promise<readonly CountedSpan[]>;
  /**
   * Why nothing may be decided by this machine's clock, measured by a call now; null while it agrees with the biller's.
   * Throws as `counted`.
   */
  clockFault(): Promise<string | null>;
  /** The present billing periods of all customers on our meters. Throws as `counted`. */
  periods(): Promise<readonly BilledPeriod[]>;
  /** One customer's periods, asked for now. Null, or not there at all: the biller does not tell. Throws as `counted`. */
  readonly customerPeriods?: (customer: string) => Promise<CustomerPeriods | null>;
}
