import { Command } from "commander";

import { readStatus, type Status } from "../../engine/books/status.ts";
import { systemClock } from "../../runtime/system.ts";
import { numbered, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import { unsubscribedLines } from "../unsubscribed-text.ts";

/** `meterbook status`: one look at the whole chain. */
export function statusCommand(): Command {
  return new Command("status")
    .description("Show events, held usage, backlog and what the biller has")
    .addHelpText("after", "\nExample: meterbook status --json")
    .action(async (options: CommonOptions) => {
      process.exitCode = await withNode(options, async (node, out) => {
        const given = { backlogBytes: node.backlogBytes(), now: systemClock.now() };
        const stripe = node.settings.billing.stripe;
        const status = await readStatus(node.store, stripe === null ? given : { ...given, shadow: stripe.shadow });
        if (out.json) return out.record(status);
        show(status, out);
      });
    });
}

function show(status: Status, out: Output): void {
  const { events, held, backlog, outbox, drift, shadow, conflicts } = status;
  const reports = [
    `${outbox.accepted} accepted (${outbox.settled} of them seen in its books)`,
    `${outbox.pending} pending`,
    `${outbox.held} held`,
    `${outbox.dead - outbox.conflict} dead`,
    `${outbox.conflict} in conflict`,
  ];
  out.line(
    `config ok · ${numbered(events, "event")} · ${held} held · ${backlog} bytes behind · Stripe: ${reports.join(", ")}`,
  );
  // What its doubles cannot hold exactly is no difference that anybody could mend.
  const differs = drift.missing + drift.surplus > 0;
  if (differs)
    out.line(`✗ Stripe's books differ, as last compared: ${drift.missing} missing, ${drift.surplus} surplus`);
  if (conflicts > 0)
    out.line(
      `${numbered(conflicts, "event")} came again with other content under the same id, and count as they came first`,
    );
  for (const line of heldLines(status)) out.line(line);
  if (shadow) out.hint("shadow: reports are made and never sent.");
  if (held > 0 || outbox.held > 0) out.hint("meterbook held list shows why.");
  if (outbox.dead > 0) out.hint("meterbook outbox shows what Stripe refused or may have, and why.");
  if (differs) out.hint("meterbook reconcile --dry-run names each difference.");
}

function heldLines({ no_subscription: lanes }: Status): readonly string[] {
  return unsubscribedLines(lanes.map(({ meter: reportAs, ...lane }) => ({ ...lane, reportAs }))).map(
    (line) => `✗ ${line}`,
  );
}
