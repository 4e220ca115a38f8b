import type { FormTree } from "./form-body.ts";
import { onlyParameters, optionalInteger } from "./parameters.ts";

const BOUNDS = ["gt", "gte", "lt", "lte"] as const;

/** Reads `created=N` or `created[gte]=N`: a test of a time in seconds. */
export function createdFilter(form: FormTree): (created: number) => boolean {
  const asked = form["created"];
  if (asked === undefined) {
    return () => true;
  }
  if (typeof asked === "string") {
    const exact = optionalInteger(form, "created");
    return (created) => created === exact;
  }
  onlyParameters(asked, BOUNDS);
  const [gt, gte, lt, lte] = BOUNDS.map((bound) => optionalInteger(asked, bound, `created[${bound}]`));
  return (created) =>
    created > (gt ?? -Infinity) &&
    created >= (gte ?? -Infinity) &&
    created < (lt ?? Infinity) &&
    created <= (lte ?? Infinity);
}
