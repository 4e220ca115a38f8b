import { Command } from "commander";

import { formatDecimal, isFault, parseDecimal } from "../../core/decimal.ts";
import { verify, type MeterSums } from "../../engine/books/verify.ts";
import { numbered } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

/** `meterbook verify`: accepted = reported + due + held + refused, recomputed from the events. */
export function verifyCommand(): Command {
  return new Command("verify")
    .description("Recompute all usage from the events and prove that nothing is missing or doubled")
    .addHelpText("after", "\nExits 1 when the sums do not match.\nExample: meterbook verify --json")
    .action(async (options: CommonOptions) => {
      process.exitCode = await withNode(options, async (node, out) => {
        const onProgress = (events: number): void => out.progress(`${events} events`);
        const verdict = await node.counting((catalog) => verify(node.store, catalog, { onProgress }));
        out.progress(null);
        if (out.json) out.record({ ...verdict, ...totals(Object.values(verdict.meters)) });
        else {
          out.table(
            [
              ["meter", "accepted", "=", "reported", "+ due", "+ held", "+ refused"],
              ...Object.entries(verdict.meters).map(([meter, sums]) => [
                meter,
                sums.accepted,
                "=",
                sums.reported,
                sums.due,
                sums.held,
                sums.refused,
              ]),
            ],
            { right: [1, 3, 4, 5, 6] },
          );
          for (const [meter, { unknown }] of Object.entries(verdict.meters))
            if (unknown > 0)
              out.line(
                `${meter}: ${numbered(unknown, "held event")} without a usable value, in no sum (meterbook held list)`,
              );
          for (const difference of verdict.differences) out.line(`✗ ${difference}`);
          out.line(
            verdict.ok
              ? "✓ every sum matches"
              : "✗ the sums do not match (METER_VERIFY_FAILED); `meterbook rebuild` shows the buckets that differ",
          );
        }
        return verdict.ok ? 0 : 1;
      });
    });
}

const SUMS = ["accepted", "reported", "due", "held", "refused"] as const;

/** The sums over all meters: a figure to compare, not an amount, since meters have different units. */
function totals(meters: readonly MeterSums[]): Record<(typeof SUMS)[number], string> {
  const total = (name: (typeof SUMS)[number]): string =>
    formatDecimal(
      meters.reduce((sum, meter) => {
        const value = parseDecimal(meter[name]);
        return isFault(value) ? sum : sum + value;
      }, 0n),
    );
  return {
    accepted: total("accepted"),
    reported: total("reported"),
    due: total("due"),
    held: total("held"),
    refused: total("refused"),
  };
}
