/** What an event has (event.ts): root → its members, or `any` where they are the application's own, or `none` for single values. */
export const EVENT_ROOTS: ReadonlyMap<string, readonly string[] | "any" | "none"> = new Map<
  string,
  readonly string[] | "any" | "none"
>([
  ["request", ["method", "path", "route", "headers", "query", "params", "body"]],
  ["response", ["status", "headers", "body"]],
  ["metadata", "any"],
  ["values", "any"],
  ["fields", "any"],
  ["data", "any"],
  ["attributes", "any"],
  ["subject", "none"],
  ["type", "none"],
  ["action", "none"],
  ["company", "none"],
  ["user", "none"],
  ["durationMs", "none"],
  ["aborted", "none"],
  ["apiVersion", "none"],
]);
