import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { Store } from "../../engine/ports.ts";
import { queryUsage } from "../../engine/usage/usage-query.ts";
import type { ExportColumn, ExportRow } from "./export-file.ts";

const DAY_MS = 86_400_000;

/** What stands in each row of exported usage; `value` is exact, and empty where there is no figure. */
export const USAGE_COLUMNS: readonly ExportColumn[] = [
  { name: "meter", kind: "text" },
  { name: "customer", kind: "text" },
  { name: "from", kind: "instant" },
  { name: "to", kind: "instant" },
  { name: "value", kind: "decimal" },
  { name: "events", kind: "whole" },
  { name: "group", kind: "json" },
];

export interface UsageExport {
  readonly from?: number;
  readonly to?: number;
  readonly meter?: string;
  readonly company?: string;
  readonly window: "hour" | "day";
}

/** Usage by meter, customer, group and UTC window, a day and a meter at a time: memory does not grow with the span. */
export async function exportUsage(
  store: Store,
  catalog: Catalog,
  { from, to, window, meter, company }: UsageExport,
  write: (rows: readonly ExportRow[]) => Promise<void>,
): Promise<void> {
  const end = to ?? Number.POSITIVE_INFINITY;
  const meters = catalog.meters.filter(({ key }) => meter === undefined || key === meter);
  // A meter or label that nobody knows is refused by the question itself.
  const asked = meters.length > 0 ? meters : [{ key: meter ?? "", groupBy: {} }];
  const purgedUntil = await store.purgedUntil();
  if (purgedUntil !== null && from === undefined) throw fromMissing(purgedUntil);
  let day = await nextDay(store, from ?? Number.NEGATIVE_INFINITY, from, purgedUntil);
  while (day !== null && day < end) {
    const span = { from: Math.max(day, from ?? day), to: Math.min(day + DAY_MS, end) };
    for (const { key, groupBy } of asked) {
      const who = company === undefined ? {} : { company };
      const question = { ...span, ...who, meter: key, window, groupBy: Object.keys(groupBy) };
      const rows = await queryUsage(store, catalog, question);
      await write(
        rows.map((row) => [row.meter, row.customer, row.from, row.to, row.value, row.events, group(row.group)]),
      );
    }
    day = await nextDay(store, day + DAY_MS, from, purgedUntil);
  }
}

/** The UTC day at or after an instant that has events, or may have had some that were deleted; null = none. */
async function nextDay(
  store: Store,
  after: number,
  from: number | undefined,
  purgedUntil: number | null,
): Promise<number | null> {
  if (purgedUntil !== null && from !== undefined && after < purgedUntil) return dayOf(after);
  const [next] = await store.eventsInSpan({ ...(Number.isFinite(after) ? { from: after } : {}), limit: 1 });
  return next === undefined ? null : dayOf(next.event.time);
}

function dayOf(time: number): number {
  return Math.floor(time / DAY_MS) * DAY_MS;
}

function group(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(labels);
}

function fromMissing(purgedUntil: number): MeterbookError {
  const until = new Date(purgedUntil).toISOString();
  return new MeterbookError("METER_COMMAND_INVALID", `Events of before ${until} were deleted, their usage is kept.`, {
    remedy: "Name the day from which usage is wanted with --from.",
  });
}
