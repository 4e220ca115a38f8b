import { bounds } from "./bounds.ts";
import type { Report } from "./report.ts";
import { FORBIDDEN_KEYS, type MapEntry, type Position, type SourceNode, type SourcePath } from "./source.ts";

/**
 * Reads strict JSON (RFC 8259) into a tree; null after a syntax error. Unlike JSON.parse it keeps positions, and a key
 * that stands twice is an error instead of the last one winning.
 */
export function readJson(text: string, report: Report): SourceNode | null {
  const reading: Reading = { text, report, offset: text.startsWith("\uFEFF") ? 1 : 0, lineStarts: lineStartsOf(text) };
  try {
    const node = readValue(reading, []);
    skipSpace(reading);
    if (reading.offset < text.length) throw new JsonFault("the file goes on after its value", reading.offset);
    return node;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    report.error({ path: [], at: positionOf(reading, error.offset), kind: "syntax", message: error.message });
    return null;
  }
}

class JsonFault extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "JsonFault";
    this.offset = offset;
  }
}

interface Reading {
  readonly text: string;
  readonly report: Report;
  readonly lineStarts: readonly number[];
  offset: number;
}

const numberShape = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const wordShape = /[A-Za-z]+/y;
const stringShape = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const words = new Map<string, boolean | null>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

function readValue(reading: Reading, path: SourcePath): SourceNode {
  skipSpace(reading);
  if (path.length > bounds.nestingMax) {
    throw new JsonFault(`more than ${bounds.nestingMax} maps or lists inside each other`, reading.offset);
  }
  const start = reading.offset;
  const at = positionOf(reading, start);
  const character = reading.text[start];
  if (character === "{") return { kind: "map", at, entries: readEntries(reading, path) };
  if (character === "[") return { kind: "list", at, items: readItems(reading, path) };
  if (character === '"') {
    const value = readString(reading);
    const textAt = reading.text.startsWith(value, start + 1) ? positionOf(reading, start + 1) : null;
    return { kind: "scalar", at, value, written: JSON.stringify(value), textAt, substituted: false };
  }
  return readLiteral(reading, path, at);
}

function readEntries(reading: Reading, path: SourcePath): ReadonlyMap<string, MapEntry> {
  const entries = new Map<string, MapEntry>();
  for (const _ of membersUntil(reading, "}")) {
    const keyStart = reading.offset;
    if (reading.text[keyStart] !== '"') throw unexpected(reading, 'a key in double quotes or "}"');
    const keyAt = positionOf(reading, keyStart);
    const key = readString(reading);
    const keyTextAt = reading.text.startsWith(key, keyStart + 1) ? positionOf(reading, keyStart + 1) : null;
    skipSpace(reading);
    if (reading.text[reading.offset] !== ":") throw unexpected(reading, '":"');
    reading.offset++;
    const node = readValue(reading, [...path, key]);
    const refusal = refusalOf(key, entries);
    if (refusal === null) entries.set(key, { keyAt, keyTextAt, node });
    else reading.report.error({ path, at: keyAt, kind: "key", message: refusal });
  }
  return entries;
}

function refusalOf(key: string, entries: ReadonlyMap<string, MapEntry>): string | null {
  if (key === "") return "a key is empty";
  if (FORBIDDEN_KEYS.has(key)) return `the key ${JSON.stringify(key)} is not allowed`;
  return entries.has(key) ? `the key ${JSON.stringify(key)} stands here for the second time` : null;
}

function readItems(reading: Reading, path: SourcePath): SourceNode[] {
  const items: SourceNode[] = [];
  for (const _ of membersUntil(reading, "]")) items.push(readValue(reading, [...path, items.length]));
  return items;
}

/** Steps from member to member over the commas; the caller reads each member. */
function* membersUntil(reading: Reading, close: string): Generator<void> {
  reading.offset++;
  skipSpace(reading);
  if (reading.text[reading.offset] === close) {
    reading.offset++;
    return;
  }
  for (;;) {
    yield;
    skipSpace(reading);
    const character = reading.text[reading.offset];
    if (character !== "," && character !== close) throw unexpected(reading, `"," or "${close}"`);
    const commaAt = reading.offset++;
    if (character === close) return;
    skipSpace(reading);
    if (reading.text[reading.offset] === close)
      throw new JsonFault("a comma stands before the end; JSON does not allow it", commaAt);
  }
}

function readString(reading: Reading): string {
  const start = reading.offset;
  stringShape.lastIndex = start;
  const literal = stringShape.exec(reading.text)?.[0];
  if (literal === undefined) throw new JsonFault("the text in quotes does not end", start);
  reading.offset += literal.length;
  try {
    const value: unknown = JSON.parse(literal);
    return typeof value === "string" ? value : "";
  } catch {
    throw new JsonFault("the text in quotes holds a line break or an unknown escape", start);
  }
}

function readLiteral(reading: Reading, path: SourcePath, at: Position): SourceNode {
  numberShape.lastIndex = reading.offset;
  wordShape.lastIndex = reading.offset;
  const written = numberShape.exec(reading.text)?.[0] ?? wordShape.exec(reading.text)?.[0] ?? "";
  const word = words.get(written);
  if (word === undefined && !/\d$/.test(written)) throw unexpected(reading, "a value");
  reading.offset += written.length;
  if (word !== undefined) return { kind: "scalar", at, value: word, written, textAt: null, substituted: false };
  const value: number = JSON.parse(written);
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) {
    return { kind: "scalar", at, value, written, textAt: null, substituted: false };
  }
  reading.report.error({ path, at, message: `the number ${written} cannot be kept exactly; quote it: "${written}"` });
  return { kind: "broken", at };
}

function unexpected(reading: Reading, wanted: string): JsonFault {
  if (reading.offset >= reading.text.length)
    return new JsonFault(`the file ends here, where ${wanted} is expected`, reading.offset);
  const character = String.fromCodePoint(reading.text.codePointAt(reading.offset) ?? 0);
  const hint = character === "/" || character === "#" ? " (JSON has no comments)" : "";
  return new JsonFault(`expected ${wanted}, found ${JSON.stringify(character)}${hint}`, reading.offset);
}

function skipSpace(reading: Reading): void {
  while (" \t\r\n".includes(reading.text[reading.offset] ?? "x")) reading.offset++;
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let offset = text.indexOf("\n"); offset !== -1; offset = text.indexOf("\n", offset + 1)) starts.push(offset + 1);
  return starts;
}

function positionOf(reading: Reading, offset: number): Position {
  let low = 0;
  let high = reading.lineStarts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((reading.lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (reading.lineStarts[low] ?? 0) + 1 };
}
