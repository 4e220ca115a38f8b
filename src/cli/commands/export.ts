import { Command, Option } from "commander";

import { systemClock } from "../../runtime/system.ts";
import { EVENT_COLUMNS, exportEvents } from "../export/event-rows.ts";
import {
  EXPORT_FORMATS,
  openExportFile,
  type ExportColumn,
  type ExportFormat,
  type ExportRow,
} from "../export/export-file.ts";
import { exportUsage, USAGE_COLUMNS } from "../export/usage-rows.ts";
import { rangeOf } from "../instants.ts";
import { grouped, numbered, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ExportOptions extends CommonOptions {
  readonly format: ExportFormat;
  readonly out: string;
  readonly from?: string;
  readonly to?: string;
  readonly company?: string;
  readonly force?: boolean;
}

interface EventOptions extends ExportOptions {
  readonly type?: string;
}

interface UsageOptions extends ExportOptions {
  readonly meter?: string;
  readonly window: "hour" | "day";
}

/** `meterbook export events|usage`: what is stored, as a file for other programs. */
export function exportCommand(): Command {
  return new Command("export")
    .description("Write events or usage to a file: CSV, NDJSON or Parquet, with exact decimals")
    .addHelpText("after", "\nExample: meterbook export usage --from 2026-11-01 --out usage.csv")
    .addCommand(eventsCommand())
    .addCommand(usageCommand());
}

function eventsCommand(): Command {
  return withExportOptions(new Command("events"))
    .description("Every event as it is known now, in the order of arrival")
    .option("--type <type>", "only of this type")
    .addHelpText("after", "\nExample: meterbook export events --format ndjson --from 2026-11-01 --out events.ndjson")
    .action(async (options: EventOptions) => {
      process.exitCode = await withNode(options, async ({ store }, out) => {
        const query = { ...sharedQuery(options), ...(options.type === undefined ? {} : { type: options.type }) };
        await intoFile(options, EVENT_COLUMNS, out, (write) => exportEvents(store, query, write));
      });
    });
}

function usageCommand(): Command {
  return withExportOptions(new Command("usage"))
    .description("Usage by meter, company, group and window, UTC")
    .option("--meter <name>", "only this meter")
    .addOption(new Option("--window <size>", "one row per window, UTC").choices(["hour", "day"]).default("day"))
    .addHelpText("after", "\nExample: meterbook export usage --format parquet --from 2026-11-01 --out usage.parquet")
    .action(async (options: UsageOptions) => {
      process.exitCode = await withNode(options, async ({ store, catalog }, out) => {
        const meter = options.meter === undefined ? {} : { meter: options.meter };
        const query = { ...sharedQuery(options), ...meter, window: options.window };
        await intoFile(options, USAGE_COLUMNS, out, (write) => exportUsage(store, catalog, query, write));
      });
    });
}

function withExportOptions(command: Command): Command {
  return command
    .addOption(new Option("--format <form>", "form of the file").choices(EXPORT_FORMATS).default("csv"))
    .requiredOption("--out <file>", "the file to write")
    .option("--from <instant>", "from this instant of event time on")
    .option("--to <instant>", "up to this instant, exclusive")
    .option("--company <id>", "only of this company")
    .option("--force", "replace the file when it is there");
}

function sharedQuery(options: ExportOptions) {
  const range = rangeOf(options, systemClock.now());
  return { ...range, ...(options.company === undefined ? {} : { company: options.company }) };
}

/** The file gets its name when it is whole; what was begun and failed leaves nothing behind. */
async function intoFile(
  options: ExportOptions,
  columns: readonly ExportColumn[],
  out: Output,
  rowsInto: (write: (rows: readonly ExportRow[]) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { out: path, format } = options;
  const file = await openExportFile({ path, format, columns, replace: options.force === true });
  let rows = 0;
  try {
    await rowsInto(async (page) => {
      await file.write(page);
      rows += page.length;
      out.progress(`${grouped(String(rows))} rows`);
    });
    await file.finish();
  } finally {
    file.abandon();
  }
  out.progress(null);
  if (out.json) out.record({ file: path, format, rows });
  else out.line(`${path}: ${numbered(rows, "row")}`);
}
