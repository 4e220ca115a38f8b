import { shifted } from "./environment.ts";
import { receivedText, type Remark, type Report } from "./report.ts";
import type { MapEntry, Position, SourceNode, SourcePath } from "./source.ts";

/** What a rule may add to a message about a place. */
export interface RemarkOptions {
  /** Point at the key instead of the value. */
  readonly onKey?: boolean;
  /** Character of the text (or key) that the message is about. */
  readonly offset?: number | undefined;
  readonly suggestion?: string | undefined;
  /** Show what stands there. */
  readonly showReceived?: boolean;
  readonly kind?: "key";
}

/** A node with the way to it: what rules read, and what their messages point at. Wrong shapes read as absent. */
export interface Place {
  readonly path: SourcePath;
  readonly node: SourceNode;
  /** Last step of the path as text: the key of a map entry. */
  readonly key: string;
  child(step: string | number): Place | null;
  /** Entries of a map or items of a list; none for anything else. */
  children(): readonly Place[];
  has(key: string): boolean;
  /** The text of a text scalar; null otherwise. */
  text(): string | null;
  /** What stands here in words for a message: texts in quotes, secrets still `${VAR}`. */
  shown(): string;
  error(message: string, options?: RemarkOptions): void;
  warn(message: string, options?: RemarkOptions): void;
}

export function rootPlace(root: SourceNode, report: Report): Place {
  return placeOf(root, [], null, report);
}

/** A place further down; null when the path leads nowhere. */
export function placeAt(root: Place, ...steps: readonly (string | number)[]): Place | null {
  return steps.reduce<Place | null>((place, step) => place?.child(step) ?? null, root);
}

function placeOf(node: SourceNode, path: SourcePath, entry: MapEntry | null, report: Report): Place {
  const child = (step: string | number): Place | null => {
    if (node.kind === "map") {
      const found = node.entries.get(`${step}`);
      return found === undefined ? null : placeOf(found.node, [...path, step], found, report);
    }
    const item = node.kind === "list" && typeof step === "number" ? node.items[step] : undefined;
    return item === undefined ? null : placeOf(item, [...path, step], null, report);
  };
  const remark = (message: string, options: RemarkOptions): Remark => ({
    path,
    at: positionOf(node, entry, options),
    message: withoutSubstituted(message, node),
    // A suggestion is made from what stands there, which may be a secret from the environment.
    suggestion: node.kind === "scalar" && node.substituted ? undefined : options.suggestion,
    ...(options.showReceived === true ? { received: node } : {}),
    ...(options.kind === undefined ? {} : { kind: options.kind }),
  });
  return {
    path,
    node,
    key: `${path.at(-1) ?? ""}`,
    child,
    children: () => stepsOf(node).flatMap((step) => child(step) ?? []),
    has: (key) => node.kind === "map" && node.entries.has(key),
    text: () => (node.kind === "scalar" && typeof node.value === "string" ? node.value : null),
    shown: () => receivedText(node) ?? "something else",
    error: (message, options = {}) => report.error(remark(message, options)),
    warn: (message, options = {}) => report.warn(remark(message, options)),
  };
}

function stepsOf(node: SourceNode): readonly (string | number)[] {
  if (node.kind === "map") return [...node.entries.keys()];
  return node.kind === "list" ? [...node.items.keys()] : [];
}

function withoutSubstituted(message: string, node: SourceNode): string {
  if (node.kind !== "scalar" || !node.substituted || typeof node.value !== "string" || node.value === "")
    return message;
  return message.replaceAll(node.value, node.written.slice(1, -1));
}

function positionOf(node: SourceNode, entry: MapEntry | null, options: RemarkOptions): Position | null {
  const { offset } = options;
  if (options.onKey === true && entry !== null) {
    if (offset === undefined || entry.keyTextAt === null) return entry.keyAt;
    return { line: entry.keyTextAt.line, column: entry.keyTextAt.column + offset };
  }
  return offset === undefined || node.kind !== "scalar" ? node.at : shifted(node, offset);
}
