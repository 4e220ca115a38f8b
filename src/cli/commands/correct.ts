import { Command, Option } from "commander";

import type { FieldValue } from "../../core/corrected-event.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { PathError, compilePath } from "../../core/field-path.ts";
import { cancelReport, type CancelledReport } from "../../engine/corrections/cancel.ts";
import { correctEvent, type CorrectionSummary, type Instead } from "../../engine/corrections/correct.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { eventRecord } from "../event-record.ts";
import { operatorOf, withOperator, type OperatorOptions } from "../operator.ts";
import { grouped, instant, visible, type Output } from "../output.ts";
import { insteadText, standingOf, waysOut, type Standing } from "../replacement-standing.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface EventOptions extends CommonOptions, OperatorOptions {
  readonly source?: string;
}

interface ReplaceOptions extends EventOptions {
  readonly set: readonly string[];
  readonly meter?: string;
  readonly value?: string;
}

/** `meterbook correct void | replace | cancel`: corrections as new facts, with author and cause. */
export function correctCommand(): Command {
  const correct = new Command("correct")
    .description("Correct what was counted or reported; nothing is edited, and every correction names who and why")
    .addHelpText(
      "after",
      "\nAll take --dry-run, --json, --config and --db.\nExample: meterbook correct void job-17 --dry-run",
    );
  withOperator(correct.command("void").description("Take an event back: it stays, and counts for nothing from now on"))
    .argument("<event-id>", "the event's id, as `meterbook events` shows it")
    .option("--source <source>", "where several sources used the same id")
    .addHelpText("after", '\nExample: meterbook correct void mfz3k2abcd12ef-4k --by ann --cause "load test"')
    .action((id: string, options: EventOptions) =>
      run(options, (node, out) => correctOne(node, id, options, null, out)),
    );
  withOperator(
    correct
      .command("replace")
      .description("Put another value in an event's place: the event is voided, and a new one counts at its time"),
  )
    .argument("<event-id>", "the event's id; a held event can be replaced too")
    .addOption(
      new Option("--set <path=value>", "a field of the event, e.g. company=globex; may be given several times")
        .default([], "none")
        .argParser(collect),
    )
    .option("--meter <meter>", "the meter whose value is wrong or missing …")
    .option("--value <number>", "… and the value that it should have read")
    .option("--source <source>", "where several sources used the same id")
    .addHelpText(
      "after",
      '\nExample: meterbook correct replace job-17 --meter chat_tokens --value 120 --by ann --cause "header was missing"\nExample: meterbook correct replace job-17 --set company=globex --dry-run',
    )
    .action((id: string, options: ReplaceOptions) =>
      run(options, (node, out) => correctOne(node, id, options, insteadOf(options), out)),
    );
  withOperator(
    correct
      .command("cancel")
      .description(
        "Have Stripe cancel a report that it got less than 24 hours ago; its usage is due again, for who pays now",
      ),
  )
    .argument("<report>", "the report's identifier or its number, as `meterbook outbox` shows them")
    .addHelpText("after", '\nExample: meterbook correct cancel 17 --by ann --cause "wrong customer"')
    .action((report: string, options: EventOptions) =>
      run(options, (node, out) => cancelOne(node, report, options, out)),
    );
  return correct;
}

async function run(options: EventOptions, work: (node: MeterNode, out: Output) => Promise<void>): Promise<void> {
  operatorOf(options);
  process.exitCode = await withNode(options, work);
}

async function correctOne(
  { store, counting }: MeterNode,
  id: string,
  options: EventOptions,
  instead: Instead | null,
  out: Output,
): Promise<void> {
  const { source } = options;
  const operator = operatorOf(options);
  const now = systemClock.now();
  const corrected = await counting(async (catalog) => {
    const summary = await correctEvent({ store, catalog, id, source, instead, ...operator, now });
    return { summary, standing: summary.replacement === null ? null : standingOf(catalog, summary.replacement) };
  });
  showCorrection(corrected.summary, corrected.standing, out);
}

