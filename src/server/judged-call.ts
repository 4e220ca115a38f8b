import { z } from "zod";

import { closestTo } from "../config/suggestion.ts";
import { ownMembers } from "../core/own-member.ts";
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
    const known: KnownNames = new Map();
    const read = schema.safeParse(value, { error: (issue) => noteNames(known, issue) });
    if (read.success) return withoutPrototype(read.data);
    // One by one: of a call that is all mistakes only so many are worth the work.
    for (const found of mistakesOf(read.error.issues, { place, known }, [])) {
      if (mistakes.length >= limits.mistakesMax) break;
      mistakes.push(found);
    }
    return undefined;
  };
  const values = {
    params: judge(route.params, sent.params, "path"),
    query: judge(route.query, sent.query, "query"),
    body: route.rawBody === true ? sent.body : judge(route.body, sent.body, undefined),
  };
  if (mistakes.length === 0) return { ok: true, values };
  return { ok: false, mistakes };
}

type Issue = z.core.$ZodIssue;

/** Of an object with unknown members, by the list of them: the names that it could have had. */
type KnownNames = Map<readonly string[], readonly string[]>;

interface Judged {
  readonly place: Mistake["in"];
  readonly known: KnownNames;
}

/** So many names are told to somebody who wrote none like them. */
const NAMES_TOLD_MAX = 8;

/** Whoever left something out sent no `undefined`. */
const MISSING_CODES: readonly string[] = ["invalid_type", "invalid_value", "invalid_union"];

/** The issue itself forgets its schema and what it is about. It keeps its own words, but for what is missing. */
function noteNames(known: KnownNames, issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "unrecognized_keys" && issue.inst instanceof z.ZodObject)
    known.set(issue.keys, Object.keys(issue.inst.shape));
  return issue.input === undefined && MISSING_CODES.includes(issue.code) ? "is missing" : undefined;
}

function* mistakesOf(issues: readonly Issue[], judged: Judged, base: readonly PropertyKey[]): Generator<Mistake> {
  const { place, known } = judged;
  for (const issue of issues) {
    const path = [...base, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      const names = known.get(issue.keys) ?? [];
      for (const key of issue.keys) yield mistake(place, [...path, key], unknownName(key, names, place));
      continue;
    }
    const nearest = issue.code === "invalid_union" ? nearestVariant(issue.errors) : null;
    if (nearest !== null) yield* mistakesOf(nearest, judged, path);
    else yield mistake(place, path, sentence(issue.message));
  }
}

function unknownName(key: string, names: readonly string[], place: Mistake["in"]): string {
  const said = `there is no such ${place === "query" ? "parameter" : "member"} here`;
  const near = closestTo(key, names);
  if (near !== undefined) return `${said}. Did you mean "${near}"?`;
  if (names.length === 0 || names.length > NAMES_TOLD_MAX) return said;
  return `${said}; known: ${names.join(", ")}`;
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

/** A route reads members that may be absent: what somebody put into Object.prototype must not stand in for them. */
function withoutPrototype(value: unknown): unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? ownMembers(value) : value;
}
