import { cleanText, sortProblems, type Problem } from "./problem.ts";
import { bounds } from "./bounds.ts";
import { pathText, type Position, type SourceNode, type SourcePath } from "./source.ts";

/** What a rule says about a place. */
export interface Remark {
  readonly path: SourcePath;
  readonly at: Position | null;
  readonly kind?: Problem["kind"];
  readonly message: string;
  /** The node whose written form is shown as received. */
  readonly received?: SourceNode;
  readonly suggestion?: string | undefined;
}

/** Collects what the rules find, in any order. */
export interface Report {
  error(remark: Remark): void;
  warn(remark: Remark): void;
  hasErrors(): boolean;
  /** Sorted by position and bounded. */
  problems(severity: Problem["severity"]): readonly Problem[];
}

export function createReport(file: string | null): Report {
  const found: Problem[] = [];
  return {
    error: (remark) => void found.push(problemOf(file, "error", remark)),
    warn: (remark) => void found.push(problemOf(file, "warning", remark)),
    hasErrors: () => found.some((problem) => problem.severity === "error"),
    problems: (severity) =>
      sortProblems(found.filter((problem) => problem.severity === severity)).slice(0, bounds.problemsMax),
  };
}

/** What stands at a node, in words that a message may show; secrets from the environment stay `${VAR}`. */
export function receivedText(node: SourceNode): string | undefined {
  if (node.kind === "map") return "a map";
  if (node.kind === "list") return "a list";
  if (node.kind === "broken") return undefined;
  return node.value === null ? "nothing" : cleanText(node.written);
}

function problemOf(file: string | null, severity: Problem["severity"], remark: Remark): Problem {
  const received = remark.received === undefined ? undefined : receivedText(remark.received);
  return {
    file,
    line: remark.at?.line ?? null,
    column: remark.at?.column ?? null,
    path: cleanText(pathText(remark.path)),
    kind: remark.kind ?? "value",
    message: cleanText(remark.message),
    ...(received === undefined ? {} : { received }),
    ...(remark.suggestion === undefined ? {} : { suggestion: cleanText(remark.suggestion) }),
    severity,
  };
}
