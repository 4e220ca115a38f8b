import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal, type Decimal } from "../../core/decimal.ts";
import { diffBuckets, usageRows, type Bucket } from "../../core/usage.ts";
import { isReported } from "../outbox/closing.ts";
import { rowLanes, type RowLane } from "../outbox/outbox-lanes.ts";
import type { StoreView } from "../ports.ts";
import { differenceOf, reportedOf } from "../usage/usage-change.ts";

/** What a replay makes of one company's usage of the meter: exact decimal text, null where there is no figure. */
export interface ReplayedCompany {
  readonly company: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly difference: string | null;
  /** What the biller has of this span. */
  readonly reported: string;
  /** What reports of closed windows will correct; the rest is in windows that are still to be closed. */
  readonly correction: string;
}

interface Span {
  /** Bucket starts, half-open. */
  readonly from: number;
  readonly to: number;
  readonly before: readonly Bucket[];
  readonly after: readonly Bucket[];
}

/** The companies whose usage differs, by name. */
export async function replayedCompanies(
  store: Pick<StoreView, "laneTotals" | "outbox">,
  catalog: Catalog,
  meter: string,
  { from, to, before, after }: Span,
): Promise<readonly ReplayedCompany[]> {
  const old = byCompany(before);
  const next = byCompany(after);
  const changes = [...new Set([...old.keys(), ...next.keys()])].toSorted().flatMap((company) => {
    const sides = { company, before: old.get(company) ?? [], after: next.get(company) ?? [] };
    if (diffBuckets(sides.after, sides.before).length === 0) return [];
    return [{ sides, figures: differenceOf(sides.before, sides.after) }];
  });
  const companies = new Set(changes.map(({ sides }) => sides.company));
  const closed = new Map<string, ClosedUsage>();
  for await (const lane of rowLanes(store, { windowFrom: from, windowTo: to }))
    if (lane.meter === meter && companies.has(lane.company)) closed.set(lane.company, await closedUsage(lane));
  const definition = catalog.meters.find(({ key }) => key === meter);
  const isSent = definition !== undefined && isReported(definition);
  return changes.map(({ sides, figures }) => {
    const { windows, reported } = closed.get(sides.company) ?? { windows: new Map<number, number>(), reported: 0n };
    const correction = isSent ? closedDifference(sides.before, sides.after, windows) : 0n;
    return {
      company: sides.company,
      ...figures,
      reported: formatDecimal(reported),
      correction: formatDecimal(correction),
    };
  });
}

/** The closed windows of a meter that have other usage afterwards, each as a text of its company and its start. */
export async function changedClosedWindows(
  store: Pick<StoreView, "laneTotals" | "outbox">,
  meter: string,
  { from, to, before, after }: Span,
): Promise<readonly string[]> {
  const [old, next] = [byCompany(before), byCompany(after)];
  const changed: string[] = [];
  for await (const lane of rowLanes(store, { windowFrom: from, windowTo: to })) {
    if (lane.meter !== meter) continue;
    const { windows } = await closedUsage(lane);
    for (const [start, end] of windows) {
      const inside = (bucket: Bucket): boolean => bucket.start >= start && bucket.start < end;
      const sides = [old, next].map((side) => (side.get(lane.company) ?? []).filter(inside));
      if (diffBuckets(sides[1] ?? [], sides[0] ?? []).length > 0) changed.push(JSON.stringify([lane.company, start]));
    }
  }
  return changed;
}

/** What of a company's usage was closed: windows as start → end, and what the biller has of them. */
interface ClosedUsage {
  readonly windows: ReadonlyMap<number, number>;
  readonly reported: Decimal;
}

async function closedUsage({ pages }: RowLane): Promise<ClosedUsage> {
  const windows = new Map<number, number>();
  let reported = 0n;
  for await (const rows of pages) {
    reported += reportedOf(rows);
    for (const { windowStart, windowEnd } of rows) windows.set(windowStart, windowEnd);
  }
  return { windows, reported };
}

/** By how much the usage of closed windows differs. */
function closedDifference(
  before: readonly Bucket[],
  after: readonly Bucket[],
  windows: ClosedUsage["windows"],
): Decimal {
  let total = 0n;
  for (const [from, to] of windows) {
    const inside = ({ start }: Bucket): boolean => start >= from && start < to;
    total += figureOf(after.filter(inside)) - figureOf(before.filter(inside));
  }
  return total;
}

function figureOf(buckets: readonly Bucket[]): Decimal {
  return usageRows(buckets, { window: null })[0]?.value ?? 0n;
}

function byCompany(buckets: readonly Bucket[]): ReadonlyMap<string, readonly Bucket[]> {
  const companies = new Map<string, Bucket[]>();
  for (const bucket of buckets) {
    const known = companies.get(bucket.company);
    if (known === undefined) companies.set(bucket.company, [bucket]);
    else known.push(bucket);
  }
  return companies;
}
