import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import { sentInteger } from "./sent-list.ts";
import { refusal } from "./wire-mistakes.ts";

/** Where v3 stands: under OpenMeter's own path, and under Konnect's, so that only the host of a call changes. */
export const V3_BASES = ["/api/v3/openmeter", "/v3/openmeter"] as const;

/** `page[size]` and `page[number]`. */
export const pageAsked = z.object({
  size: sentInteger(1, limits.openmeterPageMax).optional(),
  number: sentInteger(1, 1_000_000).optional(),
});

/** Rows of a page where the caller states no size. */
export const PAGE_SIZE = 20;

/** A v3 list of a counted collection. */
export function pageSchema(row: z.ZodType): z.ZodType {
  const page = z.object({ number: z.int(), size: z.int(), total: z.int() });
  return z.object({ data: z.array(row), meta: z.object({ page }) });
}

/** One page in v3's envelope. */
export function pageBody(rows: readonly unknown[], number: number, size: number, total: number): object {
  return { data: rows, meta: { page: { number, size, total } } };
}

/** What `sort` says: one of the names, `asc` or `desc` behind it. Throws METER_REQUEST_INVALID. */
export function sortOf<Name extends string>(
  sort: string | undefined,
  names: readonly Name[],
  byDefault: Name,
): { readonly by: Name; readonly descending: boolean } {
  if (sort === undefined) return { by: byDefault, descending: false };
  const [name = "", direction = "asc", ...rest] = sort.trim().split(/\s+/);
  const by = names.find((each) => each === name);
  if (by === undefined || rest.length > 0 || (direction !== "asc" && direction !== "desc")) {
    throw refusal([{ pointer: "/sort", message: `one of ${names.join(", ")} is wanted, with asc or desc behind it` }]);
  }
  return { by, descending: direction === "desc" };
}
