import { Command } from "commander";

import { formatDecimal } from "../../core/decimal.ts";
import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import { confirmDrift, type ConfirmedDrift } from "../../engine/corrections/confirm-drift.ts";
import { limits } from "../../engine/limits.ts";
import type { BillerLane, Drift, UsageReporter } from "../../engine/ports.ts";
import { withReporterLease } from "../../engine/delivery/reporter-lease.ts";
import { reconcile, type ReconcileSummary } from "../../engine/reconciliation/reconcile.ts";
import { isInShadow } from "../../engine/outbox/shadow.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { holderName, systemClock, systemWait } from "../../runtime/system.ts";
import { operatorOf, type Operator, type OperatorOptions } from "../operator.ts";
import { unknownMeter } from "../meant.ts";
import { grouped, instant, numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ReconcileCommandOptions extends CommonOptions, OperatorOptions {
  readonly company?: string;
  readonly meter?: string;
  readonly confirm?: boolean;
}

/** `meterbook reconcile`: what was reported against Stripe's books, down to the row. */
export function reconcileCommand(): Command {
  return new Command("reconcile")
    .description("Compare what was reported with Stripe's books; the app's own worker does the same once a day")
    .option("--dry-run", "only read and show; change and send nothing")
    .option("--company <id>", "only this company's customers")
    .option("--meter <name>", "only this meter, by its key or its Stripe event name")
    .option("--confirm", "correct each surplus: cancel a doubled report, or report the negative difference")
    .option("--by <name>", "who says so, with --confirm; kept in the history")
    .option("--cause <text>", "why, with --confirm; kept in the history")
    .addHelpText(
      "after",
      "\nMissing reports are sent again by themselves at the second reading that misses them. Exits 1 while differences remain.\nExample: meterbook reconcile --dry-run",
    )
    .action(async (options: ReconcileCommandOptions) => {
      process.exitCode = await withNode(options, (node, out) => run(node, options, out));
    });
}

async function run(node: MeterNode, options: ReconcileCommandOptions, out: Output): Promise<number> {
  const { store } = node;
  const { stripe } = node.settings.billing;
  const { reporter } = node;
  if (stripe === null || reporter === null) {
    throw new MeterbookError(
      "METER_STRIPE_KEY_MISSING",
      "There is no Stripe key, so there are no books to compare with.",
      {
        remedy: "Set the variable that billing.stripe.apiKey names.",
      },
    );
  }
  const operator = options.confirm === true ? operatorOf(options) : null;
  const isShadow = await isInShadow(store);
  if (isShadow) out.hint("Reporting is in shadow: nothing is changed.");
  const readOnly = options.dryRun === true || isShadow;
  const lanes = await laneFilter(node, options);
  const work = async (keepLease: () => Promise<boolean>): Promise<number> => {
    const summary = await reconcile({
      store,
      reporter,
      clock: systemClock,
      graceMs: stripe.report.graceMs,
      lanes,
      readOnly,
      keepLease,
      pace: node.pace,
      wait: systemWait,
      onProgress: (done, of) => out.progress(`${done} of ${of} customers and meters`),
    });
    out.progress(null);
    if (summary === null) return 0;
    show(summary, readOnly, out, nothingText(options));
    if (operator === null) return isClean(summary) ? 0 : 1;
    const confirmed = await confirmAll(
      { node, reporter, operator, readOnly, graceMs: stripe.report.graceMs },
      summary.drifts,
      out,
    );
    return isClean(summary) || (confirmed && summary.drifts.every(({ verdict }) => verdict !== "missing")) ? 0 : 1;
  };
  if (readOnly) return work(async () => true);
  const done = await leased(node, work);
  if (done !== null) return done;
  if (out.json) out.record({ busy: true });
  else out.line("Another process is reporting at the moment; nothing was compared from here.");
  return 1;
}

/** An app's round of reporting is short: it is waited for. */
async function leased(
  { store }: MeterNode,
  work: (keepLease: () => Promise<boolean>) => Promise<number>,
): Promise<number | null> {
  const holder = holderName();
  for (let tries = 0; tries < LEASE_TRIES; tries++) {
    const done = await withReporterLease({ store, clock: systemClock, holder }, work);
    if (done !== null) return done;
    await systemWait(LEASE_PAUSE_MS);
  }
  return null;
}

const HOUR_MS = 3_600_000;
const LEASE_TRIES = 20;
const LEASE_PAUSE_MS = 500;

async function laneFilter(
  { store, catalog, settings }: MeterNode,
  { company, meter }: ReconcileCommandOptions,
): Promise<(lane: BillerLane) => boolean> {
  const definitions = [...catalog.meters, ...settings.meters];
  const names = new Set(definitions.filter(({ key }) => key === meter).map(({ reportAs }) => reportAs));
  if (meter !== undefined && names.size === 0) {
    if (!definitions.some(({ reportAs }) => reportAs === meter))
      throw unknownMeter(
        meter,
        definitions.flatMap(({ key, reportAs }) => [key, reportAs]),
      );
    names.add(meter);
  }
  const customers = new Set<string | null>();
  if (company !== undefined) {
    for (const { customer } of await store.outbox({ company, limit: limits.heldRowsMax })) customers.add(customer);
  }
  return ({ customer, reportAs }) =>
    (meter === undefined || names.has(reportAs)) && (company === undefined || customers.has(customer));
}

function isClean({ drifts, stopped, left }: ReconcileSummary): boolean {
  return stopped === null && left === 0 && drifts.every(({ verdict }) => verdict === "inexact");
}

/** Why there is nothing to compare. */
function nothingText({ company, meter }: ReconcileCommandOptions): string {
  const parts = [
    company === undefined ? "" : ` for company ${visible(company)}`,
    meter === undefined ? "" : ` of meter ${visible(meter)}`,
  ];
  return `Nothing${parts.join("")} was reported to Stripe so far, so there is nothing to compare.`;
}

function show(summary: ReconcileSummary, readOnly: boolean, out: Output, nothing: string): void {
  const { lanes, left, reads, settled, drifts, changes, stopped } = summary;
  if (out.json) {
    for (const drift of drifts) out.record({ kind: "drift", ...driftRecord(drift) });
    for (const change of changes) out.record({ kind: "change", ...change });
    return out.record({
      kind: "summary",
      lanes,
      left,
      reads,
      settled,
      drifts: drifts.length,
      changes: changes.length,
      stopped,
      dryRun: readOnly,
    });
  }
  if (lanes + left === 0 && stopped === null && drifts.length + changes.length === 0) return out.line(nothing);
  if (drifts.length > 0) {
    const cells = drifts.map((drift) => [
      visible(drift.customer),
      visible(drift.reportAs),
      spanText(drift),
      grouped(formatDecimal(drift.ours)),
      grouped(formatDecimal(drift.theirs)),
      drift.verdict,
      drift.rowIds.join(", "),
    ]);
    out.table([["customer", "meter", "hour", "ours", "theirs", "verdict", "rows"], ...cells], { right: [3, 4] });
  }
  for (const { rowId, to, reason } of changes)
    out.line(to === "pending" ? `row ${rowId} goes out again: ${reason}` : `row ${rowId} is in conflict: ${reason}`);
  const settledText = `${numbered(settled, "report")} ${readOnly ? "would be settled" : "settled"}`;
  out.line(
    `${numbered(lanes, "pair")} of customer and meter looked at · ${settledText} · ${numbered(drifts.length, "difference")} · ${numbered(reads, "reading")} of Stripe's books`,
  );
  if (reads > 0 && left === 0 && drifts.length === 0) out.line("✓ Stripe's books say what was reported.");
  if (left > 0) out.line(`${left} were not compared${stopped === null ? "" : `: ${stopped}`}`);
  if (lanes > 0 && reads === 0)
    out.hint(
      `Reports less than ${limits.reconcileAfterMs / HOUR_MS} hours old are not judged: Stripe's books are behind.`,
    );
  if (readOnly) out.line("Nothing was changed.");
  else if (drifts.some(({ verdict }) => verdict === "surplus"))
    out.hint("A surplus is corrected by --confirm --by <name> --cause <text>; try it with --dry-run first.");
}

/** A minute is a report's own; a whole hour or day has no report of ours that could be named. */
function spanText({ from, to }: Drift): string {
  return `${instant(from)} – ${instant(to)}`;
}

function driftRecord(drift: Drift): object {
  const { customer, reportAs, verdict, rowIds } = drift;
  return {
    customer,
    meter: reportAs,
    from: instant(drift.from),
    to: instant(drift.to),
    ours: formatDecimal(drift.ours),
    theirs: formatDecimal(drift.theirs),
    verdict,
    rows: rowIds,
    found: instant(drift.foundAt),
  };
}

interface Confirming {
  readonly node: MeterNode;
  readonly reporter: UsageReporter;
  readonly operator: Operator;
  readonly readOnly: boolean;
  readonly graceMs: number;
}

/** True when every surplus is corrected, or would be. */
async function confirmAll(
  { node: { store }, reporter, operator, readOnly, graceMs }: Confirming,
  drifts: readonly Drift[],
  out: Output,
): Promise<boolean> {
  const account = await reporter.account();
  let all = true;
  for (const drift of drifts.filter(({ verdict }) => verdict === "surplus")) {
    try {
      const now = systemClock.now();
      showConfirmed(await confirmDrift({ store, account, drift, ...operator, now, graceMs, dryRun: readOnly }), out);
    } catch (error) {
      if (!isMeterbookError(error) || error.code !== "METER_CORRECTION_REFUSED") throw error;
      all = false;
      if (out.json) out.record({ kind: "refused", ...driftRecord(drift), reason: error.message });
      else out.line(`✗ ${error.message}`);
    }
  }
  return all;
}

const WAYS: Readonly<Record<ConfirmedDrift["by"], string>> = {
  cancel: "the report is cancelled, and what it covered is reported again",
  adjust: "the difference is reported as a negative value",
  resend: "the last total is sent again",
};

function showConfirmed({ drift, by, row }: ConfirmedDrift, out: Output): void {
  const rowId = row?.rowId ?? null;
  if (out.json) return out.record({ kind: "confirmed", ...driftRecord(drift), by, row: rowId });
  out.line(
    `${visible(drift.customer)}  ${visible(drift.reportAs)}  ${spanText(drift)}  ${WAYS[by]}${rowId === null ? "" : ` (row ${rowId})`}`,
  );
}
