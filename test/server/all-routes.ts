import { metricsRoute } from "../../src/server/metrics.ts";
import type { Route } from "../../src/server/route.ts";
import { serviceRoutes } from "../../src/server/service-routes.ts";

/** What the service serves beside the native routes, with everything switched on. */
export const allRoutes: readonly Route[] = serviceRoutes({
  metrics: metricsRoute(null, () => ({ writing: 0, reading: 0, restarts: 0 })),
});