function showCorrection(summary: CorrectionSummary, standing: Standing | null, out: Output): void {
  const { event, replacement, verdicts, usage, applied } = summary;
  if (out.json) {
    const windows = usage.map((change) => ({ ...change, from: instant(change.from), to: instant(change.to) }));
    const instead = replacement === null ? null : eventRecord(replacement);
    return out.record({ event, replacement: instead, held: standing?.held ?? [], verdicts, usage: windows, applied });
  }
  const instead =
    replacement === null || standing === null ? "" : insteadText(visible(replacement.id), standing, applied);
  out.line(`${visible(event.id)} ${applied ? "is" : "would be"} void${instead}`);
  for (const { meter, detail } of standing?.held ?? []) out.line(`  ${meter}: held: ${visible(detail)}`);
  const heldMeters = new Set(standing?.held.map(({ meter }) => meter));
  for (const { meter, before, after } of verdicts.filter((verdict) => !heldMeters.has(verdict.meter)))
    out.line(`  ${meter}: ${visible(before ?? "says nothing")} → ${visible(after ?? "says nothing")}`);
  const cells = usage.map((change) => [
    change.meter,
    visible(change.company),
    `${instant(change.from)} – ${instant(change.to)}`,
    ...[change.before, change.after, change.difference, change.reported].map((value) =>
      value === null ? "–" : grouped(value),
    ),
  ]);
  if (cells.length > 0)
    out.table([["meter", "company", "window", "before", "after", "difference", "reported"], ...cells], {
      right: [3, 4, 5, 6],
    });
  if (cells.length === 0)
    out.line(
      replacement === null || verdicts.length > 0
        ? "No usage changes."
        : "No usage changes: every meter says of it what it said before.",
    );
  if (heldMeters.size > 0 && replacement !== null) out.hint(waysOut(replacement.id, standing?.held ?? []));
  if (!applied) out.line(DRY);
  else if (cells.length > 0) out.line("What was reported of it is corrected by the window's next report.");
}

const DRY = "Nothing was changed; without --dry-run, and with --by and --cause, it is.";

async function cancelOne({ store }: MeterNode, report: string, options: EventOptions, out: Output): Promise<void> {
  const summary = await cancelReport({ store, report, ...operatorOf(options), now: systemClock.now() });
  showCancelled(summary, out);
}

function showCancelled({ row, covered, sent, cancel }: CancelledReport, out: Output): void {
  const { rowId, meter, company, customer, identifier } = row;
  const value = formatDecimal(row.value);
  const applied = cancel !== null;
  if (out.json)
    return out.record({
      row: rowId,
      meter,
      company,
      customer,
      identifier,
      value,
      covered,
      sent,
      cancel: cancel?.rowId ?? null,
      applied,
    });
  out.line(`report ${rowId}  ${meter}  ${visible(company)}  ${customer ?? ""}  ${grouped(value)}  ${identifier ?? ""}`);
  out.line(
    `  all reports of ${meter} for ${visible(company)} say ${grouped(sent.before)} → ${grouped(sent.after)}, cover ${grouped(covered.before)} → ${grouped(covered.after)}`,
  );
  out.line(applied ? `Row ${cancel.rowId} cancels it with the next round of reporting; its usage is due again.` : DRY);
}

/** The replaced values. METER_COMMAND_INVALID unless there are some, in one of the two ways. */
function insteadOf({ set, meter, value }: ReplaceOptions): Instead {
  if (set.length > 0 && meter === undefined && value === undefined) return { values: set.map(fieldValue) };
  if (set.length === 0 && meter !== undefined && value !== undefined) return { meter, text: value };
  throw new MeterbookError("METER_COMMAND_INVALID", "What to put in the event's place is not clear.", {
    remedy: "Give --set <path>=<value> once or several times, or --meter <meter> with --value <number>.",
  });
}

/** `path=value`; a quoted name in a path may have an = of its own. */
function fieldValue(text: string): FieldValue {
  for (let at = text.indexOf("="); at > 0; at = text.indexOf("=", at + 1)) {
    const path = text.slice(0, at);
    try {
      compilePath(path);
      return { path, text: text.slice(at + 1) };
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
    }
  }
  throw new MeterbookError("METER_COMMAND_INVALID", `--set is ${JSON.stringify(text)}.`, {
    remedy: "Write <path>=<value>, such as company=globex or response.headers.X-Tokens-Used=120.",
  });
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
