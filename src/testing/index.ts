export { manualClock } from "./manual-clock.ts";
export type { ManualClock } from "./manual-clock.ts";
export { startLocalStripe } from "./local-stripe/local-stripe.ts";
export type { LocalStripe } from "./local-stripe/local-stripe.ts";
export type { LocalStripeOptions } from "./local-stripe/options.ts";
export type {
  SeedCustomer,
  SeededSubscription,
  SeededWebhook,
  SeedMeter,
  SeedSubscription,
  SeedWebhook,
} from "./local-stripe/seeds.ts";
export type { Seeded, SeedFile } from "./local-stripe/seed-file.ts";
export type { InvoicedUsage } from "./local-stripe/invoiced.ts";
export type { LoggedDelivery, WebhookDisturbance } from "./local-stripe/webhooks/records.ts";
export type { FaultOrder } from "./local-stripe/faults.ts";
export type { LedgerEntry } from "./local-stripe/ledger.ts";
export type { RateLimit } from "./local-stripe/rate-limit.ts";
export type { ApiKey, LoggedCall } from "./local-stripe/state.ts";
export { recordingReporter } from "./recording-reporter.ts";
export type { NextReport, RecordedCall, RecordingReporter, RecordingReporterOptions } from "./recording-reporter.ts";
export { STORE_SUITE_BUCKET_MS, storeSuite } from "./store-suite.ts";
export type { MadeStore, SuiteHarness } from "./store-suite.ts";
