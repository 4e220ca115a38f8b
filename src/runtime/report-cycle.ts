import type { StripeSettings } from "../config/settings.ts";
import type { Clock } from "../engine/ports.ts";
import { reconcile } from "../engine/reconciliation/reconcile.ts";
import { withReporterLease } from "../engine/delivery/reporter-lease.ts";
import { reportOnce, type ReportSummary } from "../engine/delivery/report.ts";
import type { MeterNode } from "./node.ts";
import type { Notice } from "./notice.ts";
import { systemJitter, systemWait } from "./system.ts";

/** One round of reporting: close windows, release held rows, deliver. Null = another process reports, or nothing is configured. */
export async function reportCycle(
  node: MeterNode,
  options: { readonly clock: Clock; readonly holder: string; readonly onNotice: (notice: Notice) => void },
): Promise<ReportSummary | null> {
  const { reporter, store, settings } = node;
  if (reporter === null || settings.billing.stripe === null) return null;
  await node.reload();
  const { catalog } = node;
  const { stripe } = settings.billing;
  const summary = await reportOnce({
    ...options,
    store,
    catalog,
    reporter,
    pace: node.pace,
    alarms: node.alarms,
    settings: stripe,
    random: systemJitter,
    wait: systemWait,
  });
  // With the books of a biller that refuses the key, or while nothing is sent on purpose, there is nothing to compare.
  if (summary !== null && summary.stopped === null && !summary.shadow) await reconcileCycle(node, stripe, options);
  return summary;
}

/** Compares what is due with the biller's books, if no other process reports meanwhile. */
async function reconcileCycle(
  { store, reporter, pace }: MeterNode,
  { report }: StripeSettings,
  options: { readonly clock: Clock; readonly holder: string; readonly onNotice: (notice: Notice) => void },
): Promise<void> {
  if (reporter === null) return;
  await withReporterLease({ ...options, store }, (keepLease) =>
    reconcile({
      ...options,
      store,
      reporter,
      graceMs: report.graceMs,
      lanes: "due",
      readOnly: false,
      keepLease,
      pace,
      wait: systemWait,
    }),
  );
}
