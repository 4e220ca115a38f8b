import type { MeterTemplate } from "../../engine/meters/meter-view.ts";
import type { CustomerTokens } from "../../engine/registry/customer-tokens.ts";
import type { Route } from "../route.ts";
import { bookRoutes } from "./books.ts";
import { bucketRoutes } from "./buckets.ts";
import { customerRoutes, subjectRoutes, tokenRoutes } from "./customers.ts";
import { eventRoutes } from "./events.ts";
import { healthRoutes } from "./health.ts";
import { keyRoutes } from "./keys.ts";
import { meterRoutes, templateRoutes } from "./meters.ts";
import { meterTypeRoutes } from "./meter-types.ts";
import { queryRoutes } from "./queries.ts";
import { recordRoutes } from "./records.ts";
import { suspenseRoutes } from "./suspense.ts";

/** The native API: all routes below /v1, and the two that say whether the process lives. */
export function nativeRoutes(options: {
  readonly tokens: CustomerTokens;
  readonly templates: readonly MeterTemplate[];
}): readonly Route[] {
  return [
    ...eventRoutes,
    ...meterRoutes,
    ...templateRoutes(options.templates),
    ...queryRoutes,
    ...customerRoutes,
    ...tokenRoutes(options.tokens),
    ...subjectRoutes,
    ...keyRoutes,
    ...meterTypeRoutes,
    ...bucketRoutes,
    ...recordRoutes,
    ...suspenseRoutes,
    ...bookRoutes,
    ...healthRoutes,
  ];
}
