import type { KeptBody } from "../core/capture-plan.ts";

/**
 * The part of a JSON value that meters read; undefined when nothing of it is there. Own properties only, and paths end
 * at a list: an index only has its meaning inside the whole of it.
 */
export function pickBody(body: unknown, kept: KeptBody): unknown {
  switch (kept.kind) {
    case "none":
      return undefined;
    case "whole":
      return body;
    case "paths":
      return picked(body, kept.paths);
    default:
      return kept satisfies never;
  }
}

type Members = Record<string, unknown>;

function picked(body: unknown, paths: readonly (readonly string[])[]): Members | undefined {
  let root: Members | undefined;
  for (const path of paths) {
    const value = ownValueAt(body, path);
    if (value === undefined) continue;
    root ??= newMembers();
    put(root, path, value);
  }
  return root;
}

function ownValueAt(body: unknown, path: readonly string[]): unknown {
  let value: unknown = body;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = Reflect.get(value, name);
  }
  return value;
}

/** No path of a plan is the beginning of another, so what is on the way was made here. */
function put(root: Members, path: readonly string[], value: unknown): void {
  let place: object = root;
  for (const name of path.slice(0, -1)) {
    const below: unknown = Reflect.get(place, name);
    const next = typeof below === "object" && below !== null ? below : newMembers();
    Reflect.set(place, name, next);
    place = next;
  }
  Reflect.set(place, path.at(-1) ?? "", value);
}

// Without a prototype: a member named `__proto__` is copied as a member.
function newMembers(): Members {
  const members: Members = Object.create(null);
  return members;
}
