import { bounds } from "./bounds.ts";
import { withoutStripeKeys } from "./stripe-key.ts";

/** A mistake in a configuration, or (severity `warning`) something that works and is probably not meant. */
export interface Problem {
  /** As it was given to the reader; null for an object without a file. */
  readonly file: string | null;
  /** From 1; null where the place is not known (objects). */
  readonly line: number | null;
  /** From 1, in UTF-16 units; null where the place is not known. */
  readonly column: number | null;
  /** `meters.chat_tokens.aggregate`; empty for the file as a whole and for syntax. */
  readonly path: string;
  /** What a `key` or `syntax` message says already names its place; a `value` message is printed after its path. */
  readonly kind: "value" | "key" | "syntax";
  readonly message: string;
  /** What was found there, as it is written in the file: a secret from the environment never appears here. */
  readonly received?: string;
  /** What to write instead. */
  readonly suggestion?: string;
  readonly severity: "error" | "warning";
}

/**
 * One line for people, without a line break at its end:
 * `meterbook.yaml:22:16  meters.chat_tokens.aggregate: expected one of "count"|"sum"  Did you mean "sum"?`
 */
export function formatProblem(problem: Problem): string {
  return `${placeOf(problem)}  ${sentenceOf(problem)}`;
}

/** Several problems as lines, their sentences beginning in one column. */
export function formatProblems(problems: readonly Problem[]): string {
  const width = problems.reduce((widest, problem) => Math.max(widest, placeOf(problem).length), 0);
  return problems.map((problem) => `${placeOf(problem).padEnd(width)}  ${sentenceOf(problem)}`).join("\n");
}

/** By line and column; what has no place comes first, in the order it was found. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** Text from a file or a library made fit for one line: no control characters, no Stripe key, bounded. */
export function cleanText(text: string): string {
  const line = withoutStripeKeys(text.slice(0, 4 * bounds.messageLengthMax)).replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");
  return line.length > bounds.messageLengthMax ? `${line.slice(0, bounds.messageLengthMax - 1)}…` : line;
}

function placeOf(problem: Problem): string {
  const file = problem.file ?? "configuration";
  return problem.line === null ? file : `${file}:${problem.line}:${problem.column ?? 1}`;
}

function sentenceOf(problem: Problem): string {
  const warning = problem.severity === "warning" ? "warning: " : "";
  const path = problem.kind === "value" && problem.path !== "" ? `${problem.path}: ` : "";
  return `${warning}${path}${problem.message}${endOf(problem)}`;
}

function endOf(problem: Problem): string {
  if (problem.suggestion !== undefined) return `  Did you mean "${problem.suggestion}"?`;
  return problem.received === undefined ? "" : `, received ${problem.received}`;
}
