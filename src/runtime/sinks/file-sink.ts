import { mkdir, open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

import { sentenceOf } from "../../core/errors.ts";
import { limits } from "../../engine/limits.ts";
import type { RecordSink, SinkAnswer } from "../../engine/ports.ts";
import { recordCsvHead, recordCsvLine } from "./record-csv.ts";

/** What a file sink is made of. */
export interface FileSinkOptions {
  readonly name: string;
  readonly path: string;
  readonly format: "ndjson" | "csv";
}

/**
 * Appends each record as a line and syncs it. A line that a crash cut off is taken away before the next one, and a record
 * that was written just before a crash is not written again: its id stands in the end of the file. One process at a time
 * writes to it, which the sink's lease sees to.
 */
export function fileSink({ name, path, format }: FileSinkOptions): RecordSink {
  return {
    name,
    async emit({ id, text }): Promise<SinkAnswer> {
      try {
        await mkdir(dirname(path), { recursive: true });
        const file = await open(path, "a+", FILE_MODE);
        try {
          await append(file, format, id, text);
          await syncName(path);
        } finally {
          await file.close();
        }
        return { kind: "taken" };
      } catch (error) {
        return { kind: "failed", reason: sentenceOf(error) };
      }
    },
  };
}

/** A synced file whose name in its folder was never synced cannot be found after a power cut. */
async function syncName(path: string): Promise<void> {
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Figures of customers are for the owner alone. */
const FILE_MODE = 0o600;

async function append(file: FileHandle, format: FileSinkOptions["format"], id: string, text: string): Promise<void> {
  const { whole, half, size } = await endOf(file);
  // The id is followed by what ends a JSON text or a cell; in no other place does one stand so.
  const isThere = whole.includes(format === "csv" ? `\n${id},` : `{"id":"${id}"`);
  const kept = size - half;
  if (half > 0 && (await file.stat()).size === size) await file.truncate(kept);
  if (isThere) return;
  const head = format === "csv" && kept === 0 ? `${recordCsvHead()}\n` : "";
  const line = format === "csv" ? recordCsvLine(text) : text;
  await file.appendFile(`${head}${line}\n`);
  await file.datasync();
}

/** The whole lines at the end of a file, and how many bytes of a line without an end stand behind them. */
async function endOf(
  file: FileHandle,
): Promise<{ readonly whole: string; readonly half: number; readonly size: number }> {
  const { size } = await file.stat();
  for (let bytes = limits.sinkTailBytesMax; ; bytes *= 2) {
    const length = Math.min(size, bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const tail = buffer.subarray(0, bytesRead);
    const end = tail.lastIndexOf("\n") + 1;
    if (end > 0 || length === size) return { whole: tail.toString("utf8", 0, end), half: bytesRead - end, size };
  }
}
