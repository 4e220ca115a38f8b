import type { Settings } from "../config/settings.ts";
import type { Backend } from "../server/backend.ts";
import { OPERATIONS, type Operation, type OperationName } from "./operations.ts";

/** Answers one call of the Backend, wherever its operation runs. */
export type CallMaker = (
  name: OperationName,
  operation: Operation<OperationName>,
  argument: unknown,
) => Promise<unknown>;

/** The Backend whose every method is a call: one table says which there are. */
export function backendOf(settings: () => Settings, make: CallMaker): Backend {
  const calls = Object.entries(OPERATIONS).map(([name, operation]) => [
    name,
    // A call that cannot even begin fails as one that was begun.
    async (argument: unknown) => make(name as OperationName, operation as Operation<OperationName>, argument),
  ]);
  const backend: object = Object.defineProperty(Object.fromEntries(calls), "settings", { get: settings });
  // The methods come from a table that has all names of the Backend, each with its types.
  return backend as Backend;
}
