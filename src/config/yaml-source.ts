import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Alias,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
} from "yaml";

import { bounds } from "./bounds.ts";
import type { Report } from "./report.ts";
import { positionOf, reportSyntax } from "./yaml-syntax.ts";
import { FORBIDDEN_KEYS, type MapEntry, type Position, type SourceNode, type SourcePath } from "./source.ts";

/** Reads YAML 1.2 (core schema) into a tree; null after a syntax error. Every finding goes to the report. */
export function readYaml(text: string, report: Report): SourceNode | null {
  const lines = new LineCounter();
  const deep = tooDeepAt(text);
  if (deep !== null) {
    addLines(lines, text);
    report.error({
      path: [],
      at: positionOf(lines, deep),
      kind: "syntax",
      message: `more than ${bounds.nestingMax} maps or lists inside each other`,
    });
    return null;
  }
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: "core",
    prettyErrors: false,
    uniqueKeys: false,
    merge: false,
  });
  reportSyntax(document, text, lines, report);
  if (document.errors.length > 0) return null;
  const contents = document.contents;
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    report.error({
      path: [],
      at: { line: 1, column: 1 },
      kind: "syntax",
      message: "the file is empty; write at least `version: 1` and `meters:`",
    });
    return null;
  }
  return convert(contents, [], {
    text,
    lines,
    report,
    anchors: new Map(),
    open: new Set(),
    aliasedNodes: 0,
    inAlias: false,
  });
}

interface Conversion {
  readonly text: string;
  readonly lines: LineCounter;
  readonly report: Report;
  readonly anchors: Map<string, Node>;
  /** Collections that are being converted: an alias to one of them would never end. */
  readonly open: Set<Node>;
  aliasedNodes: number;
  inAlias: boolean;
}

/** Offset of the first place that nests too deeply, judged without parsing: brackets, and indentation with `- ` and `? `. */
function tooDeepAt(text: string): number | null {
  let brackets = 0;
  for (let offset = 0; offset < text.length; offset++) {
    const character = text[offset];
    if (character === "[" || character === "{") brackets++;
    else if (character === "]" || character === "}") brackets = Math.max(0, brackets - 1);
    if (brackets > bounds.nestingMax) return offset;
  }
  const indented = new RegExp(`^[ \\t?:-]{${4 * bounds.nestingMax}}`, "m").exec(text);
  return indented?.index ?? null;
}

function convert(node: Node | null, path: SourcePath, conversion: Conversion): SourceNode {
  if (conversion.inAlias && ++conversion.aliasedNodes > bounds.aliasedNodesMax) return { kind: "broken", at: null };
  if (node === null) return { kind: "scalar", at: null, value: null, written: "", textAt: null, substituted: false };
  if (path.length > bounds.nestingMax) return { kind: "broken", at: null };
  if (isAlias(node)) return convertAlias(node, path, conversion);
  const at = positionOf(conversion.lines, node.range?.[0] ?? 0);
  if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined)
    conversion.anchors.set(node.anchor, node);
  if (isScalar(node)) return convertScalar(node, at, path, conversion);
  conversion.open.add(node);
  const converted = isMap(node)
    ? convertMap(node, at, path, conversion)
    : isSeq(node)
      ? {
          kind: "list" as const,
          at,
          items: node.items.map((child, index) => convert(childNode(child), [...path, index], conversion)),
        }
      : { kind: "broken" as const, at };
  conversion.open.delete(node);
  return converted;
}

/** An alias stands for a copy of its anchor's node; messages about the copy point into the original. */
function convertAlias(alias: Alias, path: SourcePath, conversion: Conversion): SourceNode {
  const at = positionOf(conversion.lines, alias.range?.[0] ?? 0);
  const target = conversion.anchors.get(alias.source);
  const refuse = (message: string): SourceNode => {
    conversion.report.error({ path, at, message });
    return { kind: "broken", at };
  };
  if (target === undefined) return refuse(`there is no anchor &${alias.source} before this alias`);
  if (conversion.open.has(target)) return refuse(`the alias *${alias.source} stands inside its own anchor`);
  if (path.length + 1 > bounds.nestingMax)
    return refuse(`more than ${bounds.nestingMax} maps or lists inside each other`);
  const isOutermost = !conversion.inAlias;
  conversion.inAlias = true;
  const copy = convert(target, path, conversion);
  if (!isOutermost) return copy;
  conversion.inAlias = false;
  return conversion.aliasedNodes > bounds.aliasedNodesMax
    ? refuse(`aliases repeat more than ${bounds.aliasedNodesMax} values`)
    : copy;
}

