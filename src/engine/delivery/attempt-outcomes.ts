import type { RowHistory } from "../ports.ts";

/**
 * Whether any of a report's calls, `attempts` in number, may have been counted by the biller, by the lines of its history: a
 * call without a clear answer, or one that was taken. A refusal, a key that was not let in, and the biller's later rejection
 * say that it was not. Of calls whose lines are gone nothing is known.
 */
export function mayHaveCounted(history: readonly RowHistory[], attempts: number): boolean {
  const calls = history.filter(({ what, to }) => what === "attempt" && to !== "stopped");
  let may = calls.length < attempts;
  for (const { what, to, author } of history) {
    if (what === "attempt") may ||= to === null || !NOT_COUNTED.includes(to);
    else if (author === "webhook" && to === "dead") may = false;
  }
  return may;
}

const NOT_COUNTED: readonly string[] = ["dead", "stopped"];

/** The history before its last call. */
export function beforeLastAttempt(history: readonly RowHistory[]): readonly RowHistory[] {
  return history.slice(
    0,
    Math.max(
      0,
      history.findLastIndex(({ what }) => what === "attempt"),
    ),
  );
}
