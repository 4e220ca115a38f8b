import { limits } from "../engine/limits.ts";
import type { Mistake } from "./problem.ts";

/** A parameter: given once, repeatedly, or with names in brackets. */
type QueryValue = string | readonly string[] | { readonly [name: string]: QueryValue };

/** All parameters of a call, in an object that inherits nothing. */
export type QueryValues = Readonly<Record<string, QueryValue>>;

export type QueryReading =
  | { readonly ok: true; readonly values: QueryValues }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

interface Draft {
  [name: string]: string | string[] | Draft;
}

const EMPTY: QueryReading = { ok: true, values: emptyDraft() };
/** Names that mean something to every JavaScript object; no parameter is called so. */
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads a query string: a repeated name is a list, `a[]=x` a list, `a[b]=c` an object. What is bounded, malformed or
 * contradicts itself is a mistake, never a guess.
 */
export function readQuery(text: string): QueryReading {
  if (text === "") return EMPTY;
  if (text.length > limits.queryBytesMax) return refused("", `the query is longer than ${limits.queryBytesMax} bytes`);
  const values = emptyDraft();
  const pairs = text.split("&").filter((pair) => pair !== "");
  if (pairs.length > limits.queryParametersMax)
    return refused("", `there are more than ${limits.queryParametersMax} parameters`);
  for (const pair of pairs) {
    const [name, value] = decoded(pair);
    if (name === null || value === null) return refused("", "a parameter is not UTF-8 in percent-encoding");
    const path = pathOf(name);
    if (path === null) return refused(`/${name}`, "the name of the parameter has brackets that do not fit");
    const fault = put(values, path, value);
    if (fault !== null) return refused(`/${path.filter((step) => step !== "").join("/")}`, fault);
  }
  return { ok: true, values };
}

function put(values: Draft, path: readonly string[], value: string): string | null {
  if (path.length > limits.queryDepthMax) return `there are more than ${limits.queryDepthMax} names within one another`;
  if (path[0] === "") return "a parameter has no name";
  if (path.some((step) => FORBIDDEN.has(step))) return "no parameter has this name";
  const isList = path.at(-1) === "";
  const steps = isList ? path.slice(0, -1) : path;
  if (steps.includes("")) return "an empty pair of brackets stands at the end only";
  let place = values;
  for (const step of steps.slice(0, -1)) {
    const inner = (place[step] ??= emptyDraft());
    if (typeof inner === "string" || Array.isArray(inner)) return "it is given as a value and with names in brackets";
    place = inner;
  }
  const last = steps.at(-1) ?? "";
  const known = place[last];
  if (known === undefined) place[last] = isList ? [value] : value;
  else if (typeof known === "string") place[last] = [known, value];
  else if (Array.isArray(known)) known.push(value);
  else return "it is given as a value and with names in brackets";
  return null;
}

/** `a[b][c]` → a, b, c; null where brackets do not close. */
function pathOf(name: string): readonly string[] | null {
  const open = name.indexOf("[");
  if (open === -1) return name.includes("]") ? null : [name];
  const rest = name.slice(open);
  if (open === 0 || !/^(\[[^[\]]*\])+$/.test(rest)) return null;
  return [name.slice(0, open), ...rest.slice(1, -1).split("][")];
}

function decoded(pair: string): readonly [string | null, string | null] {
  const at = pair.indexOf("=");
  return at === -1 ? [textOf(pair), ""] : [textOf(pair.slice(0, at)), textOf(pair.slice(at + 1))];
}

function textOf(encoded: string): string | null {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch {
    return null;
  }
}

function refused(pointer: string, message: string): QueryReading {
  return { ok: false, mistakes: [{ in: "query", pointer, message }] };
}

function emptyDraft(): Draft {
  const draft: Draft = {};
  return Object.setPrototypeOf(draft, null);
}
