import { Command } from "commander";

import { readStatus } from "../../engine/status.ts";
import { systemClock } from "../../runtime/system.ts";
import { withNode, type CommonOptions } from "../session.ts";

/** `meterbook status`: one look at the whole chain. */
export function statusCommand(): Command {
  return new Command("status")
    .description("Show events, held usage, backlog and what the biller has")
    .addHelpText("after", "\nExample: meterbook status --json")
    .action(async (options: CommonOptions) => {
      process.exitCode = await withNode(options, async (node, out) => {
        const status = await readStatus(node.store, { backlogBytes: node.backlogBytes(), now: systemClock.now() });
        if (out.json) return out.record(status);
        const { outbox } = status;
        out.line(
          `config ok · ${status.events} events · ${status.held} held · ${status.backlog} bytes behind · Stripe: ${outbox.accepted} accepted, ${outbox.pending} pending, ${outbox.held} held, ${outbox.dead} dead`,
        );
        if (status.held > 0 || outbox.held > 0) out.hint("meterbook held list shows why.");
        if (outbox.dead > 0) out.hint("meterbook held list shows what Stripe refused, and why.");
      });
    });
}
