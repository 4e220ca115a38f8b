import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import { Command, Option } from "commander";

import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import type { Json } from "../../core/event.ts";
import { parseExactJson } from "../../core/exact-json.ts";
import { limits } from "../../engine/limits.ts";
import { listFinalRecords, RECORD_KINDS, type RecordKind } from "../../engine/periods/final-records.ts";
import { takeRecords, type RecordsReply } from "../../engine/periods/records.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { sinksOf } from "../../runtime/period-operations.ts";
import { periodCycle } from "../../runtime/period-cycle.ts";
import { systemClock } from "../../runtime/system.ts";
import { countOf, instantMs, limitOption } from "../instants.ts";
import { cutHint, grouped, numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import { customerMetersCommand } from "./records-meters.ts";
import { requeueCommand } from "./records-requeue.ts";

interface ListOptions extends CommonOptions {
  readonly guide?: string;
  readonly user?: string;
  readonly kind?: RecordKind;
  readonly failed?: boolean;
  readonly limit: string;
}

/** `meterbook records take | meters | close | list | requeue`: a stream's records in, and final records out. */
export function recordsCommand(): Command {
  const records = new Command("records")
    .description("Take records of a stream from a file, close ended periods, and list final records")
    .addHelpText(
      "after",
      "\nAll take --json, --config and --db.\nExample: meterbook records take botbot sessions.ndjson",
    );
  records
    .command("list", { isDefault: true })
    .description("List final records, early ones of thresholds, and corrections")
    .option("--guide <key>", "only of this guide (meter key)")
    .option("--user <id>", "only of this user; needs --guide")
    .addOption(new Option("--kind <kind>", "only of this kind").choices(RECORD_KINDS))
    .option("--failed", "only records that a sink failed")
    .addOption(limitOption("at most this many records"))
    .addHelpText("after", "\nExample: meterbook records list --guide botbot --json")
    .action(async (options: ListOptions) => {
      process.exitCode = await withNode(options, (node, out) => list(node, options, out));
    });
  records
    .command("take")
    .description(
      "Take the records of a file: one JSON object a line; taken again, they count once where the guide says by what",
    )
    .argument("<guide>", "the guide (meter key) that reads them")
    .argument("<file>", "the file, or - for standard input")
    .addHelpText("after", "\nExample: meterbook records take botbot sessions.ndjson")
    .action(async (guide: string, file: string, options: CommonOptions) => {
      process.exitCode = await withNode(options, (node, out) => take(node, guide, recordsOf(file), out));
    });
  records
    .command("close")
    .description(
      "Make the final records of periods that have ended, and hand them over; the running app does it by itself",
    )
    .option("--until <time>", "only periods that ended, and waited for late records, by then")
    .addHelpText("after", "\nExample: meterbook records close --until 2026-02-02")
    .action(async (options: CommonOptions & { readonly until?: string }) => {
      const until = options.until === undefined ? undefined : instantMs(options.until, "--until", systemClock.now());
      process.exitCode = await withNode(options, (node, out) => close(node, until, out));
    });
  return records.addCommand(requeueCommand()).addCommand(customerMetersCommand());
}

function recordsOf(file: string): readonly Json[] {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new MeterbookError("METER_COMMAND_INVALID", `${file} cannot be read: ${sentenceOf(error)}`);
  }
  return text.split("\n").flatMap((line, index): Json[] => {
    if (line.trim() === "") return [];
    try {
      return [parseExactJson(line)];
    } catch {
      throw new MeterbookError("METER_COMMAND_INVALID", `Line ${index + 1} of ${file} is not JSON.`);
    }
  });
}

