import { randomUUID } from "node:crypto";

import { Command, Option } from "commander";

import type { FieldValue } from "../../core/corrected-event.ts";
import { MeterbookError } from "../../core/errors.ts";
import { HOLD_REASONS, type HoldReason } from "../../core/event.ts";
import { limits } from "../../engine/limits.ts";
import { listSuspended, replayRecord, type ReplayedRecord } from "../../engine/periods/suspense.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { eventRecord } from "../event-record.ts";
import { operatorOf, withOperator, type OperatorOptions } from "../operator.ts";
import { numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ReplayOptions extends CommonOptions, OperatorOptions {
  readonly set: readonly string[];
  readonly source?: string;
  readonly guide?: string;
  readonly reason?: HoldReason;
}

/** `meterbook held replay`: reads a suspended record again, with fields that were put right. */
export function heldReplayCommand(): Command {
  return withOperator(
    new Command("replay").description(
      "Read a suspended record again, with fields put right; it counts at its own time",
    ),
  )
    .argument("[record-id...]", "ids of suspended records, as `meterbook held list` shows them; or --guide")
    .addOption(
      new Option("--set <path=value>", "a field of the record, e.g. data.region=EMEA; may be given several times")
        .default([], "none")
        .argParser((text: string, before: readonly string[]) => [...before, text]),
    )
    .option("--source <source>", "where several sources used the same id")
    .option(
      "--guide <key>",
      "instead of ids: all of this guide; without --set, those with which nothing is wrong any more",
    )
    .addOption(new Option("--reason <reason>", "with --guide: only those suspended for it").choices(HOLD_REASONS))
    .addHelpText(
      "after",
      '\nExample: meterbook held replay session-17 --set data.region=EMEA --by ann --cause "region was missing"',
    )
    .action(async (ids: string[], options: ReplayOptions) => {
      operatorOf(options);
      if ((ids.length === 0) === (options.guide === undefined))
        throw new MeterbookError("METER_COMMAND_INVALID", "Say either ids of records or --guide.");
      process.exitCode = await withNode(options, async (node, out) =>
        replayAll(
          node,
          options.guide === undefined ? ids : await suspendedOf(node, options.guide, options),
          options,
          out,
        ),
      );
    });
}

/** Ids of a guide's suspended records, oldest first: they count in the order in which they came. */
async function suspendedOf(
  { store }: MeterNode,
  guide: string,
  { reason, set }: ReplayOptions,
): Promise<readonly string[]> {
  const desk = { store, now: systemClock.now() };
  const ids: string[] = [];
  let beforeSeq: number | undefined;
  for (;;) {
    const query = { guide, reason, beforeSeq, limit: limits.registerPageMax };
    const { records, next } = await listSuspended(desk, query);
    ids.push(...records.filter(({ problems }) => set.length > 0 || problems.length === 0).map(({ id }) => id));
    if (next === null) return ids.toReversed();
    beforeSeq = next;
  }
}

async function replayAll(
  { store, counting }: MeterNode,
  ids: readonly string[],
  options: ReplayOptions,
  out: Output,
): Promise<number> {
  const { author, cause, dryRun } = operatorOf(options);
  const set = options.set.map(fieldOf);
  let suspended = 0;
  for (const id of ids) {
    const desk = { store, now: systemClock.now(), newId: randomUUID, author };
    const replayed = await counting((catalog) =>
      replayRecord(desk, catalog, { id, source: options.source, set, cause, dryRun }),
    );
    if (replayed.problems.length > 0) suspended += 1;
    show(id, replayed, out);
  }
  if (!out.json && (ids.length > 1 || options.guide !== undefined))
    out.line(`${numbered(ids.length, "record")} read again, ${suspended} still suspended.`);
  return suspended === 0 ? 0 : 1;
}

function show(id: string, { event, replacement, problems, applied }: ReplayedRecord, out: Output): void {
  if (out.json) {
    const instead = replacement === null ? null : eventRecord(replacement);
    return out.record({ event, replacement: instead, problems, applied });
  }
  const [first] = problems;
  const [is, counts] = applied ? ["is", "counts"] : ["would be", "would count"];
  if (first === undefined) out.line(`${visible(id)} ${counts} as ${visible(replacement?.id ?? "")}`);
  else out.line(`${visible(id)} ${is} suspended again: ${visible(problems.join("; "))}`);
}

function fieldOf(text: string): FieldValue {
  const at = text.indexOf("=");
  if (at > 0) return { path: text.slice(0, at), text: text.slice(at + 1) };
  throw new MeterbookError("METER_COMMAND_INVALID", `--set takes <path>=<value>, not ${JSON.stringify(text)}.`);
}
