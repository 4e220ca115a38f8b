import type { Clock } from "../engine/ports.ts";
import { reportOnce, type ReportSummary } from "../engine/report.ts";
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
  return reportOnce({
    ...options,
    store,
    catalog,
    reporter,
    pace: node.pace,
    settings: settings.billing.stripe,
    random: systemJitter,
    wait: systemWait,
  });
}
