import { readFileSync, statSync } from "node:fs";

import { Command } from "commander";

import { formatDecimal, isFault, parseDecimal } from "../../core/decimal.ts";
import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import {
  compareLedger,
  ledgerLines,
  type ComparedUsage,
  type Comparison,
  type StatedUsage,
} from "../../engine/corrections/compare.ts";
import { limits } from "../../engine/limits.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { csvLine, mistake, plainText, readCsv, safeText, type CsvRecord } from "../csv.ts";
import { instantMs } from "../instants.ts";
import { grouped, instant, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface CompareOptions extends CommonOptions {
  readonly export?: boolean;
  readonly from?: string;
  readonly to?: string;
}

/** `meterbook compare FILE.csv`: another system's numbers against our ledger; `--export` writes the ledger as such a file. */
export function compareCommand(): Command {
  return new Command("compare")
    .description("Compare another system's numbers (CSV) with what was reported, or would be in shadow mode")
    .argument(
      "[file]",
      "CSV with the columns company (or customer), meter, from, to, value; - reads the standard input",
    )
    .option("--export", "print our ledger as such a CSV instead")
    .option("--from <instant>", "with --export: only from this stated time on")
    .option("--to <instant>", "with --export: only before this stated time")
    .addHelpText(
      "after",
      "\nExits 1 when something differs.\nExample: meterbook compare invoice-system.csv\nExample: meterbook compare --export --from 2026-11-01 > ledger.csv",
    )
    .action(async (file: string | undefined, options: CompareOptions) => {
      process.exitCode = await withNode(options, async (node, out) => {
        if (options.export === true) return exportLedger(node, options, out);
        if (file === undefined)
          throw new MeterbookError("METER_COMMAND_INVALID", "No file was named.", {
            remedy: "Write meterbook compare <file.csv>, or --export for our own numbers.",
          });
        const comparison = await compareLedger(node.store, statedUsage(readFile(file)));
        show(comparison, out);
        return comparison.isEqual ? 0 : 1;
      });
    });
}

async function exportLedger({ store }: MeterNode, { from, to }: CompareOptions, out: Output): Promise<void> {
  const now = systemClock.now();
  const range = {
    from: from === undefined ? null : instantMs(from, "--from", now),
    to: to === undefined ? null : instantMs(to, "--to", now),
  };
  if (!out.json) out.line(csvLine(["company", "customer", "meter", "from", "to", "value"]));
  for await (const line of ledgerLines(store, range)) {
    const { company, customer, meter } = line;
    const figures = { from: instant(line.from), to: instant(line.to), value: formatDecimal(line.value) };
    if (out.json) out.record({ company, customer, meter, ...figures });
    else {
      const texts = [company, customer ?? "", meter].map(safeText);
      out.line(csvLine([...texts, figures.from, figures.to, figures.value]));
    }
  }
}

function readFile(file: string): string {
  const source = file === "-" ? 0 : file;
  try {
    if (typeof source === "string" && statSync(source).size > limits.comparedBytesMax)
      throw new Error("it is too large");
    return readFileSync(source, "utf8");
  } catch (error) {
    throw new MeterbookError("METER_COMMAND_INVALID", `${file} cannot be read: ${sentenceOf(error)}.`);
  }
}

const COLUMNS = ["company", "customer", "meter", "from", "to", "value"] as const;
type Column = (typeof COLUMNS)[number];

/** The figures of a file, in its order. METER_COMMAND_INVALID with the line of the first mistake. */
function statedUsage(text: string): readonly StatedUsage[] {
  const [header, ...records] = readCsv(text);
  if (header === undefined) throw mistake(1, "the file is empty");
  const names = header.cells.map((cell) => cell.trim().toLowerCase());
  const places = new Map(COLUMNS.map((column) => [column, names.indexOf(column)]));
  const missing = (["meter", "from", "to", "value"] as const).filter((column) => places.get(column) === -1);
  if (places.get("company") === -1 && places.get("customer") === -1)
    throw mistake(header.line, "there is no column company or customer");
  if (missing.length > 0) throw mistake(header.line, `there is no column ${missing.join(", ")}`);
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

function show({ lines, unstated, ours, theirs, isEqual }: Comparison, out: Output): void {
  const totals = { ours: formatDecimal(ours), theirs: formatDecimal(theirs), difference: formatDecimal(ours - theirs) };
  if (out.json) {
    for (const line of lines) out.record({ kind: "line", ...recordOf(line) });
    for (const { value, ...rest } of unstated) out.record({ kind: "unstated", ...rest, ours: formatDecimal(value) });
    return out.record({ kind: "totals", ok: isEqual, lines: lines.length, differing: differing(lines), ...totals });
  }
  const cells = lines.map((line) => [
    String(line.line),
    visible(line.company ?? line.customer ?? ""),
    visible(line.meter),
    `${instant(line.from)} – ${instant(line.to)}`,
    ...[line.ours, line.value, line.difference].map((value) => grouped(formatDecimal(value))),
    line.difference === 0n
      ? "equal"
      : `differs${line.waiting === 0n ? "" : `, ${grouped(formatDecimal(line.waiting))} not sent yet`}`,
  ]);
  out.table([["line", "company", "meter", "time", "ours", "theirs", "difference", ""], ...cells], {
    right: [0, 4, 5, 6],
  });
  for (const { company, customer, meter, value } of unstated)
    out.line(`only ours: ${meter}  ${visible(company)}  ${customer ?? ""}  ${grouped(formatDecimal(value))}`);
  out.line(
    `ours ${grouped(totals.ours)} · theirs ${grouped(totals.theirs)} · difference ${grouped(totals.difference)}`,
  );
  const sentence = `${differing(lines)} of ${lines.length} lines differ, ${unstated.length} of ours are in no line`;
  out.line(isEqual ? "✓ every line is equal" : `✗ ${sentence}`);
}

function differing(lines: readonly ComparedUsage[]): number {
  return lines.filter(({ difference }) => difference !== 0n).length;
}

function recordOf(compared: ComparedUsage): object {
  const { line, company, customer, meter, from, to, ours, value, difference, waiting } = compared;
  return {
    line,
    company,
    customer,
    meter,
    from: instant(from),
    to: instant(to),
    equal: difference === 0n,
    ours: formatDecimal(ours),
    theirs: formatDecimal(value),
    difference: formatDecimal(difference),
    waiting: formatDecimal(waiting),
  };
}
