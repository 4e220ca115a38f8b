import { RE2JS } from "re2js";
import { MeterbookError } from "./errors.ts";
import { shown } from "./scalar.ts";

/** A filter that cannot be compiled: a bad regular expression or a value of the wrong kind. */
export class FilterError extends MeterbookError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super("METER_CONFIG_INVALID", message, options);
    this.name = "FilterError";
  }
}

/**
 * A part that may repeat a hundred times or more. What test() builds to be fast would get a state for nearly every letter
 * of such a text, and cost five times as much as the plain search for texts that differ.
 */
const LARGE_REPEAT = /\{\d*,?\d{3,}/;

/** Compiles a regular expression of RE2, which runs in linear time. Throws FilterError. */
export function compileRegex(pattern: string): (text: string) => boolean {
  try {
    const regex = RE2JS.compile(pattern);
    return LARGE_REPEAT.test(pattern) ? (text) => regex.matcher(text).find() : (text) => regex.test(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FilterError(
      `bad regular expression ${shown(pattern)}: ${reason}. RE2 has no lookahead, lookbehind or back-references`,
      { cause: error },
    );
  }
}
