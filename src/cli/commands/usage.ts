import { Command, Option } from "commander";

import { queryUsage, type UsageWindow } from "../../engine/usage/usage-query.ts";
import { systemClock } from "../../runtime/system.ts";
import { rangeOf } from "../instants.ts";
import { grouped, instant } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface UsageOptions extends CommonOptions {
  readonly meter?: string;
  readonly company?: string;
  readonly from?: string;
  readonly to?: string;
  readonly window?: UsageWindow;
  readonly groupBy?: string[];
}

/** `meterbook usage`: totals per meter, customer, window and group. */
export function usageCommand(): Command {
  return new Command("usage")
    .description("Show usage per meter and customer")
    .option("--meter <name>", "only this meter")
    .option("--company <id>", "only this company")
    .option("--from <instant>", "from this instant on: 2026-11-01, an instant with zone, or 24h (ago)")
    .option("--to <instant>", "up to this instant, exclusive")
    .addOption(new Option("--window <size>", "one row per window, UTC").choices(["hour", "day", "month"]))
    .option("--group-by <label...>", "one row per value of these labels of the meter")
    .addHelpText("after", "\nExample: meterbook usage --company my-chat-company --window day --json")
    .action(async (options: UsageOptions) => {
      process.exitCode = await withNode(options, async ({ store, catalog }, out) => {
        const now = systemClock.now();
        const rows = await queryUsage(store, catalog, {
          ...(options.meter === undefined ? {} : { meter: options.meter }),
          ...(options.company === undefined ? {} : { company: options.company }),
          ...rangeOf(options, now),
          window: options.window ?? null,
          groupBy: options.groupBy ?? [],
        });
        if (out.json) {
          for (const row of rows) out.record({ ...row, from: instant(row.from), to: instant(row.to) });
          return;
        }
        if (rows.length === 0) return out.line(emptyText(options));
        const labels = [...new Set(rows.flatMap((row) => Object.keys(row.group)))];
        out.table(
          [
            ["meter", "company", "from", "to", ...labels, "value", "events"],
            ...rows.map((row) => [
              row.meter,
              row.customer,
              instant(row.from),
              instant(row.to),
              ...labels.map((label) => row.group[label] ?? ""),
              row.value === null ? "–" : grouped(row.value),
              String(row.events),
            ]),
          ],
          { right: [4 + labels.length, 5 + labels.length] },
        );
      });
    });
}

/** Nothing counted at all is another finding than nothing of what was asked for. */
function emptyText({ meter, company, from, to }: UsageOptions): string {
  const isNarrowed = [meter, company, from, to].some((each) => each !== undefined);
  return isNarrowed
    ? "No usage: nothing of this meter, company and time was counted."
    : "No usage: nothing was counted so far. `meterbook events` says for each event why.";
}
