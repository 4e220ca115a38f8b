import type { UsageRecord } from "../core/usage-record.ts";

export type CustomerAnswer =
  | { readonly kind: "mapped"; readonly customer: string }
  | { readonly kind: "missing" }
  | { readonly kind: "ambiguous"; readonly customers: readonly string[] }
  | { readonly kind: "deleted"; readonly customer: string };

export type MeterAnswer =
  | { readonly kind: "ready" }
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
}
