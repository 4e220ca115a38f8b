import type { Route } from "./route.ts";

/** What a method and a path lead to. */
type Match =
  | { readonly kind: "route"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  /** There is something at the path, for other methods. */
  | { readonly kind: "method"; readonly allow: readonly string[] }
  | { readonly kind: "nothing" };

/** Finds routes by method and path; HEAD is answered by a route for GET. */
export interface RouteTable {
  find(method: string, path: string): Match;
}

interface Place {
  readonly byText: Map<string, Place>;
  /** Where a parameter stands; its name is the route's. */
  anything: Place | null;
  readonly routes: Map<string, { readonly route: Route; readonly names: readonly string[] }>;
}

const NOTHING: Match = { kind: "nothing" };

/**
 * A tree of path segments: a segment that is written out goes before a parameter. Throws for two routes with one method
 * and path.
 */
export function routeTable(routes: readonly Route[]): RouteTable {
  const root = newPlace();
  const plain = new Map<string, Match>();
  for (const route of routes) {
    const names: string[] = [];
    let place = root;
    for (const segment of segmentsOf(route.path)) {
      if (segment.startsWith("{")) {
        names.push(segment.slice(1, -1));
        place = place.anything ??= newPlace();
      } else place = childOf(place, segment);
    }
    const method = route.method.toUpperCase();
    if (place.routes.has(method)) throw new Error(`Two routes answer ${method} ${route.path}.`);
    place.routes.set(method, { route, names });
    if (names.length === 0) plain.set(`${method} ${route.path}`, { kind: "route", route, params: {} });
  }
  return {
    find(method, path) {
      const wanted = method === "HEAD" ? "GET" : method;
      return plain.get(`${wanted} ${path}`) ?? walk(root, wanted, path);
    },
  };
}

function walk(root: Place, method: string, path: string): Match {
  const segments = segmentsOf(path);
  const found = placesAt(root, segments, 0, []);
  const allow = new Set<string>();
  for (const { place, values } of found) {
    const entry = place.routes.get(method);
    if (entry === undefined) for (const other of place.routes.keys()) allow.add(other);
    else return matchOf(entry.route, entry.names, values);
  }
  if (allow.size === 0) return NOTHING;
  if (allow.has("GET")) allow.add("HEAD");
  return { kind: "method", allow: [...allow].toSorted() };
}

/** Places with routes at a path, those that are written out first. */
function placesAt(
  place: Place,
  segments: readonly string[],
  at: number,
  values: readonly string[],
): readonly { readonly place: Place; readonly values: readonly string[] }[] {
  const segment = segments[at];
  if (segment === undefined) return place.routes.size > 0 ? [{ place, values }] : [];
  const written = place.byText.get(segment);
  const found = written === undefined ? [] : placesAt(written, segments, at + 1, values);
  if (place.anything === null || segment === "") return found;
  return [...found, ...placesAt(place.anything, segments, at + 1, [...values, segment])];
}

/** A segment that cannot be decoded names nothing. */
function matchOf(route: Route, names: readonly string[], values: readonly string[]): Match {
  try {
    const params = Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(values[at] ?? "")]));
    return { kind: "route", route, params };
  } catch {
    return NOTHING;
  }
}

function segmentsOf(path: string): readonly string[] {
  return path.slice(1).split("/");
}

function newPlace(): Place {
  return { byText: new Map(), anything: null, routes: new Map() };
}

function childOf(place: Place, segment: string): Place {
  const known = place.byText.get(segment);
  if (known !== undefined) return known;
  const child = newPlace();
  place.byText.set(segment, child);
  return child;
}
