/** True for what can be waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/**
 * Hears the rejection of a promise that nobody waits for; unheard it would end the process. For what is no promise it does
 * nothing.
 */
export function hearRejection(answer: unknown, hear: (error: unknown) => void = () => undefined): void {
  if (isPromise(answer)) Promise.resolve(answer).then(undefined, hear);
}
