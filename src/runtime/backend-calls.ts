import type { Settings } from "../config/settings.ts";
import type { Backend } from "../server/backend.ts";
import { operationNamed, operationNames, type AnyOperation } from "./operations.ts";

/** Answers one call of the Backend, wherever its operation runs. */
export type CallMaker = (name: string, operation: AnyOperation, argument: unknown) => Promise<unknown>;

/** The Backend whose every method is a call: one table, which has all names with their types, says which there are. */
export function backendOf(settings: () => Settings, make: CallMaker): Backend {
  const calls = operationNames().map((name): readonly unknown[] => [
    name,
    // A call that cannot even begin fails as one that was begun.
    async (argument: unknown) => make(name, operationNamed(name), argument),
  ]);
  const backend: Backend = Object.fromEntries(calls);
  return Object.defineProperty(backend, "settings", { get: settings });
}
