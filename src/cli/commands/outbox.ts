import { Command } from "commander";

import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { LatePolicy } from "../../core/meter.ts";
import { theReport } from "../../engine/corrections/cancel.ts";
import { OUTBOX_STATES, type OutboxRow, type OutboxState } from "../../engine/ports.ts";
import { resolveRow, ROW_ORDERS, type RowOrder } from "../../engine/corrections/row-orders.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { countOf, limitOption } from "../instants.ts";
import { meantBy, unknownMeter } from "../meant.ts";
import { operatorOf, withOperator, type OperatorOptions } from "../operator.ts";
import { cutHint, grouped, instant, stamp, visible, type Output } from "../output.ts";
import { historyLine, rowRecord } from "../row-text.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ListOptions extends CommonOptions {
  readonly state?: string;
  readonly company?: string;
  readonly meter?: string;
  readonly limit: string;
}

interface ResolveOptions extends CommonOptions, OperatorOptions {
  readonly as: string;
}

/** `meterbook outbox list | show | resolve`: every report on its way, its whole history, and what only a person can decide. */
export function outboxCommand(): Command {
  const outbox = new Command("outbox")
    .description("Show the reports to Stripe one by one, with their history, and decide about those in doubt")
    .addHelpText("after", "\nAll take --json, --config and --db.\nExample: meterbook outbox --state conflict");
  outbox
    .command("list", { isDefault: true })
    .description("List reports, oldest window first; without --state those that are not at Stripe")
    .option("--state <state>", `one of ${OUTBOX_STATES.join(", ")}, or all`)
    .option("--company <id>", "only of this company")
    .option("--meter <meter>", "only of this meter")
    .addOption(limitOption("at most this many of each state"))
    .addHelpText("after", "\nExample: meterbook outbox list --state dead --json")
    .action(async (options: ListOptions) => {
      process.exitCode = await withNode(options, (node, out) => list(node, options, out));
    });
  outbox
    .command("show")
    .description("Show one report with every attempt and every change")
    .argument("<report>", "its number or identifier")
    .addHelpText("after", "\nExample: meterbook outbox show 17")
    .action(async (report: string, options: CommonOptions) => {
      process.exitCode = await withNode(options, (node, out) => show(node, report, out));
    });
  const resolve = outbox
    .command("resolve")
    .description(
      "Decide about a report that is in conflict, dead, or held because it is late or no subscription bills it",
    )
    .argument("<report>", "its number or identifier")
    .requiredOption(
      "--as <decision>",
      "delivered: Stripe has it · resend: send it once more · readdress: to the customer that its company has now · write-off: nobody is billed for it · carry: onto the present invoice",
    );
  withOperator(resolve)
    .addHelpText("after", '\nExample: meterbook outbox resolve 17 --as delivered --by ann --cause "on the invoice"')
    .action(async (report: string, options: ResolveOptions) => {
      orderOf(options.as);
      operatorOf(options);
      process.exitCode = await withNode(options, (node, out) => decide(node, report, options, out));
    });
  return outbox;
}

async function list({ store, catalog }: MeterNode, options: ListOptions, out: Output): Promise<void> {
  const { state, company, meter } = options;
  const limit = countOf(options.limit, "--limit");
  const rows: OutboxRow[] = [];
  for (const each of statesOf(state)) {
    const lane = { ...(company === undefined ? {} : { company }), ...(meter === undefined ? {} : { meter }) };
    rows.push(...(await store.outbox({ state: each, ...lane, limit })));
  }
  if (rows.length === 0 && meter !== undefined && !catalog.meters.some(({ key }) => key === meter))
    throw unknownMeter(
      meter,
      catalog.meters.map(({ key }) => key),
    );
  rows.sort((a, b) => a.windowStart - b.windowStart || a.sequence - b.sequence || a.rowId - b.rowId);
  if (out.json) {
    for (const row of rows) out.record(rowRecord(row));
    return;
  }
  if (rows.length === 0) return out.line(emptyText(options, (await store.counts()).outbox));
  const cells = rows.map((row) => [
    String(row.rowId),
    row.kind,
    row.meter,
    visible(row.company),
    row.customer ?? "",
    `${instant(row.windowStart)} – ${instant(row.windowEnd)}`,
    grouped(formatDecimal(row.reported)),
    row.state,
    `${row.attempts}`,
    row.firstAttemptAt === null ? "" : stamp(row.firstAttemptAt),
    [row.late === null ? "" : `late: ${row.late}`, visible(row.reason ?? "")].filter((part) => part !== "").join(", "),
  ]);
  out.table(
    [
      ["row", "kind", "meter", "company", "customer", "window", "value", "state", "tries", "first try", "reason"],
      ...cells,
    ],
    {
      right: [0, 6, 8],
    },
  );
  const isCut = statesOf(state).some((each) => rows.filter((row) => row.state === each).length >= limit);
  if (isCut) out.hint(cutHint(limit, limit) ?? "");
  out.hint(
    "meterbook outbox show <row> shows its history; resolve decides about what is dead, late, in conflict, or billed by no subscription.",
  );
  if (rows.some(({ reason }) => reason === "no_customer"))
    out.hint("no_customer: give a customer at Stripe that company id; the report goes out by itself then.");
}

