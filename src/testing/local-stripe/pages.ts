import { localStripeBounds } from "./bounds.ts";
import type { FormTree } from "./form-body.ts";
import { optionalInteger, optionalText } from "./parameters.ts";
import { refuse, refuseMissing } from "./stripe-refusal.ts";

/** One place in a list, newest first. A null object is skipped but still a valid cursor, as deleted objects are. */
export interface ListEntry {
  readonly id: string;
  readonly object: object | null;
}

export const PAGE_PARAMETERS = ["limit", "starting_after", "ending_before"] as const;

/** One page of a list by cursors. `noun` is what a refusal calls an object: customer. */
export function listPage(entries: readonly ListEntry[], form: FormTree, url: string, noun: string): object {
  const limit = pageLimit(form);
  const after = optionalText(form, "starting_after");
  const before = optionalText(form, "ending_before");
  if (before !== null) {
    const earlier = visible(entries.slice(0, positionOf(entries, before, "ending_before", noun)));
    return list(earlier.slice(-limit), earlier.length > limit, url);
  }
  const rest = visible(
    after === null ? entries : entries.slice(positionOf(entries, after, "starting_after", noun) + 1),
  );
  return list(rest.slice(0, limit), rest.length > limit, url);
}

export function pageLimit(form: FormTree): number {
  const limit = optionalInteger(form, "limit") ?? localStripeBounds.pageDefault;
  if (limit > localStripeBounds.pageMax || limit < 1) {
    const side =
      limit < 1 ? "greater than or equal to 1" : `less than or equal to ${String(localStripeBounds.pageMax)}`;
    refuse("page.limit", {
      message: `This value must be ${side} (it currently is '${String(limit)}').`,
      code: "parameter_invalid_integer",
      param: "limit",
    });
  }
  return limit;
}

function list(data: readonly object[], hasMore: boolean, url: string): object {
  return { object: "list", data, has_more: hasMore, url };
}

function visible(entries: readonly ListEntry[]): readonly object[] {
  return entries.flatMap((entry) => (entry.object === null ? [] : [entry.object]));
}

function positionOf(entries: readonly ListEntry[], id: string, param: string, noun: string): number {
  const position = entries.findIndex((entry) => entry.id === id);
  return position >= 0 ? position : refuseMissing("page.cursor_unknown", noun, id, param);
}
