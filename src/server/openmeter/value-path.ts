import { compilePath, PathError } from "../../core/field-path.ts";

/** A path that could be read, or the sentence that says why not. */
export type PathReading = { readonly path: string } | { readonly problem: string };

/**
 * The field path of a JSONPath as OpenMeter's meters have it, which starts at an event's payload: `$.a.b['c'][0]` is
 * `data.a.b['c'][0]`. What only JSONPath can say (`$.x[*]`, `$..x`, slices) stays one: `$.data.x[*]`.
 */
export function fieldPathOf(jsonPath: string): PathReading {
  if (!jsonPath.startsWith("$")) return { problem: "a JSONPath starts with $, such as $.tokens" };
  const steps = jsonPath.slice(1);
  if (!/^[.[]./.test(steps)) return { problem: "after $ stands a name, such as $.tokens" };
  const plain = `data${steps}`;
  if (fault(plain) === null) return { path: plain };
  const path = `$.data${steps}`;
  const problem = fault(path);
  return problem === null ? { path } : { problem };
}

/** The JSONPath that fieldPathOf() made a field path from. A path that does not start at the payload stays as it is. */
export function jsonPathOf(path: string): string {
  const steps = /^(?:\$\.)?data(?=[.[])/.exec(path)?.[0];
  return steps === undefined ? path : `$${path.slice(steps.length)}`;
}

function fault(path: string): string | null {
  try {
    compilePath(path);
    return null;
  } catch (error) {
    if (error instanceof PathError) return error.message;
    throw error;
  }
}
