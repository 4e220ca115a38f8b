/**
 * meterbook: one line of middleware, one file of meters, one local database, Stripe at the end.
 *
 * @example
 * import express from "express";
 * import { meter } from "meterbook";
 * const app = express();
 * app.use(meter({ identifyCompany: (req) => req.user?.companyId }));
 */
export { createMeter as meter, type Meter } from "./runtime/meter.ts";
export type { StripeWebhookHandler } from "./runtime/stripe-webhook.ts";
export type { ApiHandler } from "./runtime/meter-router.ts";
export { createServer } from "./express/index.ts";

// --- what hooks and options are made of ---
export type { MeterOptions, MeteredRequest } from "./capture/options.ts";
export type { TrackDetails } from "./capture/capture.ts";
export type { UsageEvent } from "./core/event.ts";
export type { Verdict } from "./core/verdict.ts";

// --- configuration and errors ---
export { defineConfig } from "./config/index.ts";
export { ERROR_CODES, isMeterbookError, MeterbookError, type ErrorCode } from "./core/errors.ts";
