/** Where something stands in the text: both count from 1, columns in UTF-16 units as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Keys and list indexes from the root. */
export type SourcePath = readonly (string | number)[];

export interface MapEntry {
  readonly keyAt: Position | null;
  /** Where the key's first character stands, if its characters follow each other in the text. */
  readonly keyTextAt: Position | null;
  readonly node: SourceNode;
}

interface MapNode {
  readonly kind: "map";
  readonly at: Position | null;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

interface ListNode {
  readonly kind: "list";
  readonly at: Position | null;
  readonly items: readonly SourceNode[];
}

export interface ScalarNode {
  readonly kind: "scalar";
  readonly at: Position | null;
  readonly value: string | number | boolean | null;
  /** As the author wrote it, before `${VAR}` was replaced: the only form that a message may show. */
  readonly written: string;
  /** Where the value's first character stands, if its characters follow each other in the text; an offset then is a column. */
  readonly textAt: Position | null;
  /** Whether a `${VAR}` was replaced in it. */
  readonly substituted: boolean;
}

/** Stands where something was already reported, so that nothing else is said about it. */
interface BrokenNode {
  readonly kind: "broken";
  readonly at: Position | null;
}

/** A configuration as a tree that knows where each part stands; YAML, JSON and objects all become this. */
export type SourceNode = MapNode | ListNode | ScalarNode | BrokenNode;

/** Key names that reach into an object's prototype; refused wherever they are keys. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** The tree as plain values, for schema validation. Broken parts are left out. */
export function plainValue(node: SourceNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plainValue);
  if (node.kind === "broken") return undefined;
  const plain: Record<string, unknown> = {};
  for (const [key, entry] of node.entries) if (entry.node.kind !== "broken") plain[key] = plainValue(entry.node);
  return plain;
}

/** The tree with each scalar replaced; `change` also learns the way to it. */
export function mapScalars(
  node: SourceNode,
  change: (scalar: ScalarNode, path: SourcePath) => SourceNode,
  path: SourcePath = [],
): SourceNode {
  if (node.kind === "scalar") return change(node, path);
  if (node.kind === "list")
    return { ...node, items: node.items.map((item, index) => mapScalars(item, change, [...path, index])) };
  if (node.kind === "broken") return node;
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of node.entries)
    entries.set(key, { ...entry, node: mapScalars(entry.node, change, [...path, key]) });
  return { ...node, entries };
}

/** What stands directly under a key or index; null when nothing does. */
export function childOf(node: SourceNode, step: string | number): SourceNode | null {
  if (node.kind === "map") return node.entries.get(`${step}`)?.node ?? null;
  if (node.kind === "list" && typeof step === "number") return node.items[step] ?? null;
  return null;
}

/** `meters.chat_tokens.match["response.status"].gte`, `plans.test_plan.prices[0].meter`; empty for the root. */
export function pathText(path: SourcePath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z_$][\w$-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}
