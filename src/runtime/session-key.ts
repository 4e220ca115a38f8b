import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { systemRandom } from "./system.ts";

const KEY_BYTES = 32;

/** The key of session hashes, kept beside the journals so that a session has one hash in every process and after a restart. */
export function sessionKey(root: string): Uint8Array {
  const path = join(root, "session.key");
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    writeFileSync(path, Buffer.from(systemRandom(KEY_BYTES)).toString("hex"), { flag: "wx", mode: 0o600 });
  } catch {
    // It is there already, or the disk refuses: then reading says which.
  }
  try {
    const key = Buffer.from(readFileSync(path, "utf8"), "hex");
    if (key.length === KEY_BYTES) return key;
  } catch {
    // A disk without a key file still meters; its hashes last as long as the process.
  }
  return systemRandom(KEY_BYTES);
}
