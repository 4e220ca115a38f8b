import type { SchemaElement } from "hyparquet-writer";

/** A column of a Parquet file: text, a whole number, or an instant in milliseconds UTC. Decimals are text: exact, and without bound. */
export interface ParquetColumn {
  readonly name: string;
  readonly kind: "text" | "whole" | "instant";
}

/** One row, a cell per column; null = nothing. */
type ParquetRow = readonly (string | number | null)[];

export interface ParquetFile {
  write(rows: readonly ParquetRow[]): Promise<void>;
  /** Writes what closes the file; it is none before. */
  finish(): Promise<void>;
}

/** Rows, and characters of them, that are kept until they are written together: a reader skips whole groups. */
const GROUP_ROWS = 10_000;
const GROUP_LENGTH = 8 * 1024 * 1024;

const PHYSICAL = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  whole: { type: "INT64" },
  instant: {
    type: "INT64",
    converted_type: "TIMESTAMP_MILLIS",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
  },
} as const satisfies Readonly<Record<ParquetColumn["kind"], Partial<SchemaElement>>>;

/** Writes a Parquet file group by group; the library is loaded by the first one that is wanted. */
export async function openParquetFile(path: string, columns: readonly ParquetColumn[]): Promise<ParquetFile> {
  const { fileWriter, ParquetWriter } = await import("hyparquet-writer");
  const schema: SchemaElement[] = [
    { name: "root", num_children: columns.length },
    ...columns.map(({ name, kind }) => ({ name, repetition_type: "OPTIONAL" as const, ...PHYSICAL[kind] })),
  ];
  const writer = new ParquetWriter({ writer: fileWriter(path), schema, createdBy: "meterbook" });
  let waiting: ParquetRow[] = [];
  let length = 0;
  const writeGroup = async (): Promise<void> => {
    const rows = waiting;
    waiting = [];
    length = 0;
    const columnData = columns.map(({ name, kind }, at) => ({ name, data: rows.map((row) => cell(row[at], kind)) }));
    await writer.write({ columnData, rowGroupSize: Math.max(1, rows.length) });
  };
  return {
    write: async (rows) => {
      for (const row of rows) {
        waiting.push(row);
        for (const value of row) length += typeof value === "string" ? value.length : 0;
        if (waiting.length === GROUP_ROWS || length >= GROUP_LENGTH) await writeGroup();
      }
    },
    finish: async () => {
      if (waiting.length > 0) await writeGroup();
      await writer.finish();
    },
  };
}

function cell(value: string | number | null | undefined, kind: ParquetColumn["kind"]): string | bigint | Date | null {
  if (value === null || value === undefined) return null;
  if (kind === "text") return String(value);
  return kind === "whole" ? BigInt(value) : new Date(Number(value));
}
