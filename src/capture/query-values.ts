import type { KeptNames } from "../core/capture-plan.ts";

/** A query parameter that came several times keeps each value. */
export type QueryValues = Record<string, string | readonly string[]>;

/** The named parameters of a query text; null when none of them is there. Names are taken as sent, brackets included. */
export function keptQuery(query: string, names: KeptNames): QueryValues | null {
  if (query === "" || (names !== "all" && names.length === 0)) return null;
  const parameters = new URLSearchParams(query);
  // Without a prototype: a client may send a parameter named `__proto__`.
  const kept: QueryValues = Object.create(null);
  let isEmpty = true;
  for (const name of names === "all" ? new Set(parameters.keys()) : names) {
    const values = parameters.getAll(name);
    const [first] = values;
    if (first === undefined) continue;
    kept[name] = values.length === 1 ? first : values;
    isEmpty = false;
  }
  return isEmpty ? null : kept;
}

/** The named route parameters; null when none of them is there. */
export function keptParams(
  params: Readonly<Record<string, string>>,
  names: KeptNames,
): Readonly<Record<string, string>> | null {
  if (names === "all") return Object.keys(params).length === 0 ? null : params;
  const kept: Record<string, string> = Object.create(null);
  let isEmpty = true;
  for (const name of names) {
    const value = Object.hasOwn(params, name) ? params[name] : undefined;
    if (value === undefined) continue;
    kept[name] = value;
    isEmpty = false;
  }
  return isEmpty ? null : kept;
}
