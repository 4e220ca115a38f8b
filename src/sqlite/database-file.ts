import { closeSync, existsSync, mkdirSync, openSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

import { MeterbookError } from "../core/errors.ts";
import { owns } from "../core/own-member.ts";
import { fileSystemKind, systemLook } from "./file-system-kind.ts";

/** Makes the folder (0700) and the file (0600) where they are missing; what is there keeps its mode. METER_STORE_UNREADABLE otherwise. */
export function makeDatabaseFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    if (statSync(path).isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The name of a file system on which locks may not be reliable; null when the disk is local or unknown. */
export function networkFileSystem(
  path: string,
  statfs: (path: string) => { type: number } = statfsSync,
): string | null {
  const found = fileSystemKind(path, { ...systemLook, statfs });
  return found.kind === "local" ? null : found.name;
}

/** METER_STORE_UNREADABLE with the reason in words, and what to do about it. */
export function unreadable(path: string, cause: unknown): MeterbookError {
  const code = typeof cause === "object" && cause !== null && owns(cause, "code") ? String(cause.code) : "";
  const known = UNREADABLE.find(([pattern]) => pattern.test(code));
  const reason = known?.[1] ?? (cause instanceof Error ? cause.message : String(cause));
  const remedy = known?.[2] ?? "Check `storage.path`.";
  return new MeterbookError("METER_STORE_UNREADABLE", `The database ${path} cannot be opened: ${reason}.`, {
    cause,
    remedy,
  });
}

const UNREADABLE: readonly (readonly [RegExp, string, string])[] = [
  [/NOTADB/, "it is not an SQLite database", "Point `storage.path` at another file; this one stays as it is."],
  [
    /^FOREIGN_DATABASE$/,
    "it is the database of another program",
    "Point `storage.path` at another file; this one stays as it is.",
  ],
  [/CORRUPT/, "it is damaged", "Restore a backup, or move the file away: journals that still exist are read again."],
  [/EISDIR/, "it is a directory", "Name a file in `storage.path`, such as ./data/meterbook.db."],
  [/ENOTDIR|EEXIST/, "a part of its path is a file, not a directory", "Check `storage.path`."],
  [/EROFS|READONLY/, "the file or its disk is read-only", "Make it writable, or move the database."],
  [/EACCES|EPERM|PERM|AUTH/, "permission is denied", "Give this user the right to write the file and its folder."],
  [/ENOSPC|FULL/, "the disk is full", "Free some space."],
  [/BUSY|LOCKED/, "another program keeps it locked", "Close the other program."],
  [
    /ENOENT|CANTOPEN/,
    "there is no such file, or it may not be opened",
    "Check `storage.path` and the rights of its folder.",
  ],
];
