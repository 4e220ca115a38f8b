import { isMeterbookError, MeterbookError, sentenceOf, type ErrorCode } from "../core/errors.ts";

/** A failure on its way to another thread: classes do not cross, what they say does. */
export interface SentFailure {
  /** Null for a fault of meterbook's own. */
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly remedy: string | null;
  readonly mistakes: MeterbookError["mistakes"];
  readonly stack: string | null;
}

/** What crosses of something that was thrown. */
export function sentFailure(error: unknown): SentFailure {
  const stack = error instanceof Error ? (error.stack ?? null) : null;
  if (!isMeterbookError(error)) return { code: null, message: sentenceOf(error), remedy: null, mistakes: [], stack };
  const { code, message, remedy } = error;
  const mistakes = error.mistakes.map((mistake) => ({ pointer: mistake.pointer, message: mistake.message }));
  return { code, message, remedy, mistakes, stack };
}

/** The error again: a MeterbookError where it was one. */
export function receivedFailure({ code, message, remedy, mistakes, stack }: SentFailure): Error {
  const error =
    code === null
      ? new Error(message)
      : new MeterbookError(code, message, { mistakes, ...(remedy === null ? {} : { remedy }) });
  if (stack !== null) error.stack = stack;
  return error;
}
