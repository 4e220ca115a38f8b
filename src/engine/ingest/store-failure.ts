import { isMeterbookError } from "../../core/errors.ts";

/** Whether a failure of taking events concerns all of them: the store's or the catalog's own. A value that a column refuses is one event's. */
export function concernsAll(error: unknown): boolean {
  if (!isMeterbookError(error)) return false;
  const { cause } = error;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  return !code.startsWith("SQLITE_CONSTRAINT");
}
