import { JSONPath } from "jsonpath-plus";
import { PathError } from "./path-syntax.ts";
import type { FieldPath } from "./path-syntax.ts";

/**
 * Compiles a path that starts with `$`: names, indexes, slices, unions, wildcards and `..`. Refused with PathError is
 * all that jsonpath-plus would evaluate or that leaves the tree downwards only: filters, scripts, `@` types, parents
 * and property names (script engines of this family have a history of escapes: CVE-2024-21534, CVE-2025-1302).
 */
export function compileJsonPath(text: string): FieldPath {
  refuseUnsafe(text);
  const folded = foldHeaderNames(text);
  // The function form throws and catches an Error inside for each scalar result: an instance is ten times as fast.
  const path = JSONPath({ path: folded, json: {}, autostart: false, eval: false, wrap: true });
  const read = (root: object): unknown => {
    const results: unknown = path.evaluate(folded, root, undefined, undefined);
    if (!Array.isArray(results) || results.length === 0) return undefined;
    return results.length === 1 ? results[0] : results;
  };
  return { text, read, segments: null, scope: leadingNames(folded) };
}

const refusals: readonly { readonly shape: RegExp; readonly why: string }[] = [
  {
    shape: /\?|\(|\)/,
    why: "filters and scripts are refused in a field path; use match, where or fields for conditions",
  },
  { shape: /@/, why: '"@" is refused in a field path: it stands for a script or a type test' },
  { shape: /\^|~/, why: "parent and property-name selectors are refused in a field path" },
  { shape: /[;#%`]/, why: "this character is refused in a path that starts with $" },
  // A negative step never ends in jsonpath-plus 10.4.
  { shape: /:[^\]:,]*:\s*-/, why: "a slice's step cannot be negative" },
];

function refuseUnsafe(text: string): void {
  for (const { shape, why } of refusals) {
    const found = shape.exec(text);
    if (found !== null) throw new PathError(why, found.index);
  }
  checkBrackets(text);
  const bad = /^\$(?![.[]|$)|\.{3}|\.$/.exec(text);
  if (bad !== null) throw new PathError('after $ stands .name, ..name, [0] or ["name"]', bad.index);
}

function checkBrackets(text: string): void {
  let open = -1;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "[") {
      if (open >= 0) throw new PathError("brackets cannot stand in brackets", at);
      open = at;
    } else if (text[at] === "]") {
      if (open < 0 || at === open + 1) throw new PathError('"]" has nothing to close', at);
      open = -1;
    }
  }
  if (open >= 0) throw new PathError('"]" is missing', open);
}

// Stored header names are lower case; only the name directly under request.headers or response.headers is folded.
function foldHeaderNames(text: string): string {
  return text.replace(
    /^(\$(?:\.|\[['"])(?:request|response)(?:['"]\])?(?:\.|\[['"])headers(?:['"]\])?(?:\.|\[['"]))([^.[\]'"]+)/,
    (_whole, before: string, name: string) => before + name.toLowerCase(),
  );
}

function leadingNames(text: string): readonly string[] {
  const names: string[] = [];
  const step = /\.([\p{L}\p{N}_$-]+)(?![\p{L}\p{N}_$,-])|\[['"]([^'",\]]+)['"]\]/uy;
  step.lastIndex = 1;
  for (let found = step.exec(text); found !== null; found = step.exec(text)) names.push(found[1] ?? found[2] ?? "");
  return names;
}
