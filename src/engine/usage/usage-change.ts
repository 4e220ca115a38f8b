import { formatDecimal, type Decimal } from "../../core/decimal.ts";
import { usageRows, type Bucket } from "../../core/usage.ts";
import { windowStart } from "../../core/window.ts";
import { changedBuckets } from "../ingest/bucket-changes.ts";
import { limits } from "../limits.ts";
import { SHADOW, type BucketChange, type Count, type OutboxRow, type StoreView } from "../ports.ts";
import { reportEras } from "../outbox/report-windows.ts";

/** What a correction makes of one report window's usage: exact decimal text, null where there is no figure. */
export interface UsageChange {
  readonly meter: string;
  readonly company: string;
  /** The window, milliseconds UTC, half-open. */
  readonly from: number;
  readonly to: number;
  readonly before: string | null;
  readonly after: string | null;
  readonly difference: string | null;
  /** What the biller has of the window so far. */
  readonly reported: string;
}

/** The report window of an instant of event time; an hour, or a bucket, while nothing was ever reported. */
export async function reportWindowAt(
  store: Pick<StoreView, "getNote" | "bucketMs">,
  time: number,
): Promise<{ readonly from: number; readonly to: number }> {
  const eras = (await reportEras(store)) ?? [];
  const windowMs = eras.findLast(({ from }) => from <= time)?.windowMs ?? Math.max(HOUR_MS, store.bucketMs);
  const from = windowStart(time, windowMs);
  return { from, to: from + windowMs };
}

const HOUR_MS = 3_600_000;

/** The usage of an event's window before and after its buckets change and a new event of the same time is counted. */
export async function usageChanges(
  store: Pick<StoreView, "getNote" | "bucketMs" | "buckets" | "outbox">,
  time: number,
  changes: readonly BucketChange[],
  counts: readonly Count[],
): Promise<readonly UsageChange[]> {
  const span = await reportWindowAt(store, time);
  const lanes = new Map(
    [...changes, ...counts].map(({ meter, company }) => [JSON.stringify([meter, company]), { meter, company }]),
  );
  const found: UsageChange[] = [];
  for (const lane of lanes.values()) {
    const isOwn = (each: { readonly meter: string; readonly company: string }): boolean =>
      each.meter === lane.meter && each.company === lane.company;
    const touching = await store.buckets({ ...lane, ...span });
    const before = touching.filter(({ start }) => start >= span.from);
    const after = changedBuckets(before, changes.filter(isOwn), counts.filter(isOwn), time);
    const rows = await store.outbox({ ...lane, windowFrom: span.from, windowTo: span.to, limit: limits.heldRowsMax });
    found.push({ ...lane, ...span, ...differenceOf(before, after), reported: formatDecimal(reportedOf(rows)) });
  }
  return found;
}

/** The figures of one lane's usage before and after a change. */
export function differenceOf(
  before: readonly Bucket[],
  after: readonly Bucket[],
): Pick<UsageChange, "before" | "after" | "difference"> {
  const [old, next] = [figureOf(before), figureOf(after)];
  const difference = old === null && next === null ? null : (next ?? 0n) - (old ?? 0n);
  return { before: text(old), after: text(next), difference: text(difference) };
}

/** Exact usage that reports at the biller cover; what shadow mode did not send is not there. */
export function reportedOf(rows: readonly OutboxRow[]): Decimal {
  return rows
    .filter(({ kind, state, reason }) => kind !== "adjust" && isAtBiller(state) && reason !== SHADOW)
    .reduce((total, { raw }) => total + raw, 0n);
}

function isAtBiller(state: OutboxRow["state"]): boolean {
  return state === "accepted" || state === "settled";
}

function figureOf(buckets: readonly Bucket[]): Decimal | null {
  return usageRows(buckets, { window: null })[0]?.value ?? null;
}

function text(value: Decimal | null): string | null {
  return value === null ? null : formatDecimal(value);
}
