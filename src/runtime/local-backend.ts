import type { Backend } from "../server/backend.ts";
import { backendOf } from "./backend-calls.ts";
import type { WriterHost } from "./host.ts";
import { runOperation } from "./operations.ts";

/** The Backend on this thread: for commands, and for tests that need no threads. */
export function localBackend(host: WriterHost): Backend {
  return backendOf(
    () => host.settings,
    (name, _operation, argument) => runOperation(host, name, argument),
  );
}
