import { compileJsonPath } from "./json-path.ts";
import { parsePath, PathError } from "./path-syntax.ts";
import type { FieldPath } from "./path-syntax.ts";

export { PathError } from "./path-syntax.ts";
export type { FieldPath } from "./path-syntax.ts";

/**
 * Compiles `a.b["c"][0]`; a bare name may contain dashes. Names under `request.headers` and `response.headers` ignore
 * case. A path that starts with `$` is JSONPath without any filter or script form: one result gives that value, several
 * give an array. No code is generated, so a content security policy without `eval` is no obstacle. Throws PathError.
 */
export function compilePath(text: string): FieldPath {
  if (text.length > PATH_LENGTH_MAX)
    throw new PathError(`a path has at most ${PATH_LENGTH_MAX} characters`, PATH_LENGTH_MAX);
  if (text.startsWith("$")) return compileJsonPath(text);
  const segments = foldHeaderName(parsePath(text));
  return { text, read: readerOf(segments), segments, scope: segments };
}

/** Beyond it reading a JSONPath, which goes down step by step, could exhaust the stack. */
const PATH_LENGTH_MAX = 1_000;

/** Writes property names as a path that compilePath reads back. */
export function pathText(segments: readonly string[]): string {
  let text = "";
  for (const segment of segments) {
    // A path that starts with $ would be JSONPath.
    const isBare = /^[\p{L}\p{N}_$-]+$/u.test(segment) && (text !== "" || !segment.startsWith("$"));
    if (isBare) text += text === "" ? segment : `.${segment}`;
    else text += `["${segment.replace(/["\\]/g, "\\$&")}"]`;
  }
  return text;
}

/** True for names directly under `request.headers` or `response.headers`. */
export function isHeaderPath(segments: readonly string[]): boolean {
  return segments.length >= 3 && (segments[0] === "request" || segments[0] === "response") && segments[1] === "headers";
}

/** Lower-cases the header name of a path: HTTP field names ignore case (https://www.rfc-editor.org/rfc/rfc9110#section-5.1). */
export function foldHeaderName(segments: readonly string[]): readonly string[] {
  if (!isHeaderPath(segments)) return segments;
  return segments.map((segment, index) => (index === 2 ? segment.toLowerCase() : segment));
}

type Reader = (root: object) => unknown;

// One closure per arity: a loop over segments costs four times as much, and most paths have one to four names.
function readerOf(segments: readonly string[]): Reader {
  const [a = "", b = "", c = "", d = "", ...rest] = segments;
  if (segments.includes("length")) return (root) => segments.reduce<unknown>(elementOf, root);
  switch (segments.length) {
    case 1:
      return (root) => ownValue(root, a);
    case 2:
      return (root) => ownValue(ownValue(root, a), b);
    case 3:
      return (root) => ownValue(ownValue(ownValue(root, a), b), c);
    case 4:
      return (root) => ownValue(ownValue(ownValue(ownValue(root, a), b), c), d);
    default:
      return (root) => rest.reduce<unknown>(ownValue, ownValue(ownValue(ownValue(ownValue(root, a), b), c), d));
  }
}

function ownValue(value: unknown, name: string): unknown {
  return hasOwn(value, name) ? value[name] : undefined;
}

function hasOwn(value: unknown, name: string): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

// `length` is an own property of every array, and the only one that is no index.
function elementOf(value: unknown, name: string): unknown {
  return Array.isArray(value) && name === "length" ? undefined : ownValue(value, name);
}