/** Nothing waits, nothing was ever made, or nothing is like that: three findings. */
function emptyText({ state, company, meter }: ListOptions, counts: Readonly<Record<OutboxState, number>>): string {
  if (Object.values(counts).every((count) => count === 0))
    return "There are no reports yet: `meterbook report` closes what is due.";
  if (state === undefined && company === undefined && meter === undefined) return "Every report is at Stripe.";
  const parts = [
    state === undefined ? "that is not at Stripe" : state === "all" ? "" : `that is ${state}`,
    company === undefined ? "" : `for company ${visible(company)}`,
    meter === undefined ? "" : `of meter ${visible(meter)}`,
  ];
  return `There is no report ${parts.filter((part) => part !== "").join(" ")}.`;
}

const NOT_AT_BILLER: readonly OutboxState[] = ["held", "pending", "sending", "dead", "conflict"];

function statesOf(state: string | undefined): readonly OutboxState[] {
  if (state === undefined) return NOT_AT_BILLER;
  if (state === "all") return OUTBOX_STATES;
  const known = OUTBOX_STATES.find((each) => each === state);
  if (known !== undefined) return [known];
  throw new MeterbookError("METER_COMMAND_INVALID", `--state is "${state}"`, {
    remedy: `${meantBy(state, [...OUTBOX_STATES, "all"])}Write one of ${OUTBOX_STATES.join(", ")}, or all.`,
  });
}

async function show({ store }: MeterNode, report: string, out: Output): Promise<void> {
  const row = await theReport(store, report);
  const history = await store.rowHistory(row.rowId);
  if (out.json)
    return out.record({ ...rowRecord(row), history: history.map((line) => ({ ...line, at: instant(line.at) })) });
  const { rowId, kind, meter, reportAs, company, customer, sequence, timestamp } = row;
  out.line(`row ${rowId}  ${kind}  ${meter} (${reportAs})  ${visible(company)}  ${customer ?? "(no customer yet)"}`);
  out.line(
    `window ${instant(row.windowStart)} – ${instant(row.windowEnd)}  report ${sequence + 1} of it, stated at ${instant(timestamp)}`,
  );
  out.line(
    `covers ${grouped(formatDecimal(row.raw))}, says ${grouped(formatDecimal(row.reported))}${row.mode === "set" ? " (the biller's window as a whole)" : ""}`,
  );
  if (row.cancels !== null) out.line(`takes row ${row.cancels} back`);
  if (row.late !== null) out.line(LATE_TEXT[row.late]);
  out.line(`${row.state}${row.reason === null ? "" : `: ${visible(row.reason)}`}`);
  out.line(`identifier ${row.identifier ?? "(none yet)"}  requests ${row.requestIds.join(" ") || "(none)"}`);
  out.line(`${stamp(row.createdAt)}  made`);
  for (const line of history) out.line(historyLine(line));
}

async function decide({ store }: MeterNode, report: string, options: ResolveOptions, out: Output): Promise<void> {
  const as = orderOf(options.as);
  const { rowId } = await theReport(store, report);
  const resolved = await resolveRow({
    store,
    rowId,
    as,
    ...operatorOf(options),
    now: systemClock.now(),
  });
  const { row, to, applied, anew } = resolved;
  if (out.json) return out.record({ ...rowRecord(row), to, applied, anew: anew?.rowId ?? null });
  out.line(
    `row ${rowId}  ${row.meter}  ${visible(row.company)}  ${grouped(formatDecimal(row.value))}  ${row.state} → ${to}`,
  );
  if (as === "carry") out.line("The next round states it in the customer's present billing period.");
  if (anew !== null) out.line(`row ${anew.rowId}  has its usage from now on, and waits for its company's customer`);
  if (!applied) out.line("Nothing was changed; without --dry-run, and with --by and --cause, it is.");
}

const LATE_TEXT: Readonly<Record<LatePolicy, string>> = {
  carry: "goes onto the present invoice: none of its own takes it",
  hold: "came too late for its invoice: held",
  write_off: "came too late for its invoice: written off",
};

function orderOf(text: string): RowOrder {
  const order = ROW_ORDERS.find((each) => each === text);
  if (order !== undefined) return order;
  throw new MeterbookError("METER_COMMAND_INVALID", `--as is "${text}"`, { remedy: `Write ${ROW_ORDERS.join(", ")}.` });
}
