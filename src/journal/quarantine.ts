import { closeSync, fdatasyncSync, mkdirSync, openSync, readSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

/** The folder under the journal root that keeps damaged bytes. */
const QUARANTINE = "quarantine";

/** Bytes [start, end) of a segment that are no whole lines. */
export interface Damage {
  readonly start: number;
  readonly end: number;
}

/** Where the bytes of a damage are kept: the name says which writer, segment and offset they come from. */
export function quarantinePath(root: string, writer: string, segment: number, start: number): string {
  return join(root, QUARANTINE, `${writer}-${segment}-${start}.bytes`);
}

/**
 * Copies damaged bytes from an open segment to `path`, in one step. False when they are kept there already, from
 * another run or by another reader. Throws what the file system throws.
 */
export function quarantine(fd: number, damage: Damage, path: string): boolean {
  const length = damage.end - damage.start;
  const kept = statSync(path, { throwIfNoEntry: false });
  if (kept !== undefined && kept.size >= length) return false;
  mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  const copy = openSync(draft, "w", 0o600);
  try {
    const block = Buffer.allocUnsafe(Math.min(length, 256 * 1024));
    let at = damage.start;
    while (at < damage.end) {
      const read = readSync(fd, block, 0, Math.min(block.length, damage.end - at), at);
      if (read === 0) break;
      for (let put = 0; put < read;) put += writeSync(copy, block, put, read - put);
      at += read;
    }
    // The segment may be deleted next.
    fdatasyncSync(copy);
  } finally {
    closeSync(copy);
  }
  renameSync(draft, path);
  return true;
}
