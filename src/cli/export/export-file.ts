import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import { openParquetFile } from "../../runtime/parquet-file.ts";
import { csvLine, safeText } from "../../core/csv-text.ts";
import { giveName, refuseExisting } from "../file-name.ts";
import { instant } from "../output.ts";

/** Forms that usage and events can be written in. */
export const EXPORT_FORMATS = ["csv", "ndjson", "parquet"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** A column: `decimal` is exact text of ours, `instant` milliseconds UTC, `json` a text that is JSON. */
export interface ExportColumn {
  readonly name: string;
  readonly kind: "text" | "decimal" | "whole" | "instant" | "json";
}

/** One row, a cell per column; null = nothing. */
export type ExportRow = readonly (string | number | null)[];

/** A file that grows row by row beside its name, and gets the name when it is whole. */
export interface ExportFile {
  write(rows: readonly ExportRow[]): Promise<void>;
  /** Everything is on the disk, under its name. */
  finish(): Promise<void>;
  /** Leaves nothing behind, unless it was finished. */
  abandon(): void;
}

/** METER_COMMAND_INVALID for a file that is there, unless it may be replaced, and for a folder that cannot be written. */
export async function openExportFile(options: {
  readonly path: string;
  readonly format: ExportFormat;
  readonly columns: readonly ExportColumn[];
  readonly replace: boolean;
}): Promise<ExportFile> {
  const { format, columns, replace } = options;
  const path = resolve(options.path);
  if (!replace) refuseExisting(path, "Name another one, or replace it with --force.");
  const part = `${path}.${process.pid}.part`;
  const descriptor = openPart(part);
  // A single write() may take a part and say nothing; this goes on until all is taken, or throws.
  const text = (value: string): void => writeFileSync(descriptor, value);
  const parquet = format === "parquet" ? await openParquetFile(part, columns.map(parquetColumn)) : null;
  if (format === "csv") text(`${csvLine(columns.map(({ name }) => name))}\r\n`);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  return {
    write: async (rows) => {
      if (rows.length === 0) return;
      if (parquet !== null) return parquet.write(rows);
      const line = format === "csv" ? csvRow : jsonRow;
      text(rows.map((row) => line(columns, row)).join(""));
    },
    finish: async () => {
      await parquet?.finish();
      fsyncSync(descriptor);
      close();
      giveName(part, path, replace);
    },
    abandon: () => {
      close();
      rmSync(part, { force: true });
    },
  };
}

function openPart(part: string): number {
  try {
    return openSync(part, "wx", 0o600);
  } catch (cause) {
    throw new MeterbookError("METER_COMMAND_INVALID", `${part} cannot be written: ${sentenceOf(cause)}`, {
      cause,
      remedy: "Name a file in a folder that is there and that this user may write.",
    });
  }
}

function parquetColumn({ name, kind }: ExportColumn) {
  return { name, kind: kind === "decimal" || kind === "json" ? ("text" as const) : kind };
}

/** Texts of clients are made harmless for spreadsheets; numbers and instants are ours. */
function csvRow(columns: readonly ExportColumn[], row: ExportRow): string {
  const cells = columns.map(({ kind }, at) => {
    const cell = row[at] ?? null;
    if (cell === null) return "";
    if (kind === "instant") return instant(Number(cell));
    return kind === "text" ? safeText(String(cell)) : String(cell);
  });
  return `${csvLine(cells)}\r\n`;
}

function jsonRow(columns: readonly ExportColumn[], row: ExportRow): string {
  const members = columns.map(({ name, kind }, at) => {
    const cell = row[at] ?? null;
    const shown = kind === "instant" && cell !== null ? instant(Number(cell)) : cell;
    // JSON that is stored is passed on as it is: what it says exactly stays exact.
    const text = kind === "json" && cell !== null ? String(cell) : JSON.stringify(shown);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${members.join(",")}}\n`;
}
