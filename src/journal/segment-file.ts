import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** The active segment of a writer. `bytes` is the length of what was written whole. */
export interface SegmentFile {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  readonly inode: number;
  readonly headerBytes: number;
  bytes: number;
}

/** How a line failed: `torn` when part of it may stand in the file, which must then not be written to again. */
export interface WriteFailure {
  readonly cause: unknown;
  readonly torn: boolean;
}

const SEGMENT_NAME = /^(\d{8,12})\.(journal|adopted)$/;

/** The first line of a segment, newline included. */
export function segmentHeader(writer: string): string {
  return `meterbook-journal 1 ${writer}\n`;
}

/** A segment's file name; `adopted` is the name that a reader gives to a silent writer's last segment. */
export function segmentName(number: number, ending: "journal" | "adopted" | "parted"): string {
  return `${String(number).padStart(8, "0")}.${ending}`;
}

/** The number in a segment's file name, and whether it was adopted; null for other files. */
export function segmentNumber(name: string): { readonly number: number; readonly adopted: boolean } | null {
  const match = SEGMENT_NAME.exec(name);
  return match === null ? null : { number: Number(match[1]), adopted: match[2] === "adopted" };
}

/**
 * Makes a segment (mode 0600) with its header and, where given, the lines of another segment, which may have lost its
 * name. It gets its own name only when it is whole: from then on the segment before it is taken for complete by readers.
 * Throws what the file system throws, and leaves nothing behind.
 */
export function createSegment(
  folder: string,
  number: number,
  writer: string,
  linesOf: SegmentFile | null,
): SegmentFile {
  const path = join(folder, segmentName(number, "journal"));
  const draft = `${path}.new`;
  const fd = openSync(draft, "a+", 0o600);
  try {
    ftruncateSync(fd, 0);
    const header = Buffer.from(segmentHeader(writer), "latin1");
    writeAll(fd, header, header.length);
    const bytes = header.length + (linesOf === null ? 0 : copyLines(linesOf, fd));
    const inode = fstatSync(fd).ino;
    renameSync(draft, path);
    return { number, path, fd, inode, headerBytes: header.length, bytes };
  } catch (cause) {
    discard(fd, draft);
    throw cause;
  }
}

/** Appends the first `length` bytes of `buffer` as a whole, or undoes what was written of them. */
export function appendWhole(segment: SegmentFile, buffer: Buffer, length: number): WriteFailure | null {
  try {
    writeAll(segment.fd, buffer, length);
  } catch (cause) {
    return { cause, torn: !cutBack(segment, segment.bytes) };
  }
  segment.bytes += length;
  return null;
}

/** Cuts the file to `bytes`; false when that failed. */
export function cutBack(segment: SegmentFile, bytes: number): boolean {
  try {
    ftruncateSync(segment.fd, bytes);
    segment.bytes = bytes;
    return true;
  } catch {
    return false;
  }
}

/** False when the segment's path leads nowhere, to another file, or cannot be followed: somebody adopted or removed it. */
export function standsAtItsPath(segment: SegmentFile): boolean {
  try {
    return statSync(segment.path).ino === segment.inode;
  } catch {
    return false;
  }
}

function copyLines(from: SegmentFile, target: number): number {
  const block = Buffer.allocUnsafe(256 * 1024);
  let at = from.headerBytes;
  while (at < from.bytes) {
    const read = readSync(from.fd, block, 0, Math.min(block.length, from.bytes - at), at);
    if (read === 0) break;
    writeAll(target, block, read);
    at += read;
  }
  return at - from.headerBytes;
}

function discard(fd: number, path: string): void {
  for (const step of [() => closeSync(fd), () => unlinkSync(path)]) {
    try {
      step();
    } catch {
      // A draft that stays is removed with the writer's folder.
    }
  }
}

function writeAll(fd: number, buffer: Buffer, length: number): void {
  let written = 0;
  while (written < length) written += writeSync(fd, buffer, written, length - written);
}
