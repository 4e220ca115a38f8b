import { MeterbookError } from "./errors.ts";

/** A compiled field path. Reading never throws and sees own properties only: `__proto__` and inherited names are absent. */
export interface FieldPath {
  /** The path as it was written. */
  readonly text: string;
  /** The value at the path; undefined when it is absent. Arrays are entered by index only. */
  read(root: object): unknown;
  /** Property names from the root, header names lower case; null for a path that starts with `$`. */
  readonly segments: readonly string[] | null;
  /** What the path can touch at most: `segments`, or the leading plain names of a `$` path. */
  readonly scope: readonly string[];
}

/** A field path that cannot be read, or that is refused. `offset` is the place in the path's text, from 0. */
export class PathError extends MeterbookError {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super("METER_CONFIG_INVALID", message);
    this.name = "PathError";
    this.offset = offset;
  }
}

/** The names of `a.b["c"][0]` in order. Throws PathError with the place of the first mistake. */
export function parsePath(text: string): readonly string[] {
  const segments: string[] = [];
  let offset = 0;
  while (offset < text.length || segments.length === 0) {
    const part = text[offset] === "[" ? readBracket(text, offset) : readName(text, offset, segments.length === 0);
    segments.push(part.name);
    offset = part.end;
  }
  return segments;
}

interface Part {
  readonly name: string;
  readonly end: number;
}

const nameShape = /[\p{L}\p{N}_$-]+/uy;
const indexShape = /\[(0|[1-9]\d*)\]/y;

function readName(text: string, offset: number, first: boolean): Part {
  let start = offset;
  if (!first) {
    if (text[offset] !== ".") throw unexpected(text, offset);
    start += 1;
  }
  nameShape.lastIndex = start;
  const name = nameShape.exec(text)?.[0];
  if (name === undefined) {
    throw start >= text.length ? new PathError("a field path needs a name here", start) : unexpected(text, start);
  }
  return { name, end: start + name.length };
}

function readBracket(text: string, offset: number): Part {
  indexShape.lastIndex = offset;
  const index = indexShape.exec(text);
  if (index !== null) return { name: index[1] ?? "", end: offset + index[0].length };
  const quote = text[offset + 1];
  if (quote !== '"' && quote !== "'") {
    throw new PathError('between brackets stands a number or a quoted name, such as [0] or ["a.b"]', offset + 1);
  }
  let name = "";
  for (let at = offset + 2; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (character === "\\") {
      at += 1;
      const escaped = text[at];
      if (escaped !== quote && escaped !== "\\")
        throw new PathError("after a backslash stands a quote or a backslash", at);
      name += escaped;
    } else if (character === quote) {
      if (text[at + 1] !== "]") throw new PathError('"]" is missing after the quoted name', at + 1);
      return { name, end: at + 2 };
    } else {
      name += character;
    }
  }
  throw new PathError("the quoted name does not end", offset + 1);
}

function unexpected(text: string, offset: number): PathError {
  const character = String.fromCodePoint(text.codePointAt(offset) ?? 0);
  return new PathError(
    `${JSON.stringify(character)} cannot stand here; names with such characters are written ["…"]`,
    offset,
  );
}
