import { accountEventRoutes } from "./account-events.ts";
import { accountRoutes } from "./account.ts";
import { adjustmentRoutes } from "./adjustments.ts";
import { customerSearchRoutes } from "./customer-search.ts";
import { customerRoutes } from "./customers.ts";
import { meterEventRoutes } from "./meter-events.ts";
import { meterRoutes } from "./meters.ts";
import type { Route } from "./route.ts";
import { summaryRoutes } from "./summaries.ts";

/** Every endpoint; fixed paths before templates that would swallow them. */
export const LOCAL_STRIPE_ROUTES: readonly Route[] = [
  ...accountRoutes,
  ...customerSearchRoutes,
  ...customerRoutes,
  ...meterRoutes,
  ...meterEventRoutes,
  ...adjustmentRoutes,
  ...summaryRoutes,
  ...accountEventRoutes,
];
