import { z } from "zod";

import { identifier } from "../contract/listing.ts";

/** What stands in paths where ids or keys of things do. */
export const byIdOrKey = z.strictObject({ idOrKey: identifier.meta({ description: "Id or key." }) });
export const byId = z.strictObject({ id: identifier });
