import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { onTestFinished } from "vitest";

/** A directory of a test's own. */
export function journalFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-client-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writers whose lines stand in a client's journal. */
export function writersIn(folder: string): readonly string[] {
  const root = join(folder, "outgoing");
  return existsSync(root) ? readdirSync(root).filter((name) => name !== "quarantine") : [];
}

/** What the service refused for good. */
export function refusedIn(
  folder: string,
): readonly { readonly code: string; readonly event: { readonly id: string } }[] {
  const file = join(folder, "refused.ndjson");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
