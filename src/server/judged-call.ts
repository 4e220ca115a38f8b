import type { z } from "zod";

import { limits } from "../engine/limits.ts";
import type { Mistake } from "./problem.ts";
import type { Route } from "./route.ts";

/** What was sent in a call, before anybody looked at it. */
export interface SentValues {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

export type JudgedValues =
  | { readonly ok: true; readonly values: SentValues }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** Holds what was sent against the schemas of its route; all mistakes at once. */
export function judgeValues(route: Route, sent: SentValues): JudgedValues {
  const mistakes: Mistake[] = [];
  const judge = (schema: z.ZodType | undefined, value: unknown, place: Mistake["in"]): unknown => {
    if (schema === undefined) return value;
    const read = schema.safeParse(value);
    if (read.success) return read.data;
    // One by one: a call that is all mistakes has more of them than a call may have arguments.
    for (const found of mistakesOf(read.error.issues, place)) mistakes.push(found);
    return undefined;
  };
  const values = {
    params: judge(route.params, sent.params, "path"),
    query: judge(route.query, sent.query, "query"),
    body: route.rawBody === true ? sent.body : judge(route.body, sent.body, undefined),
  };
  if (mistakes.length === 0) return { ok: true, values };
  return { ok: false, mistakes: mistakes.slice(0, limits.mistakesMax) };
}

type Issue = z.core.$ZodIssue;

function mistakesOf(issues: readonly Issue[], place: Mistake["in"], base: readonly PropertyKey[] = []): Mistake[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path];
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => mistake(place, [...path, key], "there is no such member here"));
    const nearest = issue.code === "invalid_union" ? nearestVariant(issue.errors) : null;
    if (nearest !== null) return mistakesOf(nearest, place, path);
    return [mistake(place, path, sentence(issue.message))];
  });
}

/** Of a choice the variant that fits best is what was meant: the one whose faults lie deepest, then the one with fewest. */
function nearestVariant(variants: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const depth = (issues: readonly Issue[]): number => Math.min(...issues.map(({ path }) => path.length));
  const [best] = variants.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length);
  return best === undefined || depth(best) === 0 ? null : best;
}

function mistake(place: Mistake["in"], path: readonly PropertyKey[], message: string): Mistake {
  const pointer = path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  return { ...(place === undefined ? {} : { in: place }), pointer, message };
}

function sentence(message: string): string {
  return message.replace(/^Invalid input: /, "");
}
