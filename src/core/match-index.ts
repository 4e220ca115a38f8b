import type { EventReader } from "./event-reader.ts";
import type { Filter } from "./filter.ts";
import { owns } from "./own-member.ts";
import { equalityKey } from "./scalar.ts";

/** What the index needs to know of a meter: its lines, and its place in the order of the catalog. */
export interface Indexed {
  readonly order: number;
  readonly eventType: string | null;
  /** Every one must hold. */
  readonly filters: readonly Filter[];
}

/** Finds the meters whose equality filters may hold for an event, at a cost that does not grow with their number. */
export interface MatchIndex<M extends Indexed> {
  /** Calls `visit` for each candidate, each at most once. Every meter that matches is a candidate; not every candidate matches. */
  candidates(reader: EventReader, visit: (meter: M) => void): void;
}

/** Builds the index over event type, then over the equality filters that tell most meters apart, the route first. */
export function buildIndex<M extends Indexed>(meters: readonly M[], reader: EventReader): MatchIndex<M> {
  const anyType = meters.filter((meter) => meter.eventType === null);
  const types = new Set(meters.flatMap((meter) => meter.eventType ?? []));
  const trees = new Map<string, Node<M>>();
  for (const type of types) {
    const ofType = meters.filter((meter) => meter.eventType === null || meter.eventType === type);
    trees.set(type, buildNode(ofType.map(withEqualities), reader, new Set()));
  }
  const others = buildNode(anyType.map(withEqualities), reader, new Set());
  const seen: number[] = meters.map(() => -1);
  return {
    candidates(current, visit) {
      const visitOnce = (meter: M): void => {
        if (seen[meter.order] === current.stamp) return;
        seen[meter.order] = current.stamp;
        visit(meter);
      };
      walk(trees.get(current.event.type) ?? others, current, visitOnce);
    },
  };
}

/** A node tests all of `meters` itself, or splits them by the value at one path; `rest` has no filter on that path. */
interface Node<M> {
  readonly meters: readonly M[];
  readonly split: {
    readonly slot: number;
    readonly buckets: ReadonlyMap<string, Node<M>>;
    readonly rest: Node<M> | null;
  } | null;
}

interface Entry<M> {
  readonly meter: M;
  /** Path → keys of which one must stand there. */
  readonly equalities: ReadonlyMap<string, readonly string[]>;
}

const scanMax = 3;
const depthMax = 12;

function withEqualities<M extends Indexed>(meter: M): Entry<M> {
  const equalities = new Map<string, readonly string[]>();
  for (const filter of meter.filters) {
    if (!owns(filter, "path") || (filter.op !== "eq" && filter.op !== "in")) continue;
    // Computed fields and JSONPath cost too much to be read for every event.
    if (filter.path.startsWith("$") || filter.path.startsWith("fields")) continue;
    const values = filter.op === "in" ? filter.value : [filter.value];
    const keys = [...new Set(values.map(equalityKey))];
    // A list without values has no place in the index; its line fails by itself.
    if (keys.length === 0) continue;
    const before = equalities.get(filter.path);
    if (before === undefined || keys.length < before.length) equalities.set(filter.path, keys);
  }
  return { meter, equalities };
}

function buildNode<M extends Indexed>(
  entries: readonly Entry<M>[],
  reader: EventReader,
  used: ReadonlySet<string>,
): Node<M> {
  const path = entries.length > scanMax && used.size < depthMax ? bestPath(entries, used) : null;
  if (path === null) return { meters: entries.map((entry) => entry.meter), split: null };
  const grouped = new Map<string, Entry<M>[]>();
  const without: Entry<M>[] = [];
  for (const entry of entries) {
    const keys = entry.equalities.get(path);
    if (keys === undefined) without.push(entry);
    else for (const key of keys) appendTo(grouped, key, entry);
  }
  const usedNow = new Set([...used, path]);
  const buckets = new Map([...grouped].map(([key, group]) => [key, buildNode(group, reader, usedNow)]));
  const rest = without.length === 0 ? null : buildNode(without, reader, usedNow);
  return { meters: [], split: { slot: reader.slotOf(path), buckets, rest } };
}

/** The path that is expected to leave the fewest candidates; null when none helps. */
function bestPath<M>(entries: readonly Entry<M>[], used: ReadonlySet<string>): string | null {
  const sizes = new Map<string, Map<string, number>>();
  const counts = new Map<string, number>();
  for (const { equalities } of entries) {
    for (const [path, keys] of equalities) {
      if (used.has(path)) continue;
      counts.set(path, (counts.get(path) ?? 0) + 1);
      const ofPath = sizes.get(path) ?? new Map<string, number>();
      for (const key of keys) ofPath.set(key, (ofPath.get(key) ?? 0) + 1);
      sizes.set(path, ofPath);
    }
  }
  let best: string | null = null;
  let least: number = entries.length;
  for (const [path, ofPath] of sizes) {
    const covered = [...ofPath.values()].reduce((sum, size) => sum + size, 0);
    const squares = [...ofPath.values()].reduce((sum, size) => sum + size * size, 0);
    // Half of the events are taken to have another value than all that are named: those leave the bucket out.
    const left = squares / covered / 2 + entries.length - (counts.get(path) ?? 0);
    // A read costs about as much as one candidate; the route is read by nearly all meters anyway.
    const cost = left + (path === "request.route" ? 0 : 1);
    if (cost < least) {
      least = cost;
      best = path;
    }
  }
  return best;
}

function walk<M>(node: Node<M>, reader: EventReader, visit: (meter: M) => void): void {
  let current: Node<M> | null = node;
  while (current !== null) {
    for (const meter of current.meters) visit(meter);
    const split: Node<M>["split"] = current.split;
    if (split === null) return;
    walkBuckets(split, reader, visit);
    current = split.rest;
  }
}

function walkBuckets<M>(split: NonNullable<Node<M>["split"]>, reader: EventReader, visit: (meter: M) => void): void {
  if (reader.hasFaults && reader.faultIn({ scopes: [reader.pathOf(split.slot).scope], fields: [] }) !== null) {
    // What stands there is unknown: any of them may match.
    for (const bucket of split.buckets.values()) walk(bucket, reader, visit);
    return;
  }
  const value = reader.read(split.slot);
  if (value === undefined) return;
  if (Array.isArray(value)) {
    for (const element of value) walkBucket(split.buckets.get(equalityKey(element)), reader, visit);
    return;
  }
  walkBucket(split.buckets.get(equalityKey(value)), reader, visit);
}

function walkBucket<M>(bucket: Node<M> | undefined, reader: EventReader, visit: (meter: M) => void): void {
  if (bucket !== undefined) walk(bucket, reader, visit);
}

function appendTo<T>(groups: Map<string, T[]>, key: string, element: T): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [element]);
  else group.push(element);
}