async function take(
  { store, settings, counting }: MeterNode,
  guide: string,
  records: readonly Json[],
  out: Output,
): Promise<void> {
  const total = { stored: 0, duplicates: 0, conflicts: 0, suspended: 0, unmatched: 0, metersCreated: 0 };
  const reasons = new Map<string, Reason>();
  const sinks = sinksOf({ settings });
  for (let start = 0; start < records.length; start += limits.recordsMax) {
    const batch = records.slice(start, start + limits.recordsMax);
    const desk = { store, now: systemClock.now(), newId: randomUUID, author: "cli" };
    const reply = await counting((catalog) => takeRecords(desk, catalog, { guide, records: batch }, sinks));
    total.stored += reply.stored;
    total.duplicates += reply.duplicates;
    total.conflicts += reply.conflicts;
    total.suspended += reply.suspended;
    total.unmatched += reply.unmatched;
    total.metersCreated += reply.metersCreated;
    noteResults(reply, start, reasons, out);
  }
  if (out.json) return;
  const { stored, duplicates, conflicts, suspended, unmatched } = total;
  out.line(
    `${numbered(records.length, "record")}: ${stored} stored, ${numbered(duplicates, "duplicate")}, ${numbered(conflicts, "conflict")}`,
  );
  const counts = [`${stored - suspended - unmatched} counted`, `${suspended} suspended`];
  if (unmatched > 0) counts.push(`${unmatched} fit no rule`);
  out.line(counts.join(", "));
  for (const [reason, { number, example }] of reasons) out.line(`  ${reason}: ${number}, such as: ${visible(example)}`);
  if (total.metersCreated > 0) out.line(`${numbered(total.metersCreated, "meter")} made on first use`);
  if (unmatched > 0)
    out.hint(`Records that fit no rule are stored and update no meter; guides.${guide}.rules says which records do.`);
  if (reasons.has("inactive"))
    out.hint("Meters count from when they were made; provision --since <time> makes them begin earlier.");
  if (suspended > 0)
    out.hint(
      `meterbook held list shows them; meterbook held replay --guide ${guide} counts those that are right by now.`,
    );
}

/** How many records were suspended for a reason, and a sentence on the first of them. */
interface Reason {
  readonly number: number;
  readonly example: string;
}

function noteResults(reply: RecordsReply, start: number, reasons: Map<string, Reason>, out: Output): void {
  for (const result of reply.results) {
    if (out.json) out.record({ ...result, index: start + result.index, source: reply.source });
    if (result.suspended === null) continue;
    const { reason, detail } = result.suspended;
    const known = reasons.get(reason);
    reasons.set(reason, { number: (known?.number ?? 0) + 1, example: known?.example ?? detail });
  }
}

async function close(node: MeterNode, until: number | undefined, out: Output): Promise<void> {
  const summary = await periodCycle(node, { clock: systemClock, ...(until === undefined ? {} : { until }) });
  if (summary === null) return out.hint("The configuration has nothing to close.");
  if (out.json) return out.record(summary);
  const { closing, emission } = summary;
  out.line(
    `${numbered(closing.final, "final record")}, ${numbered(closing.thresholds, "threshold")}, ${numbered(closing.corrections, "correction")}; ${emission.delivered} handed over, ${emission.postponed} to be tried again, ${emission.failed} failed`,
  );
}

async function list({ store }: MeterNode, options: ListOptions, out: Output): Promise<void> {
  const limit = countOf(options.limit, "--limit");
  const { guide, user: userId, kind, failed } = options;
  const only = failed === true ? "failed" : undefined;
  const { records } = await listFinalRecords(store, { guide, userId, kind, state: only, limit });
  if (out.json) {
    for (const record of records) out.record(record);
    return;
  }
  if (records.length === 0) return out.line(only === undefined ? "There are no final records yet." : "None failed.");
  const cells = records.map((record) => [
    `${record.periodStart.slice(0, 10)} – ${record.periodEnd.slice(0, 10)}`,
    record.userId,
    record.meterTypeName,
    grouped(record.value),
    record.kind,
    record.sinks.map(({ sink, state }) => `${sink}: ${state}`).join(", "),
  ]);
  out.table([["period", "user", "meter type", "value", "kind", "sinks"], ...cells.map((row) => row.map(visible))], {
    right: [3],
  });
  const cut = cutHint(records.length, limit);
  if (cut !== null) out.hint(cut);
}
