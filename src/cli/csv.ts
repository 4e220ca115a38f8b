import { MeterbookError } from "../core/errors.ts";

/** A record of a CSV file and the line on which it begins, from 1. */
export interface CsvRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

const CELL = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;

/**
 * The records of a CSV text: RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), lines ended by CRLF or LF, a byte order
 * mark allowed, empty lines left out. Throws METER_COMMAND_INVALID with the line of the first mistake.
 */
export function readCsv(text: string): readonly CsvRecord[] {
  const records: CsvRecord[] = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const begin = line;
    const cells: string[] = [];
    for (;;) {
      CELL.lastIndex = at;
      const [whole = "", quoted, plain = ""] = CELL.exec(text) ?? [];
      at += whole.length;
      line += whole.split("\n").length - 1;
      cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (text[at] !== ",") break;
      at += 1;
    }
    const end = /\r?\n|$/y;
    end.lastIndex = at;
    const found = end.exec(text)?.[0];
    if (found === undefined) throw mistake(line, "a quote stands where none can, or one is not closed");
    at += found.length;
    line += found === "" ? 0 : 1;
    if (cells.length > 1 || cells[0] !== "") records.push({ line: begin, cells });
  }
  return records;
}

/** The error for a CSV file that cannot be used. */
export function mistake(line: number, what: string): MeterbookError {
  return new MeterbookError("METER_COMMAND_INVALID", `Line ${line}: ${what}.`, {
    remedy: "Write a header of company (or customer), meter, from, to and value, then one line for each figure.",
  });
}
