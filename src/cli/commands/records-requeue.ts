import { randomUUID } from "node:crypto";

import { Command } from "commander";

import { requeueRecords, type RequeuedRecord } from "../../engine/periods/requeue.ts";
import { systemClock } from "../../runtime/system.ts";
import { numbered, visible } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface RequeueOptions extends CommonOptions {
  readonly sink?: string;
}

/** `meterbook records requeue`: hands records over again that a sink failed. */
export function requeueCommand(): Command {
  return new Command("requeue")
    .description("Hand final records over again that a sink refused, or did not take for days")
    .argument("[record-id...]", "ids of final records; all that failed when absent")
    .option("--sink <name>", "only what this sink failed")
    .addHelpText("after", "\nExample: meterbook records requeue --sink billing")
    .action(async (ids: string[], options: RequeueOptions) => {
      process.exitCode = await withNode(options, async ({ store }, out) => {
        const desk = { store, now: systemClock.now(), newId: randomUUID, author: "cli" };
        const { sink } = options;
        const requeued: RequeuedRecord[] = [];
        for (const id of ids.length === 0 ? [undefined] : ids)
          requeued.push(...(await requeueRecords(desk, { id, sink })));
        if (out.json) {
          for (const record of requeued) out.record(record);
          return;
        }
        for (const { id, sinks } of requeued) out.line(`${visible(id)} → ${visible(sinks.join(", "))}`);
        out.line(
          `${numbered(requeued.length, "record")} on the way again: the running app, or \`meterbook records close\`, hands them over.`,
        );
      });
    });
}
