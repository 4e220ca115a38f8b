import type { Route } from "../route.ts";
import { customerRoutes } from "./customer-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { infoRoutes } from "./info-routes.ts";
import { laterRoutes } from "./later-routes.ts";
import { meterRoutes } from "./meter-routes.ts";
import { portalQueryRoute } from "./portal-query.ts";
import { portalRoutes } from "./portal-routes.ts";
import { queryRoutes } from "./query-routes.ts";
import { subjectRoutes } from "./subject-routes.ts";
import { v3CustomerRoutes } from "./v3-customer-routes.ts";
import { v3EventRoutes } from "./v3-event-routes.ts";
import { v3MeterRoutes } from "./v3-meter-routes.ts";
import { V3_BASES } from "./v3-pages.ts";

/**
 * OpenMeter's HTTP interface as far as metering goes: v1 and v2 as its published client calls them, v3 as Kong's gateway
 * plugin and Konnect's pages have it. What is not there says so.
 */
export const openmeterRoutes: readonly Route[] = [
  ...eventRoutes,
  ...meterRoutes,
  ...queryRoutes,
  ...customerRoutes,
  ...subjectRoutes,
  ...portalRoutes,
  portalQueryRoute,
  ...infoRoutes,
  ...V3_BASES.flatMap((base) => [...v3EventRoutes(base), ...v3MeterRoutes(base), ...v3CustomerRoutes(base)]).map(
    (route): Route => ({ ...route, mistakesAs: "invalid_parameters" }),
  ),
  ...laterRoutes,
];
