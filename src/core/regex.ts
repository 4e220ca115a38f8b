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

/** Compiles a regular expression of RE2, which runs in linear time. Throws FilterError. */
export function compileRegex(pattern: string): (text: string) => boolean {
  try {
    const regex = RE2JS.compile(pattern);
    return (text) => regex.test(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FilterError(
      `bad regular expression ${shown(pattern)}: ${reason}. RE2 has no lookahead, lookbehind or back-references`,
      { cause: error },
    );
  }
}
