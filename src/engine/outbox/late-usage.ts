import { minuteOf } from "../../core/usage-record.ts";
import { windowStart } from "../../core/window.ts";
import { currentPeriod, isInvoiceFinal } from "./billing-periods.ts";
import type { Closing } from "./closing.ts";
import { limits } from "../limits.ts";
import type { BilledPeriod, BillerLane } from "../ports.ts";

/** Reason of `dead` rows that the meter's owner wants never billed. */
export const WRITTEN_OFF = "written_off";

/** Why usage of this event time can come to no invoice of its own any more; null when it can. */
export function latenessOf(
  { now, report }: Pick<Closing, "now" | "report">,
  periods: readonly BilledPeriod[],
  timestamp: number,
): "too_old" | "late_usage" | null {
  if (isTooOld(timestamp, now)) return "too_old";
  return isInvoiceFinal(periods, timestamp, now, report.graceMs) ? "late_usage" : null;
}

/** Whether the biller would refuse a time stamp for its age. */
export function isTooOld(timestamp: number, now: number): boolean {
  return now - timestamp > limits.reportAgeMaxMs;
}

/**
 * The event time under which late usage is carried into the present period: a minute close to now that no row of the lane
 * has, never in the future and never before the period. Shared only where there is no free one. Null when the lane has
 * billing periods and none runs now: nothing would bill it.
 */
export async function carriedMinute(
  closing: Pick<Closing, "store" | "report" | "taken" | "now">,
  lane: BillerLane,
  periods: readonly BilledPeriod[],
): Promise<number | null> {
  const { store, report, taken, now } = closing;
  const period = currentPeriod(periods, now);
  if (period === null && periods.length > 0) return null;
  const last = minuteOf(now).from;
  const from = Math.max(period?.from ?? 0, last - limits.carryMinutesMax * MINUTE_MS);
  const rows = await store.outbox({ ...lane, timestampFrom: from, timestampTo: now + 1, limit: limits.heldRowsMax });
  const used = new Set(rows.map(({ timestamp }) => minuteOf(timestamp).from));
  const keyOf = (minute: number): string => JSON.stringify([lane.customer, lane.reportAs, minute]);
  const free: number[] = [];
  for (let minute = last; minute >= from; minute -= MINUTE_MS)
    if (!used.has(minute) && !taken.has(keyOf(minute))) free.push(minute);
  // A window's own rows take its first minutes.
  const behind = free.find((minute) => minute - windowStart(minute, report.windowMs) >= report.windowMs / 4);
  const minute = behind ?? free[0];
  if (minute === undefined) return Math.max(last, Math.ceil(from / SECOND_MS) * SECOND_MS);
  taken.add(keyOf(minute));
  return minute;
}

const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;
