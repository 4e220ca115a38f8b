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
 * Appends each record as a line and syncs it. A line that a crash cut off is closed before the next one, and a record that
 * was written just before a crash is not written again: its id stands in the end of the file.
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
  const { size } = await file.stat();
  const length = Math.min(size, limits.sinkTailBytesMax);
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
  const tail = buffer.toString("utf8");
  const isWhole = tail === "" || tail.endsWith("\n");
  const whole = isWhole ? tail : tail.slice(0, tail.lastIndexOf("\n") + 1);
  // The id is followed by what ends a JSON text or a cell; in no other place does one stand so.
  const isThere = whole.includes(format === "csv" ? `\n${id},` : `{"id":"${id}"`);
  if (isThere) return;
  const head = format === "csv" && size === 0 ? `${recordCsvHead()}\n` : "";
  const line = format === "csv" ? recordCsvLine(text) : text;
  await file.appendFile(`${isWhole ? "" : "\n"}${head}${line}\n`);
  await file.datasync();
}
