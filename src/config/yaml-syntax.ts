import { isScalar, visit, type Document, type ErrorCode, type LineCounter, type YAMLError } from "yaml";

import { bounds } from "./bounds.ts";
import type { Report } from "./report.ts";
import type { Position } from "./source.ts";

/** Faults that stand for themselves; of the others all but the first follow from it. */
const INDEPENDENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TAB_AS_INDENT",
  "BAD_ALIAS",
  "BAD_DIRECTIVE",
  "BAD_DQ_ESCAPE",
  "MULTIPLE_ANCHORS",
  "TAG_RESOLVE_FAILED",
]);

/** Reports what the YAML parser complains of: the first fault and the independent ones, at most one a line. */
export function reportSyntax(document: Document, text: string, lines: LineCounter, report: Report): void {
  const faults = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  const seen = new Set<number>();
  for (const [index, fault] of faults.slice(0, bounds.problemsMax).entries()) {
    const at = positionOf(lines, offsetOf(fault, document, text));
    if ((index > 0 && !INDEPENDENT.has(fault.code)) || seen.has(at.line)) continue;
    seen.add(at.line);
    report.error({ path: [], at, kind: "syntax", message: messageOf(fault) });
  }
}

/** Line and column of an offset, both from 1. */
export function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Where a person looks for the fault: at the quote that opens, at the first letter of a badly indented line. */
function offsetOf(fault: YAMLError, document: Document, text: string): number {
  const [offset] = fault.pos;
  if (fault.code === "BAD_INDENT")
    return offset + (/^[ \t]*/.exec(text.slice(offset, offset + 1_000))?.[0].length ?? 0);
  if (!isOpenQuote(fault)) return offset;
  let opened = offset;
  visit(document, {
    Scalar: (_key, node) => {
      const isQuoted = node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE";
      if (isScalar(node) && isQuoted && node.range && node.range[0] <= offset && node.range[2] >= offset)
        opened = node.range[0];
    },
  });
  return opened;
}

function isOpenQuote(fault: YAMLError): boolean {
  return fault.code === "MISSING_CHAR" && /closing .quote/.test(fault.message);
}

const WORDS: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: "a tab stands in the indentation; YAML wants spaces",
  MULTIPLE_DOCS: "the file holds several documents (a line with ---); only one is read",
  BLOCK_AS_IMPLICIT_KEY: "a second `key: value` stands on this line, or the indentation is wrong",
  RESOURCE_EXHAUSTION: `more than ${bounds.nestingMax} maps or lists inside each other`,
};

/** The parser's own words, except where they speak to programmers. */
function messageOf(fault: YAMLError): string {
  const { code, message } = fault;
  if (isOpenQuote(fault)) return "the text in quotes does not end";
  if (code === "TAG_RESOLVE_FAILED") return `tags are not supported (${message})`;
  if (message.startsWith("All mapping items")) return "this line is indented differently from the lines it belongs to";
  if (message.endsWith("at node end")) return "inside { } and [ ], text with any of [ ] { } , must be quoted";
  return WORDS[code] ?? message;
}
