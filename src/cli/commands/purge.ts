import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline/promises";

import { Command } from "commander";

import { MeterbookError } from "../../core/errors.ts";
import { purgeBuckets, type PurgeSummary } from "../../engine/periods/purge-buckets.ts";
import { sinksOf } from "../../runtime/period-operations.ts";
import { systemClock } from "../../runtime/system.ts";
import { numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface PurgeOptions extends CommonOptions {
  readonly guide?: string;
  readonly type?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `meterbook purge`: deletes customers' meters; records, usage and final records stay. */
export function purgeCommand(): Command {
  return new Command("purge")
    .description("Delete customers' meters, of a guide, of a type, or all; what was billed of them stays")
    .option("--guide <key>", "only meters of this guide (meter key)")
    .option("--type <name>", "only meters of this meter type")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .option("--yes", "do not ask")
    .addHelpText("after", "\nExample: meterbook purge --guide botbot --dry-run")
    .action(async (options: PurgeOptions) => {
      process.exitCode = await withNode(options, async ({ store, settings, counting }, out) => {
        const desk = { store, now: systemClock.now(), newId: randomUUID, author: "cli" };
        const query = { guide: options.guide, meterType: options.type };
        const purge = (dryRun: boolean): Promise<PurgeSummary> =>
          counting((catalog) => purgeBuckets(desk, query, { dryRun, catalog, sinks: sinksOf({ settings }) }));
        const plan = await purge(true);
        if (options.dryRun === true || plan.meters === 0) return show(plan, out);
        if (options.yes !== true && !(await isWanted(plan, out))) {
          out.hint("Nothing was deleted.");
          return 1;
        }
        return show(await purge(false), out);
      });
    });
}

/** Asks a person; a script has to say --yes. */
async function isWanted(plan: PurgeSummary, out: Output): Promise<boolean> {
  if (out.json || process.stdin.isTTY !== true || process.stdout.isTTY !== true)
    throw new MeterbookError("METER_COMMAND_INVALID", `${numbered(plan.meters, "meter")} would be deleted.`, {
      remedy: "Say --yes to delete them, or --dry-run to see them.",
    });
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await asking.question(
      `Delete ${numbered(plan.meters, "meter")}? Their open periods are lost. [y/N] `,
    );
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

function show({ meters, byType, finalRecords, applied }: PurgeSummary, out: Output): void {
  if (out.json) return out.record({ meters, byType, finalRecords, applied });
  for (const { type, meters: number } of byType) out.line(`- ${visible(type)}: ${numbered(number, "meter")}`);
  if (finalRecords > 0)
    out.line(
      applied
        ? `${numbered(finalRecords, "final record")} of ended periods made first.`
        : `${numbered(finalRecords, "meter")} would get final records of ended periods first.`,
    );
  out.line(
    `${numbered(meters, "meter")} ${applied ? "deleted" : "would be deleted"}; final records, records and usage stay.`,
  );
  if (!applied && meters > 0) out.line("Nothing was deleted; without --dry-run it is.");
}
