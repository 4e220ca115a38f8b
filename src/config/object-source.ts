import { bounds } from "./bounds.ts";
import { pathText, FORBIDDEN_KEYS, type MapEntry, type SourceNode, type SourcePath } from "./source.ts";
import type { Report } from "./report.ts";

/** Reads a configuration object into a tree without positions. Undefined members are absent; what is not plain is reported. */
export function readObject(value: unknown, report: Report): SourceNode {
  const reading: Reading = { report, open: new Set(), nodes: 0 };
  try {
    return convert(value, [], reading);
  } catch (error) {
    // Getters and proxies run foreign code; what they throw is a finding like any other.
    const reason = error instanceof Error ? error.message : "something that is no error";
    report.error({ path: [], at: null, kind: "syntax", message: `the configuration object cannot be read: ${reason}` });
    return { kind: "broken", at: null };
  }
}

interface Reading {
  readonly report: Report;
  readonly open: Set<object>;
  nodes: number;
}

function convert(value: unknown, path: SourcePath, reading: Reading): SourceNode {
  const refuse = (message: string): SourceNode => {
    reading.report.error({ path, at: null, message });
    return { kind: "broken", at: null };
  };
  if (++reading.nodes > bounds.objectNodesMax) {
    return reading.nodes === bounds.objectNodesMax + 1
      ? refuse(`more than ${bounds.objectNodesMax} values`)
      : { kind: "broken", at: null };
  }
  if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
    if (typeof value === "number" && !isExact(value))
      return refuse(`the number ${value} cannot be kept exactly; give it as text`);
    return { kind: "scalar", at: null, value, written: JSON.stringify(value), textAt: null, substituted: false };
  }
  if (typeof value !== "object") return refuse(`expected text, a number, a list or a map, received a ${typeof value}`);
  if (reading.open.has(value)) return refuse(`the object at ${pathText(path)} contains itself`);
  if (path.length > bounds.nestingMax) return refuse(`more than ${bounds.nestingMax} maps or lists inside each other`);
  if (!Array.isArray(value) && !isPlain(value)) return refuse("expected a plain object");
  reading.open.add(value);
  const node: SourceNode = Array.isArray(value)
    ? { kind: "list", at: null, items: Array.from(value, (item, index) => convert(item, [...path, index], reading)) }
    : { kind: "map", at: null, entries: convertEntries(value, path, reading) };
  reading.open.delete(value);
  return node;
}

function convertEntries(value: object, path: SourcePath, reading: Reading): ReadonlyMap<string, MapEntry> {
  const entries = new Map<string, MapEntry>();
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    if (key === "" || FORBIDDEN_KEYS.has(key)) {
      reading.report.error({ path, at: null, kind: "key", message: `the key ${JSON.stringify(key)} is not allowed` });
      continue;
    }
    entries.set(key, { keyAt: null, keyTextAt: null, node: convert(member, [...path, key], reading) });
  }
  return entries;
}

function isExact(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

/** Objects of literals, of `Object.create(null)` and of another realm (a config module loaded in a vm). */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (typeof prototype === "object" && Object.getPrototypeOf(prototype) === null);
}
