import { periodsAt, type PeriodsOf } from "./billing-periods.ts";
import type { Catalog } from "../../core/catalog.ts";
import { reportDefinitions } from "./closing.ts";
import { limits } from "../limits.ts";
import type { BillerLane, Store } from "../ports.ts";
import { closableWindows, reportEras } from "./report-windows.ts";

/** Usage with its event time, that is not at the biller. */
interface Unreported extends BillerLane {
  readonly timestamp: number;
}

/**
 * A sentence when usage of a billing period that ended 40 minutes ago is still not at the biller, whatever keeps it: its
 * invoice is final soon. Each lane's period is told once. Null when there is none.
 */
export async function lateReports(
  store: Store,
  catalog: Catalog,
  periods: PeriodsOf,
  now: number,
): Promise<string | null> {
  const late: string[] = [];
  for (const { customer, reportAs, timestamp } of await unreported(store, catalog, now)) {
    const ended = periodsAt(await periods({ customer, reportAs }), timestamp).filter(
      ({ to }) => to <= now - limits.periodReportLateMs,
    );
    for (const { to } of ended) {
      const isNew = await store.takeOnce(JSON.stringify(["late_report", customer, reportAs, to]), now);
      if (isNew) late.push(`${reportAs} of ${customer} (period to ${new Date(to).toISOString()})`);
    }
  }
  if (late.length === 0) return null;
  const shown = late.slice(0, SHOWN_MAX).join(", ");
  const more = late.length > SHOWN_MAX ? ` and ${late.length - SHOWN_MAX} more` : "";
  return `Usage of billing periods that have ended is not at the biller yet: ${shown}${more}. Once their invoices are final it goes by the meter's policy for late usage.`;
}

const SHOWN_MAX = 5;

/** The oldest of what is on its way, and windows that should be closed. */
async function unreported(store: Store, catalog: Catalog, now: number): Promise<readonly Unreported[]> {
  const found: Unreported[] = [];
  for (const state of ["pending", "sending"] as const) {
    for (const { customer, reportAs, timestamp } of await store.outbox({ state, limit: limits.closeWindowsMax }))
      if (customer !== null) found.push({ customer, reportAs, timestamp });
  }
  const eras = await reportEras(store);
  const windows = eras === null ? [] : await closableWindows(store, eras, now, limits.periodReportLateMs);
  const definitions = windows.length === 0 ? new Map() : await reportDefinitions({ store, catalog });
  const companies = [...new Set(windows.map(({ company }) => company))];
  const mappings = companies.length === 0 ? [] : await store.customerMappings(companies);
  for (const { meter, company, windowStart } of windows) {
    const mapping = mappings.find((each) => each.company === company && each.state === "mapped");
    const customer = mapping?.customers[0];
    const reportAs: string | undefined = definitions.get(meter)?.reportAs;
    if (customer !== undefined && reportAs !== undefined) found.push({ customer, reportAs, timestamp: windowStart });
  }
  return found;
}
