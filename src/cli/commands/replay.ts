import { Command } from "commander";

import { replayMeter, type ReplaySummary } from "../../engine/corrections/replay.ts";
import { systemClock } from "../../runtime/system.ts";
import { instantMs } from "../instants.ts";
import { operatorOf, withOperator, type OperatorOptions } from "../operator.ts";
import { grouped, instant, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ReplayOptions extends CommonOptions, OperatorOptions {
  readonly from: string;
  readonly to?: string;
}

/** `meterbook replay METER --from T`: judges the past by the meter as it is now. */
export function replayCommand(): Command {
  const command = new Command("replay")
    .description("Judge stored events by the newest version of a meter instead of the version of their time")
    .argument("<meter>", "the meter that was edited")
    .requiredOption("--from <instant>", "the first event time that is judged again")
    .option("--to <instant>", "the end of it (exclusive); default: until the newest version counts anyway");
  return withOperator(command)
    .addHelpText(
      "after",
      '\nNothing is rewritten: reported windows get corrections.\nExample: meterbook replay chat_tokens --from 2026-11-01 --dry-run\nExample: meterbook replay chat_tokens --from 2026-11-01 --by ann --cause "wrong header until Friday"',
    )
    .action(async (meter: string, options: ReplayOptions) => {
      const operator = operatorOf(options);
      process.exitCode = await withNode(options, async (node, out) => {
        const now = systemClock.now();
        const from = instantMs(options.from, "--from", now);
        const to = options.to === undefined ? null : instantMs(options.to, "--to", now);
        const onProgress = (events: number): void => out.progress(`${events} events`);
        const { store } = node;
        const summary = await replayMeter({ store, meter, from, to, ...operator, now, onProgress });
        out.progress(null);
        show(summary, out);
      });
    });
}

function show(summary: ReplaySummary, out: Output): void {
  const { meter, from, to, version, events, held, companies, applied } = summary;
  if (out.json) return out.record({ ...summary, from: instant(from), to: instant(to) });
  out.line(
    `${meter} version ${version}  ${instant(from)} – ${instant(to)}  ${events} events  held ${held.before} → ${held.after}`,
  );
  const cells = companies.map((company) => [
    visible(company.company),
    ...[company.before, company.after, company.difference, company.reported, company.correction].map((value) =>
      value === null ? "–" : grouped(value),
    ),
  ]);
  if (cells.length > 0)
    out.table([["company", "before", "after", "difference", "reported", "correction"], ...cells], {
      right: [1, 2, 3, 4, 5],
    });
  else out.line("No company's usage differs.");
  out.line(
    applied
      ? "The version counts from then on; reports of closed windows are corrected with the next round."
      : "Nothing was changed; without --dry-run, and with --by and --cause, it is.",
  );
}
