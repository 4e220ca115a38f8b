import { openmeterRoutes } from "./openmeter/openmeter-routes.ts";
import type { Route } from "./route.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { tenantRoutes } from "./routes/tenants.ts";
import { usageRoutes } from "./routes/usage.ts";

/**
 * The routes of the service beside the native ones, as it serves them and as its tests go through them. `metrics` is the
 * route of the figures; null where they are switched off.
 */
export function serviceRoutes({ metrics }: { readonly metrics: Route | null }): readonly Route[] {
  return [
    ...usageRoutes,
    ...sessionRoutes,
    ...tenantRoutes,
    ...openmeterRoutes,
    ...(metrics === null ? [] : [metrics]),
  ];
}
