import { emptyHeaders, headerValue, type HeaderValue } from "./header-values.ts";

/** The headers among the arguments of writeHead(), in any form that Node takes. */
export type StatedHeaders = object;

/** The headers in the arguments of writeHead(status, message?, headers?), as Node looks for them; null when there are none. */
export function statedIn(given: readonly unknown[]): StatedHeaders | null {
  const headers = given.length < 2 ? null : given[placeOf(given)];
  return typeof headers === "object" ? headers : null;
}

/** The same arguments with other headers. */
export function withStated(given: readonly unknown[], headers: StatedHeaders): readonly unknown[] {
  return given.with(placeOf(given), headers);
}

function placeOf(given: readonly unknown[]): number {
  return typeof given[1] === "string" || (given[2] !== undefined && given[2] !== null) ? 2 : 1;
}

/** Stated headers by lower-case name; names that are stated several times keep each value. */
export function readStated(headers: StatedHeaders): Record<string, HeaderValue> {
  const read = emptyHeaders();
  for (const [name, sent] of pairsOf(headers)) {
    const value = headerValue(sent);
    if (typeof name !== "string" || name === "" || value === undefined) continue;
    const key = name.toLowerCase();
    const before = read[key];
    read[key] = before === undefined ? value : [before, value].flat();
  }
  return read;
}

/** The headers without those of `names` (lower case), in the form that they have; the same object when none is there. */
export function withoutStated(headers: StatedHeaders, names: readonly string[]): StatedHeaders {
  const isKept = ([name]: readonly unknown[]): boolean =>
    typeof name !== "string" || !names.includes(name.toLowerCase());
  const pairs = pairsOf(headers);
  if (pairs.every(isKept)) return headers;
  const kept = pairs.filter(isKept);
  if (!Array.isArray(headers)) {
    const left: object = Object.create(null);
    for (const [name, value] of kept) Reflect.set(left, String(name), value);
    return left;
  }
  return Array.isArray(headers[0]) ? kept : kept.flat(1);
}

type Pair = readonly [unknown, unknown];

function pairsOf(headers: StatedHeaders): readonly Pair[] {
  if (!Array.isArray(headers)) return Object.entries(headers);
  const list: readonly unknown[] = headers;
  if (Array.isArray(list[0])) return list.map((pair): Pair => (Array.isArray(pair) ? [pair[0], pair[1]] : [pair, ""]));
  const pairs: Pair[] = [];
  // Node refuses a list with a name too many; it stays what it is.
  if (list.length % 2 === 0) for (let at = 0; at < list.length; at += 2) pairs.push([list[at], list[at + 1]]);
  return pairs;
}
