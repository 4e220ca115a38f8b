import { crc32 } from "node:zlib";

import type { JournalEntry } from "../core/event.ts";

/** Bytes of a line around its JSON: eight hex digits, a blank and the newline. */
export const LINE_FRAME_BYTES = 10;

const NEWLINE = 10;
const BLANK = 32;
const HEX_DIGITS = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const HEX_VALUES = new Int8Array(256).fill(-1);
HEX_DIGITS.forEach((code, value) => (HEX_VALUES[code] = value));

/** Writes lines into one buffer that is used again and again: appending makes no garbage. */
export class LineEncoder {
  /** The last encoded line; valid until the next call of `encode`. */
  buffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

  /** Puts `<crc> <json>\n` at the start of `buffer`; answers its length in bytes. */
  encode(json: string): number {
    // A newline between tokens is the only raw newline JSON allows, and a blank says the same there.
    const text = json.includes("\n") ? json.replaceAll("\n", " ") : json;
    const bytesMax = text.length * 3 + LINE_FRAME_BYTES;
    if (bytesMax > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(bytesMax * 2);
    const { buffer } = this;
    const end = 9 + buffer.write(text, 9, "utf8");
    const sum = crc32(buffer.subarray(9, end));
    for (let digit = 0; digit < 8; digit++) buffer[digit] = HEX_DIGITS[(sum >>> (28 - digit * 4)) & 15] ?? 0;
    buffer[8] = BLANK;
    buffer[end] = NEWLINE;
    return end + 1;
  }
}

/** Reads the line at [start, end) without its newline; null when it is not a whole line of this format. */
export function parseLine(block: Buffer, start: number, end: number): JournalEntry | null {
  if (end - start <= 9 || block[start + 8] !== BLANK) return null;
  let stated = 0;
  for (let digit = 0; digit < 8; digit++) {
    const value = HEX_VALUES[block[start + digit] ?? 0] ?? -1;
    if (value < 0) return null;
    stated = (stated << 4) | value;
  }
  if (crc32(block.subarray(start + 9, end)) !== stated >>> 0) return null;
  try {
    const entry: unknown = JSON.parse(block.toString("utf8", start + 9, end));
    return isEntry(entry) ? entry : null;
  } catch {
    return null;
  }
}

/** True for the shape that the engine relies on; what stands inside an event is the engine's to judge. */
export function isEntry(entry: unknown): entry is JournalEntry {
  if (!isRecord(entry)) return false;
  if (entry["kind"] === "event") return isIdentified(entry["event"]) && Array.isArray(entry["open"]);
  return entry["kind"] === "amendment" && isIdentified(entry["amendment"]);
}

function isIdentified(fact: unknown): boolean {
  return isRecord(fact) && typeof fact["source"] === "string" && typeof fact["id"] === "string";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
