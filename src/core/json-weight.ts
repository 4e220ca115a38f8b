import type { Json } from "./event.ts";

/** A length so far, and roughly that of a value's text on top; negative when lists and objects are nested deeper than allowed. */
export function weightOf(value: Json, depthLeft: number, before: number): number {
  if (typeof value === "string") return before + value.length;
  if (typeof value !== "object" || value === null) return before + SCALAR_LENGTH;
  if (depthLeft === 0) return -1;
  let weight = before + SCALAR_LENGTH;
  if (isList(value)) {
    for (const inner of value) if ((weight = weightOf(inner, depthLeft - 1, weight)) < 0) return -1;
    return weight;
  }
  for (const name of Object.keys(value)) {
    weight = weightOf(value[name] ?? null, depthLeft - 1, weight + name.length);
    if (weight < 0) return -1;
  }
  return weight;
}

const SCALAR_LENGTH = 4;

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
