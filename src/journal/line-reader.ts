import { readSync } from "node:fs";

import { LINE_FRAME_BYTES } from "./line.ts";

const BLOCK_BYTES = 256 * 1024;
const NEWLINE = 10;

/** What a reader wants after a line: the next one, or to stop behind it. */
type Onward = boolean;

/** A whole line at block[start, end) without its newline, and its place in the file; `null` block: it is too long. */
export type LineVisitor = (block: Buffer | null, start: number, end: number, offset: number, next: number) => Onward;

/**
 * Reads whole lines of a file block by block. Nothing is kept between two reads: a line that is not whole yet may be
 * taken back by its writer, and is always read anew from its beginning.
 */
export class LineReader {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  readonly #lineBytesMax: number;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax + LINE_FRAME_BYTES;
  }

  /** Visits the lines from `offset` on; answers where the first line begins that was not visited. */
  read(fd: number, offset: number, visit: LineVisitor): number {
    let at = offset;
    for (;;) {
      const block = this.#block;
      const filled = readSync(fd, block, 0, block.length, at);
      let start = 0;
      for (;;) {
        const end = block.indexOf(NEWLINE, start);
        if (end === -1 || end >= filled) break;
        const onward = visit(block, start, end, at + start, at + end + 1);
        start = end + 1;
        if (!onward) return at + start;
      }
      at += start;
      if (start > 0) continue;
      if (filled < block.length) return at;
      if (block.length < this.#lineBytesMax) this.#block = Buffer.allocUnsafeSlow(this.#lineBytesMax);
      else {
        const next = this.#endOfLine(fd, at);
        if (next === null || !visit(null, 0, 0, at, next)) return next ?? at;
        at = next;
      }
    }
  }

  /** Where the line after an overlong one begins; null when the file ends before. */
  #endOfLine(fd: number, offset: number): number | null {
    let at = offset;
    for (;;) {
      const filled = readSync(fd, this.#block, 0, this.#block.length, at);
      if (filled === 0) return null;
      const end = this.#block.subarray(0, filled).indexOf(NEWLINE);
      if (end !== -1) return at + end + 1;
      at += filled;
    }
  }
}
