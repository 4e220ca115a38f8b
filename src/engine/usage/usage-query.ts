import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { bucketStart, usageRows, type Bucket } from "../../core/usage.ts";
import { nearName } from "../../core/near-name.ts";
import type { Store, TimeRange } from "../ports.ts";
import { refold } from "../ingest/refold.ts";

/** Span of event time of one row, UTC. */
export type UsageWindow = "hour" | "day" | "month";

export interface UsageQuestion extends TimeRange {
  readonly meter?: string;
  readonly company?: string;
  /** Null = one row over the whole span. */
  readonly window: UsageWindow | null;
  /** Labels of the meter that stay in the rows; the others are summed over. */
  readonly groupBy: readonly string[];
}

/** Usage of one meter by one customer in one window and group; the contract of `meterbook usage --json`. */
export interface UsageAnswer {
  readonly meter: string;
  /** The company's id. */
  readonly customer: string;
  /** Half-open span that the row covers, milliseconds UTC. */
  readonly from: number;
  readonly to: number;
  /** Exact decimal text; null when there is no figure, such as the greatest of nothing. */
  readonly value: string | null;
  readonly events: number;
  readonly group: Readonly<Record<string, string>>;
}

/**
 * Usage by meter, customer, window and group. A bound that cuts a bucket is exact as long as the bucket's events are
 * kept; after they were purged it moves outward to the bucket's edge, and the rows' `from` and `to` say so.
 * Throws METER_UNKNOWN_METER for a meter or label that nobody knows.
 */
export async function queryUsage(
  store: Store,
  catalog: Catalog,
  question: UsageQuestion,
): Promise<readonly UsageAnswer[]> {
  const { meter, company, window, groupBy } = question;
  const found = await store.buckets({
    ...rangeOf(question),
    ...(meter === undefined ? {} : { meter }),
    ...(company === undefined ? {} : { company }),
  });
  checkNames(catalog, question, found);
  const cut = await cutBuckets(store, catalog, question, found);
  const [first, last] = spanOf(cut.buckets, store.bucketMs);
  const from = cut.from ?? first;
  const to = cut.to ?? last;
  // Windows are cut by what was asked for, never by where usage happens to begin.
  const bounds = { ...(cut.from === null ? {} : { from: cut.from }), ...(cut.to === null ? {} : { to: cut.to }) };
  return usageRows(cut.buckets, { window, ...bounds, groupBy }).map((row) => ({
    meter: row.meter,
    customer: row.company,
    from: row.from ?? from,
    to: row.to ?? to,
    value: row.value === null ? null : formatDecimal(row.value),
    events: row.events,
    group: row.group,
  }));
}

function rangeOf({ from, to }: TimeRange): TimeRange {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

function spanOf(buckets: readonly Bucket[], bucketMs: number): readonly [number, number] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { start } of buckets) {
    first = Math.min(first, start);
    last = Math.max(last, start + bucketMs);
  }
  return buckets.length === 0 ? [0, 0] : [first, last];
}

interface CutUsage {
  readonly from: number | null;
  readonly to: number | null;
  readonly buckets: readonly Bucket[];
}

/** Replaces buckets that a bound cuts by what the events inside the bounds give. */
async function cutBuckets(
  store: Store,
  catalog: Catalog,
  question: UsageQuestion,
  found: readonly Bucket[],
): Promise<CutUsage> {
  const { bucketMs } = store;
  const { from = null, to = null } = question;
  const edges = new Set(
    [from, to].flatMap((bound) =>
      bound === null || bound === bucketStart(bound, bucketMs) ? [] : [bucketStart(bound, bucketMs)],
    ),
  );
  if (edges.size === 0) return { from, to, buckets: found };
  if (!(await areRecomputable(store, catalog, question, found, edges))) {
    const widenedTo = to === null || to === bucketStart(to, bucketMs) ? to : bucketStart(to, bucketMs) + bucketMs;
    return { from: from === null ? null : bucketStart(from, bucketMs), to: widenedTo, buckets: found };
  }
  const whole = found.filter(({ start }) => !edges.has(start));
  const parts: Bucket[] = [];
  for (const edge of edges) {
    const range = { from: Math.max(edge, from ?? edge), to: Math.min(edge + bucketMs, to ?? edge + bucketMs) };
    const buckets = await refold(store, catalog, range);
    const { meter, company } = question;
    const fitting = buckets.filter(
      (bucket) => (meter ?? bucket.meter) === bucket.meter && (company ?? bucket.company) === bucket.company,
    );
    parts.push(...fitting.map((bucket) => ({ ...bucket, start: range.from })));
  }
  return { from, to, buckets: [...whole, ...parts] };
}

async function areRecomputable(
  store: Store,
  catalog: Catalog,
  { meter, company }: UsageQuestion,
  found: readonly Bucket[],
  edges: ReadonlySet<number>,
): Promise<boolean> {
  if (found.some((bucket) => edges.has(bucket.start) && catalog.aggregateOf(bucket.meter) === null)) return false;
  for (const edge of edges) {
    const archived = await store.archivedBuckets({
      from: edge,
      to: edge + store.bucketMs,
      ...(meter === undefined ? {} : { meter }),
      ...(company === undefined ? {} : { company }),
    });
    if (archived.length > 0) return false;
  }
  return true;
}

function checkNames({ meters }: Catalog, { meter, groupBy }: UsageQuestion, found: readonly Bucket[]): void {
  const asked = meter === undefined ? meters : meters.filter(({ key }) => key === meter);
  // A meter that left the file keeps its usage.
  if (meter !== undefined && asked.length === 0 && !found.some((bucket) => bucket.meter === meter)) {
    throw unknownName(
      "meter",
      meter,
      meters.map(({ key }) => key),
    );
  }
  const labels = new Set(asked.flatMap((definition) => Object.keys(definition.groupBy)));
  const unknown = asked.length === 0 ? undefined : groupBy.find((label) => !labels.has(label));
  if (unknown !== undefined) throw unknownName("label", unknown, [...labels]);
}

/** The error for a name that is in no list, with the nearest one that is. */
function unknownName(what: "meter" | "label", name: string, known: readonly string[]): MeterbookError {
  const near = nearName(name, known);
  const hint = near === null ? "" : `  Did you mean ${JSON.stringify(near)}?`;
  return new MeterbookError("METER_UNKNOWN_METER", `There is no ${what} ${JSON.stringify(name)}.${hint}`, {
    remedy: known.length === 0 ? `There are no ${what}s.` : `Known: ${known.join(", ")}.`,
  });
}
