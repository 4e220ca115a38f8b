import { compileExpression } from "./expression.ts";
import { compilePath } from "./field-path.ts";
import { filterReads } from "./filter.ts";
import type { MeterDefinition } from "./meter.ts";

/** Names to keep of headers, query or params; `all` when a path or expression may read any of them. */
export type KeptNames = readonly string[] | "all";

/** What is needed of a body: nothing, the values at these paths inside it, or the whole. */
export type KeptBody =
  | { readonly kind: "none" }
  | { readonly kind: "paths"; readonly paths: readonly (readonly string[])[] }
  | { readonly kind: "whole" };

/** What capture must keep of an exchange so that every meter can be judged. Header names are lower case, all lists sorted. */
export interface CapturePlan {
  readonly requestHeaders: KeptNames;
  readonly responseHeaders: KeptNames;
  readonly query: KeptNames;
  readonly params: KeptNames;
  readonly requestBody: KeptBody;
  readonly responseBody: KeptBody;
  /** Metadata is what the server's own code gave, and is kept whole. */
  readonly metadata: "whole";
  /** Headers that meters take their value from, for the hint that one was never seen. */
  readonly meteredHeaders: { readonly request: readonly string[]; readonly response: readonly string[] };
  /** Every place of an event that meters and computed fields read, names from the root: masking leaves those alone. */
  readonly reads: readonly (readonly string[])[];
}

/** What the plan follows from. `identityPaths` are read from the live request: of those only the body must be parsed. */
export interface CaptureNeeds {
  readonly meters: readonly MeterDefinition[];
  readonly fields: Readonly<Record<string, string>>;
  readonly identityPaths: readonly string[];
}

/** Follows every path and expression of the meters, and the computed fields. Throws PathError or ExpressionError. */
export function planCapture({ meters, fields, identityPaths }: CaptureNeeds): CapturePlan {
  const fieldScopes = Object.values(fields).flatMap((text) => scopesOfExpression(text, "field"));
  const values = meters.flatMap((meter) => (meter.value === null ? [] : [compilePath(meter.value).scope]));
  const scopes = [...fieldScopes, ...values, ...meters.flatMap(otherScopes)];
  const identity = identityPaths
    .filter((path) => path !== "hook")
    .map((path) => compilePath(path).scope)
    .filter((scope) => isBodyPath(scope));
  return {
    requestHeaders: namesAt(scopes, ["request", "headers"]),
    responseHeaders: namesAt(scopes, ["response", "headers"]),
    query: namesAt(scopes, ["request", "query"]),
    params: namesAt(scopes, ["request", "params"]),
    requestBody: bodyAt([...scopes, ...identity], "request"),
    responseBody: bodyAt([...scopes, ...identity], "response"),
    metadata: "whole",
    meteredHeaders: { request: metered(meters, fields, "request"), response: metered(meters, fields, "response") },
    reads: scopes,
  };
}

type Scope = readonly string[];

function otherScopes(meter: MeterDefinition): readonly Scope[] {
  const groups = Object.values(meter.groupBy).map((path) => compilePath(path).scope);
  const lines = meter.match.map(filterReads);
  const paths = lines.flatMap((line) => line.paths).map((path) => compilePath(path).scope);
  const expressions = lines.flatMap((line) => line.expressions);
  return [...groups, ...paths, ...expressions.flatMap((text) => scopesOfExpression(text, "condition"))];
}

function scopesOfExpression(text: string, purpose: "field" | "condition"): readonly Scope[] {
  return compileExpression(text, purpose).reads.map((read) => compilePath(read).scope);
}

function namesAt(scopes: readonly Scope[], place: Scope): KeptNames {
  const names = new Set<string>();
  for (const scope of scopes) {
    if (!isPrefix(scope.slice(0, place.length), place)) continue;
    const name = scope[place.length];
    if (name === undefined) return "all";
    names.add(name);
  }
  return [...names].toSorted();
}

function bodyAt(scopes: readonly Scope[], side: "request" | "response"): KeptBody {
  const place = [side, "body"];
  const paths = new Map<string, Scope>();
  for (const scope of scopes) {
    if (!isPrefix(scope.slice(0, place.length), place)) continue;
    const inside = untilIndex(scope.slice(place.length));
    if (inside.length === 0) return { kind: "whole" };
    paths.set(JSON.stringify(inside), inside);
  }
  if (paths.size === 0) return { kind: "none" };
  const kept = [...paths.values()].filter(
    (path) => ![...paths.values()].some((other) => other.length < path.length && isPrefix(other, path)),
  );
  return { kind: "paths", paths: kept.toSorted((a, b) => (a.join(".") < b.join(".") ? -1 : 1)) };
}

// An index only has its meaning inside the whole list.
function untilIndex(path: Scope): Scope {
  const at = path.findIndex((name) => /^\d+$/.test(name));
  return at < 0 ? path : path.slice(0, at);
}

function metered(
  meters: readonly MeterDefinition[],
  fields: Readonly<Record<string, string>>,
  side: "request" | "response",
): readonly string[] {
  const scopes = meters.flatMap((meter) => {
    if (meter.value === null) return [];
    const scope = compilePath(meter.value).scope;
    const field = scope[0] === "fields" ? fields[scope[1] ?? ""] : undefined;
    return field === undefined ? [scope] : scopesOfExpression(field, "field");
  });
  const names = scopes.filter((scope) => isPrefix([side, "headers"], scope)).flatMap((scope) => scope[2] ?? []);
  return [...new Set(names)].toSorted();
}

function isBodyPath(scope: Scope): boolean {
  return scope[1] === "body";
}

function isPrefix(prefix: Scope, path: Scope): boolean {
  return prefix.length <= path.length && prefix.every((name, at) => path[at] === name);
}