function convertMap(map: YAMLMap, at: Position, path: SourcePath, conversion: Conversion): SourceNode {
  const entries = new Map<string, MapEntry>();
  for (const pair of map.items) {
    const key = keyOf(pair, path, conversion);
    if (key === null) continue;
    if (entries.has(key.text)) {
      conversion.report.error({
        path: [...path, key.text],
        at: key.at,
        kind: "key",
        message: `the key ${JSON.stringify(key.text)} stands here for the second time`,
      });
      continue;
    }
    const node = convert(childNode(pair.value), [...path, key.text], conversion);
    const isNothing = node.at === null || (node.kind === "scalar" && node.written === "");
    entries.set(key.text, { keyAt: key.at, keyTextAt: key.textAt, node: isNothing ? { ...node, at: key.at } : node });
  }
  return { kind: "map", at, entries };
}

interface Key {
  readonly text: string;
  readonly at: Position;
  readonly textAt: Position | null;
}

function keyOf(pair: Pair, path: SourcePath, conversion: Conversion): Key | null {
  const key = childNode(pair.key);
  const at = positionOf(conversion.lines, key?.range?.[0] ?? 0);
  const refuse = (message: string): null => {
    conversion.report.error({ path, at, kind: "key", message });
    return null;
  };
  if (!isScalar(key)) return refuse("a key must be plain text");
  const { value } = key;
  if (value === null || value === "") return refuse("a key is empty");
  if (typeof value !== "string")
    return refuse(`the key ${key.source ?? ""} is not text; quote it: "${key.source ?? ""}"`);
  if (FORBIDDEN_KEYS.has(value)) return refuse(`the key ${JSON.stringify(value)} is not allowed`);
  return { text: value, at, textAt: textPosition(key, value, conversion) };
}

function convertScalar(scalar: Scalar, at: Position, path: SourcePath, conversion: Conversion): SourceNode {
  const { value } = scalar;
  if (typeof value === "string") {
    const textAt = textPosition(scalar, value, conversion);
    return { kind: "scalar", at, value, written: JSON.stringify(value), textAt, substituted: false };
  }
  const written = scalar.source ?? "";
  if (typeof value === "number" || typeof value === "boolean" || value === null) {
    const isExact =
      typeof value !== "number" ||
      (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)));
    if (isExact) return { kind: "scalar", at, value, written, textAt: null, substituted: false };
    conversion.report.error({
      path,
      at,
      message: `the number ${written} cannot be kept exactly; quote it: "${written}"`,
    });
    return { kind: "broken", at };
  }
  conversion.report.error({ path, at, message: "expected text, a number, true or false" });
  return { kind: "broken", at };
}

/** Where a text begins that stands in the file character by character; null with escapes, folding or blocks. */
function textPosition(scalar: Scalar, value: string, conversion: Conversion): Position | null {
  const isQuoted = scalar.type === "QUOTE_DOUBLE" || scalar.type === "QUOTE_SINGLE";
  const start = (scalar.range?.[0] ?? 0) + (isQuoted ? 1 : 0);
  return conversion.text.startsWith(value, start) ? positionOf(conversion.lines, start) : null;
}

function childNode(value: unknown): Node | null {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value) ? value : null;
}

function addLines(lines: LineCounter, text: string): void {
  lines.addNewLine(0);
  for (let offset = text.indexOf("\n"); offset !== -1; offset = text.indexOf("\n", offset + 1))
    lines.addNewLine(offset + 1);
}
