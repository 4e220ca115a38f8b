import { csvLine, safeText } from "../../core/csv-text.ts";
import type { FinalRecord } from "../../engine/periods/final-records.ts";

const COLUMNS = [
  "id",
  "kind",
  "userId",
  "meterTypeName",
  "meterKey",
  "category",
  "unit",
  "aggregation",
  "value",
  "records",
  "periodStart",
  "periodEnd",
  "timezone",
  "revision",
  "corrects",
  "previousValue",
  "createdAt",
  "updatedAt",
  "meterId",
  "meterTypeId",
  "deleteOnReset",
  "capacity",
  "thresholds",
  "groups",
  "carryFirst",
  "carryLast",
  "metadata",
] as const satisfies readonly (keyof FinalRecord)[];

/** The first line of a CSV file of records. */
export function recordCsvHead(): string {
  return csvLine(COLUMNS);
}

/** A record as a CSV line: what has parts is JSON in its cell, and a text that a spreadsheet would calculate is none. */
export function recordCsvLine(text: string): string {
  const record: FinalRecord = JSON.parse(text);
  return csvLine(COLUMNS.map((column) => cellOf(record[column])));
}

function cellOf(value: FinalRecord[keyof FinalRecord]): string {
  if (value === null) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "object") return JSON.stringify(value);
  // Numbers of ours stay as they are.
  return /^-?\d+(?:\.\d+)?$/.test(value) ? value : safeText(value);
}
