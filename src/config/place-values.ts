import type { Place } from "./place.ts";

/** The text at a key; null for anything else. */
export function textAt(place: Place, key: string): string | null {
  return place.child(key)?.text() ?? null;
}

/** The truth value at a key; null for anything else. */
export function booleanAt(place: Place, key: string): boolean | null {
  const node = place.child(key)?.node;
  return node?.kind === "scalar" && typeof node.value === "boolean" ? node.value : null;
}

/** The number at a key; null for anything else. */
export function numberAt(place: Place, key: string): number | null {
  const node = place.child(key)?.node;
  return node?.kind === "scalar" && typeof node.value === "number" ? node.value : null;
}

/** The texts of a list at a key. */
export function textsAt(place: Place, key: string): readonly string[] {
  return (place.child(key)?.children() ?? []).flatMap((entry) => entry.text() ?? []);
}

/** The single values of a map at a key. */
export function scalarsAt(place: Place, key: string): Readonly<Record<string, string | number | boolean | null>> {
  const entries = (place.child(key)?.children() ?? []).flatMap((entry) =>
    entry.node.kind === "scalar" ? [[entry.key, entry.node.value] as const] : [],
  );
  return Object.fromEntries(entries);
}
