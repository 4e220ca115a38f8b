import { accountEventRoutes } from "./account-events.ts";
import { accountRoutes } from "./account.ts";
import { adjustmentRoutes } from "./adjustments.ts";
import { customerSearchRoutes } from "./customer-search.ts";
import { customerRoutes } from "./customers.ts";
import { meterEventV2Routes } from "./meter-events-v2.ts";
import { meterEventRoutes } from "./meter-events.ts";
import { meterRoutes } from "./meters.ts";
import type { Route } from "./route.ts";
import { invoiceRoutes } from "./billing/invoices.ts";
import { priceRoutes } from "./billing/prices.ts";
import { productRoutes } from "./billing/products.ts";
import { subscriptionRoutes } from "./billing/subscriptions.ts";
import { summaryRoutes } from "./summaries.ts";
import { eventDestinationRoutes } from "./webhooks/destinations.ts";
import { webhookEndpointRoutes } from "./webhooks/endpoints.ts";
import { fetchedEventRoutes } from "./webhooks/fetched-events.ts";

/** Every endpoint; fixed paths before templates that would swallow them. */
export const LOCAL_STRIPE_ROUTES: readonly Route[] = [
  ...accountRoutes,
  ...customerSearchRoutes,
  ...customerRoutes,
  ...meterRoutes,
  ...meterEventRoutes,
  ...meterEventV2Routes,
  ...adjustmentRoutes,
  ...summaryRoutes,
  ...accountEventRoutes,
  ...productRoutes,
  ...priceRoutes,
  ...subscriptionRoutes,
  ...invoiceRoutes,
  ...webhookEndpointRoutes,
  ...eventDestinationRoutes,
  ...fetchedEventRoutes,
];
