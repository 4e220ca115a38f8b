import { readFileSync, statSync } from "node:fs";

import { Command } from "commander";

import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import {
  compareLedger,
  ledgerLines,
  type ComparedUsage,
  type Comparison,
  type StatedUsage,
} from "../../engine/corrections/compare.ts";
import { limits } from "../../engine/limits.ts";
import { knownModes } from "../../engine/outbox/meter-modes.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { csvLine, safeText } from "../../core/csv-text.ts";
import { rangeOf } from "../instants.ts";
import { unknownMeter } from "../meant.ts";
import { grouped, instant, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import { statedUsage } from "../stated-usage.ts";

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
        const named = fileOf(file, options);
        if (named === null) return exportLedger(node, options, out);
        const stated = statedUsage(readFile(named));
        await assertMetersKnown(node, stated);
        const comparison = await compareLedger(node.store, stated);
        show(comparison, out);
        return comparison.isEqual ? 0 : 1;
      });
    });
}

/** The file to compare with; null = our ledger is to be written. METER_COMMAND_INVALID when it is not clear which. */
function fileOf(file: string | undefined, options: CompareOptions): string | null {
  const remedy =
    "Write meterbook compare <file.csv> to compare, or meterbook compare --export > <file.csv> to write one.";
  const isExport = options.export === true;
  if (isExport && file !== undefined)
    throw new MeterbookError("METER_COMMAND_INVALID", `--export reads no file, and ${file} was named.`, { remedy });
  if (!isExport && (options.from ?? options.to) !== undefined)
    throw new MeterbookError(
      "METER_COMMAND_INVALID",
      "--from and --to belong to --export; a file's lines have their own.",
      {
        remedy,
      },
    );
  if (!isExport && file === undefined)
    throw new MeterbookError("METER_COMMAND_INVALID", "No file was named.", { remedy });
  return file ?? null;
}

async function exportLedger({ store }: MeterNode, { from, to }: CompareOptions, out: Output): Promise<void> {
  const now = systemClock.now();
  const range = { from: null, to: null, ...rangeOf({ from, to }, now) };
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
    throw new MeterbookError("METER_COMMAND_INVALID", `${file} cannot be read: ${sentenceOf(error)}.`, {
      cause: error,
      remedy: `Name a CSV file of at most ${limits.comparedBytesMax} bytes; - reads the standard input.`,
    });
  }
}

/** A misspelt meter would be equal to anything that says 0. METER_UNKNOWN_METER with the line of the first. */
async function assertMetersKnown(
  { store, catalog, settings }: MeterNode,
  stated: readonly StatedUsage[],
): Promise<void> {
  const definitions = [...catalog.meters, ...settings.meters];
  // Names that Stripe's meters had before an edit stand in the ledger still.
  const reported = Object.keys(await knownModes(store));
  const known = new Set([...definitions.flatMap(({ key, reportAs }) => [key, reportAs]), ...reported]);
  const stranger = stated.find(({ meter }) => !known.has(meter));
  if (stranger !== undefined) throw unknownMeter(stranger.meter, known, `Line ${stranger.line}`);
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
