import { closeSync, fdatasyncSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { RejectedError, type MeterbookClientError } from "../client-error.ts";
import type { SentEvent } from "../sent-event.ts";

/** Adds an event that the service refused for good, with the reason, to `refused.ndjson`: one JSON object a line. Throws what the disk says. */
export function writeSetAside(directory: string, event: SentEvent, error: MeterbookClientError): void {
  const problems = error instanceof RejectedError ? error.problems : [];
  const line = JSON.stringify({ code: error.code, message: error.message, problems, event });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = openSync(join(directory, "refused.ndjson"), "a", 0o600);
  try {
    writeFileSync(file, `${line}\n`);
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}
