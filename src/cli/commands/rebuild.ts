import { Command } from "commander";

import { formatDecimal } from "../../core/decimal.ts";
import { rebuild } from "../../engine/books/rebuild.ts";
import { instant, numbered } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

/** `meterbook rebuild`: buckets from events; shows the differences, writes only with --apply. */
export function rebuildCommand(): Command {
  return new Command("rebuild")
    .description("Recompute all usage buckets from the events and compare")
    .option("--apply", "write the recomputed buckets; changed windows are reported as corrections")
    .addHelpText(
      "after",
      "\nExits 1 when buckets differ and --apply was not given.\nExample: meterbook rebuild --apply",
    )
    .action(async (options: CommonOptions & { apply?: boolean }) => {
      process.exitCode = await withNode(options, async (node, out) => {
        const { differences, events } = await node.counting((catalog) =>
          rebuild(node.store, catalog, {
            apply: options.apply === true,
            onProgress: (count) => out.progress(`${count} events`),
          }),
        );
        out.progress(null);
        const rows = differences.map((difference) => ({
          meter: difference.meter,
          company: difference.company,
          group: difference.group,
          start: instant(difference.start),
          stored: difference.actual === null ? null : formatDecimal(difference.actual),
          recomputed: difference.expected === null ? null : formatDecimal(difference.expected),
        }));
        if (out.json) return out.record({ events, applied: options.apply === true, differences: rows });
        if (rows.length === 0) return out.line(`${numbered(events, "event")} recomputed: every bucket is as stored.`);
        out.table(
          [
            ["meter", "company", "group", "start", "stored", "recomputed"],
            ...rows.map((row) => [
              row.meter,
              row.company,
              row.group,
              row.start,
              row.stored ?? "–",
              row.recomputed ?? "–",
            ]),
          ],
          { right: [4, 5] },
        );
        out.line(
          options.apply === true
            ? `${numbered(rows.length, "bucket")} corrected.`
            : `${rows.length} ${rows.length === 1 ? "bucket differs" : "buckets differ"}. Nothing was changed; --apply writes what was recomputed.`,
        );
        return options.apply === true ? 0 : 1;
      });
    });
}
