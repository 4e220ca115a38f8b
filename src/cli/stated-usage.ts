import { isFault, parseDecimal } from "../core/decimal.ts";
import { MeterbookError } from "../core/errors.ts";
import type { StatedUsage } from "../engine/corrections/compare.ts";
import { plainText } from "../core/csv-text.ts";
import { mistake, readCsv, type CsvRecord } from "./csv.ts";
import { instantMs } from "./instants.ts";
import { meantBy } from "./meant.ts";

const COLUMNS = ["company", "customer", "meter", "from", "to", "value"] as const;
type Column = (typeof COLUMNS)[number];

/** The figures of a file, in its order. METER_COMMAND_INVALID with the line of the first mistake. */
export function statedUsage(text: string): readonly StatedUsage[] {
  const [header, ...records] = readCsv(text);
  if (header === undefined) throw mistake(1, "the file is empty");
  const names = header.cells.map((cell) => cell.trim().toLowerCase());
  const stray = names.find((name, at) => !isColumn(name) || names.indexOf(name) !== at);
  if (stray !== undefined) throw strayColumn(header.line, stray);
  const places = new Map(COLUMNS.map((column) => [column, names.indexOf(column)]));
  const missing = (["meter", "from", "to", "value"] as const).filter((column) => places.get(column) === -1);
  if (places.get("company") === -1 && places.get("customer") === -1)
    throw mistake(header.line, "there is no column company or customer");
  if (missing.length > 0) throw mistake(header.line, `there is no column ${missing.join(", ")}`);
  if (records.length === 0) throw mistake(header.line, "no line follows the header, so there is nothing to compare");
  return records.map((record) => statedLine(record, names.length, places));
}

function statedLine({ line, cells }: CsvRecord, width: number, places: ReadonlyMap<Column, number>): StatedUsage {
  if (cells.length !== width) throw mistake(line, `it has ${cells.length} cells, and the header has ${width}`);
  const cell = (column: Column): string => cells[places.get(column) ?? -1] ?? "";
  const [company, customer] = [plainText(cell("company")), plainText(cell("customer"))];
  if (company === "" && customer === "") throw mistake(line, "it names neither company nor customer");
  const value = parseDecimal(cell("value").trim());
  if (isFault(value)) throw mistake(line, `value is ${JSON.stringify(cell("value"))}, which is no plain decimal`);
  const [from, to] = [time(line, "from", cell("from")), time(line, "to", cell("to"))];
  if (to <= from) throw mistake(line, "to is not after from");
  return {
    line,
    company: company === "" ? null : company,
    customer: customer === "" ? null : customer,
    meter: plainText(cell("meter")),
    from,
    to,
    value,
  };
}

function time(line: number, column: "from" | "to", text: string): number {
  try {
    // A duration ago would be another instant each time the file is read.
    return instantMs(/^\d+[a-z]/.test(text.trim()) ? "" : text.trim(), column, 0);
  } catch {
    throw mistake(line, `${column} is ${JSON.stringify(text)}, which is neither a date nor an instant with zone`);
  }
}

function isColumn(name: string): boolean {
  return COLUMNS.some((column) => column === name);
}

/** A column that is not compared could be what was meant to be: it is not passed over. */
function strayColumn(line: number, name: string): MeterbookError {
  const what = isColumn(name)
    ? `the column ${name} is there twice`
    : `there is no use for the column ${JSON.stringify(name)}`;
  return new MeterbookError("METER_COMMAND_INVALID", `Line ${line}: ${what}.`, {
    remedy: `${meantBy(name, COLUMNS)}Leave out all columns but ${COLUMNS.join(", ")}.`,
  });
}
