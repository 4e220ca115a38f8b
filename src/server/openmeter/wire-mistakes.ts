import { isMeterbookError, MeterbookError } from "../../core/errors.ts";

/** A place in a call that is wrong: a JSON pointer into its body, or the name of a query parameter behind a slash. */
export interface Mistake {
  readonly pointer: string;
  readonly message: string;
}

/** The failure of a call with these mistakes; at least one. */
export function refusal(mistakes: readonly Mistake[]): MeterbookError {
  const sentence = mistakes.map(({ pointer, message }) => `${pointer.slice(1) || "the body"}: ${message}`).join("; ");
  return new MeterbookError("METER_REQUEST_INVALID", `${sentence}.`, { mistakes });
}

/** Native member → the name that this wire has for it. */
export type WireNames = Readonly<Record<string, string>>;

/**
 * Makes a call of the engine, and says its mistakes in the words of the wire: whoever sent `valueProperty` has never heard
 * of `value`.
 */
export async function inWireWords<Result>(names: WireNames, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!isMeterbookError(error) || error.mistakes.length === 0) throw error;
    const mistakes = error.mistakes.map(({ pointer, message }) => ({ pointer: renamed(names, pointer), message }));
    throw new MeterbookError(error.code, error.message, {
      cause: error,
      mistakes,
      ...(error.remedy === null ? {} : { remedy: error.remedy }),
    });
  }
}

function renamed(names: WireNames, pointer: string): string {
  const [first = "", ...rest] = pointer.split("/").slice(1);
  const name = Object.hasOwn(names, first) ? names[first] : first;
  return `/${[name, ...rest].join("/")}`;
}

/** One step of a JSON pointer (RFC 6901 section 3). */
export function pointerStep(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
