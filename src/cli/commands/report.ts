import { Command } from "commander";

import { formatDecimal, fromInteger, type Decimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { planReport, type ReportPlan } from "../../engine/delivery/report.ts";
import { limits } from "../../engine/limits.ts";
import type { ReportPlanSettings } from "../../engine/outbox/closing.ts";
import { waitsForSubscription } from "../../engine/outbox/coverage.ts";
import type { UnsubscribedLane } from "../../engine/outbox/unsubscribed.ts";
import { reportCycle } from "../../runtime/report-cycle.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { holderName, systemClock } from "../../runtime/system.ts";
import { EXIT } from "../exit-codes.ts";
import { meterMismatches } from "../meter-standings.ts";
import { grouped, instant, numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import { unsubscribedLines } from "../unsubscribed-text.ts";

/** `meterbook report`: close what is due and send it; or show the exact calls. */
export function reportCommand(): Command {
  return new Command("report")
    .description("Report closed usage windows to Stripe once; the app's own worker does the same by itself")
    .option("--dry-run", "show the exact calls that would be sent; send and write nothing")
    .addHelpText(
      "after",
      "\nExits 1 when sending is stopped, Stripe cannot be reached, or a meter at Stripe adds up otherwise than configured.\nExample: meterbook report --dry-run",
    )
    .action(async (options: CommonOptions & { dryRun?: boolean }) => {
      process.exitCode = await withNode(options, (node, out) =>
        options.dryRun === true ? showPlan(node, out) : sendOnce(node, out),
      );
    });
}

async function showPlan(node: MeterNode, out: Output): Promise<number> {
  const stripe = reporting(node);
  const plan = await planReport({
    store: node.store,
    catalog: node.catalog,
    reporter: node.reporter,
    settings: stripe,
    clock: systemClock,
  });
  for (const record of plan.records) {
    const call = {
      event_name: record.reportAs,
      customer: record.customer,
      company: record.company,
      value: formatDecimal(record.value),
      timestamp: instant(record.timestamp),
      identifier: record.identifier,
      from: instant(record.windowStart),
      to: instant(record.windowEnd),
    };
    if (out.json) out.record(call);
    else
      out.line(
        `→ stripe  ${call.event_name}  ${call.customer}  ${grouped(call.value)}  ${call.from} – ${call.to}  ${call.identifier}`,
      );
  }
  for (const held of plan.held) {
    if (out.json)
      out.record({
        held: true,
        event_name: held.reportAs,
        company: held.company,
        value: formatDecimal(held.raw),
        reason: held.reason,
      });
    else
      out.line(
        `held      ${held.reportAs}  ${visible(held.company)}  ${grouped(formatDecimal(held.raw))}  ${held.reason ?? ""}`,
      );
  }
  for (const line of unsubscribedLines(lanesOf(plan))) out.hint(line);
  await hintOpen(node, stripe.report, out);
  if (stripe.shadow)
    out.hint("shadow: these calls are not made; meterbook compare --export shows what would be billed.");
  if (!out.json) out.line(`${plan.records.length} to send, ${plan.held.length} held. Nothing was sent.`);
  if (node.reporter === null)
    out.hint("There is no Stripe key, so nothing can be addressed: set billing.stripe.apiKey.");
  await assertMetersFit(node);
  return EXIT.ok;
}

/** Usage of windows that have not ended is not in the plan: without a word it would look lost. */
async function hintOpen(
  { store }: MeterNode,
  { windowMs, latenessMs }: ReportPlanSettings,
  out: Output,
): Promise<void> {
  const now = systemClock.now();
  const marked = await store.dirtyWindows({ windowMs, before: Number.MAX_SAFE_INTEGER, limit: limits.heldRowsMax });
  const open = marked.filter(({ windowEnd }) => windowEnd + latenessMs > now);
  const [first] = open;
  if (first === undefined) return;
  const due = open.reduce<Decimal>((sum, { total, enqueuedRaw }) => sum + total - enqueuedRaw, fromInteger(0));
  out.hint(
    `${grouped(formatDecimal(due))} more in ${numbered(open.length, "open window")}; the first closes at ${instant(first.windowEnd + latenessMs)}.`,
  );
}

/** What the plan holds for want of a subscription, by company and meter; its reason names the customer. */
function lanesOf({ held }: ReportPlan): readonly UnsubscribedLane[] {
  const lanes = new Map<string, UnsubscribedLane>();
  for (const { company, reportAs, reason } of held.filter(waitsForSubscription)) {
    const key = JSON.stringify([company, reportAs]);
    const customer = /^no_subscription: (\S+)/.exec(reason ?? "")?.[1] ?? null;
    lanes.set(key, { company, reportAs, customer, rows: (lanes.get(key)?.rows ?? 0) + 1 });
  }
  return [...lanes.values()];
}

async function sendOnce(node: MeterNode, out: Output): Promise<number> {
  const stripe = reporting(node);
  if (node.reporter === null) {
    throw new MeterbookError("METER_STRIPE_KEY_MISSING", "billing.stripe.apiKey is empty.", {
      remedy:
        "Set the variable that the file names, e.g. STRIPE_API_KEY, to a restricted key that may write meter events.",
    });
  }
  const summary = await reportCycle(node, {
    clock: systemClock,
    holder: holderName(),
    // A mismatch is the command's own failure, told at its end.
    onNotice: ({ code, text }) => (code === MISMATCH ? undefined : out.hint(`${code}: ${text}`)),
  });
  if (summary === null) {
    if (out.json) out.record({ busy: true });
    else out.line("Another process is reporting at the moment; nothing was sent from here.");
    return 0;
  }
  if (out.json) out.record(summary);
  else
    out.line(
      `closed ${numbered(summary.closed, "window")} · sent ${summary.accepted} · retry later ${summary.retried} · held ${summary.held} · refused ${summary.dead} · in conflict ${summary.conflicts}`,
    );
  if (stripe.shadow) out.hint("shadow: nothing was sent; these are the calls that would have been made.");
  if (summary.held > 0) out.hint("meterbook held list shows what is held, and why.");
  if (summary.dead + summary.conflicts > 0)
    out.hint("meterbook outbox shows what was refused or is in doubt, and why.");
  if (summary.stopped !== null || summary.gaveUp) return EXIT.failed;
  await assertMetersFit(node);
  return EXIT.ok;
}

const MISMATCH = "METER_STRIPE_METER_MISMATCH";

/** Usage of a meter that Stripe adds up otherwise is kept and not sent, which must not pass for a success. */
async function assertMetersFit(node: MeterNode): Promise<void> {
  const reasons = await meterMismatches(node);
  if (reasons.length > 0)
    throw new MeterbookError(MISMATCH, reasons.join("\n"), {
      remedy:
        "Its usage is kept, and goes out once both agree: edit the meter in the file and start the app, or mend it at Stripe.",
    });
}

function reporting(node: MeterNode): NonNullable<MeterNode["settings"]["billing"]["stripe"]> {
  const { stripe } = node.settings.billing;
  if (stripe === null)
    throw new MeterbookError("METER_STRIPE_KEY_MISSING", "The configuration has no billing.stripe.", {
      remedy: "Add billing.stripe with apiKey: ${STRIPE_API_KEY}.",
    });
  return stripe;
}
