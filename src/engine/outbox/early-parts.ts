import type { MeterDefinition } from "../../core/meter.ts";
import { windowStart } from "../../core/window.ts";
import { boundariesOf } from "./billing-periods.ts";
import { reportDefinitions, type Closing } from "./closing.ts";
import { limits } from "../limits.ts";
import type { MeterModes } from "./meter-modes.ts";
import { enqueueRows, type ClosedUsage } from "./outbox.ts";
import type { BilledPeriod, DirtyWindow, NewOutboxRow } from "../ports.ts";
import { reportEras } from "./report-windows.ts";
import { windowRows } from "./window-rows.ts";

/**
 * Closes what a billing period that ends needs before its invoice is final: the windows of its last hour after a shorter
 * wait, and of a window in which it ended the part before, while that window is still open. A customer's own hours of
 * billing begin at any second, so waiting for the window's end would often be too late.
 */
export async function closeEndedParts(
  closing: Closing,
  modes: Pick<MeterModes, "keep">,
  present: readonly BilledPeriod[],
): Promise<ClosedUsage> {
  const { report, now } = closing;
  const latenessMs = lastHourLateness(closing);
  const from = windowStart(now - report.latenessMs, report.windowMs) - HOUR_MS;
  const ending = present.filter((period) => boundariesOf([period]).some((at) => at > from && at < now + HOUR_MS));
  const companies = ending.length === 0 ? new Map<string, string>() : await companiesOf(closing, ending);
  const definitions = await reportDefinitions(closing);
  const held: NewOutboxRow[] = [];
  let closed = 0;
  for (const [company, customer] of companies) {
    for (const window of await openWindows(closing, company)) {
      const definition = definitions.get(window.meter);
      if (definition === undefined) continue;
      const { reportAs } = definition;
      const periods = ending.filter((period) => period.customer === customer && period.reportAs === reportAs);
      const until = closableUntil(window, boundariesOf(periods), now - latenessMs);
      if (until === null) continue;
      const made = await closePart(closing, modes, { window, definition, until });
      closed += made.closed;
      held.push(...made.held);
    }
  }
  return { closed, held };
}

const HOUR_MS = 3_600_000;

/** How long windows wait for late events in the last hour of a billing period. */
function lastHourLateness({ report }: Pick<Closing, "report">): number {
  return Math.min(report.latenessMs, limits.lastHourLatenessMs, Math.floor(report.graceMs / 4));
}

/** Up to where a window may be closed before its time; null when it must wait as any other. */
function closableUntil(window: DirtyWindow, boundaries: readonly number[], waitedFor: number): number | null {
  const { windowStart: from, windowEnd: to } = window;
  if (to <= waitedFor && boundaries.some((at) => at >= to && at - HOUR_MS <= from)) return to;
  const ended = boundaries.filter((at) => at > from && at < to && at <= waitedFor);
  return ended.length === 0 ? null : Math.max(...ended);
}

/** The companies that these customers pay for. */
async function companiesOf({ store }: Closing, periods: readonly BilledPeriod[]): Promise<Map<string, string>> {
  const customers = new Set(periods.map(({ customer }) => customer));
  const companies = new Map<string, string>();
  for (const {
    company,
    state,
    customers: [customer],
  } of await store.customerMappings())
    if (state === "mapped" && customer !== undefined && customers.has(customer)) companies.set(company, customer);
  return companies;
}

/** A company's windows that wait for late events or for their end. */
async function openWindows({ store, report, now }: Closing, company: string): Promise<readonly DirtyWindow[]> {
  const era = (await reportEras(store))?.findLast(({ from }) => from <= now);
  if (era === undefined || era.windowMs !== report.windowMs) return [];
  const { windowMs } = report;
  const windows = await store.dirtyWindows({ windowMs, before: now + windowMs, limit: limits.heldRowsMax, company });
  return windows.filter((window) => window.windowStart >= era.from && window.windowEnd + report.latenessMs > now);
}

/** Usage goes on arriving in an open window, so it is read again until nothing came between reading and writing. */
async function closePart(
  closing: Closing,
  modes: Pick<MeterModes, "keep">,
  part: { readonly window: DirtyWindow; readonly definition: MeterDefinition; readonly until: number },
): Promise<ClosedUsage> {
  const { window, definition, until } = part;
  let basis: DirtyWindow | undefined = window;
  for (let tries = 0; tries < limits.partTriesMax && basis !== undefined; tries++) {
    const rows = await windowRows(closing, basis, definition, until);
    if (rows !== null && rows.every(({ row }) => row === null)) return NOTHING_CLOSED;
    if (rows !== null && (await closing.keepLease())) {
      const made = await enqueueRows(closing, modes, rows);
      if (made.closed > 0) return made;
    }
    const { windowStart: start } = window;
    basis = (await openWindows(closing, window.company)).find(
      (each) => each.meter === window.meter && each.windowStart === start,
    );
  }
  return NOTHING_CLOSED;
}

const NOTHING_CLOSED: ClosedUsage = { closed: 0, held: [] };
