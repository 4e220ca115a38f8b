import type { Interval } from "./records.ts";

/** A rhythm of billing periods. All times are seconds since 1970 UTC. */
export interface Cycle {
  readonly anchor: number;
  readonly interval: Interval;
  readonly count: number;
}

const DAY_SECONDS = 86_400;
const FIXED_SECONDS = { day: DAY_SECONDS, week: 7 * DAY_SECONDS } as const;
const MONTHS = { month: 1, year: 12 } as const;
/** A month of the Gregorian calendar on average: only where a search begins. */
const MONTH_SECONDS = 30.436_875 * DAY_SECONDS;

/** The first boundary after a time. */
export function boundaryAfter(cycle: Cycle, seconds: number): number {
  return boundary(cycle, numberAfter(cycle, seconds));
}

/** The last boundary at or before a time. */
export function boundaryUpTo(cycle: Cycle, seconds: number): number {
  return boundary(cycle, numberAfter(cycle, seconds) - 1);
}

function numberAfter(cycle: Cycle, seconds: number): number {
  let number = Math.floor((seconds - cycle.anchor) / averageStep(cycle));
  while (boundary(cycle, number) <= seconds) {
    number += 1;
  }
  while (boundary(cycle, number - 1) > seconds) {
    number -= 1;
  }
  return number;
}

function averageStep({ interval, count }: Cycle): number {
  return (
    count * (interval === "day" || interval === "week" ? FIXED_SECONDS[interval] : MONTHS[interval] * MONTH_SECONDS)
  );
}

/** The n-th boundary from the anchor. Months keep the anchor's day, or take their last one where they have no such day. */
function boundary({ anchor, interval, count }: Cycle, number: number): number {
  if (interval === "day" || interval === "week") {
    return anchor + number * count * FIXED_SECONDS[interval];
  }
  const from = new Date(anchor * 1000);
  const month = from.getUTCMonth() + number * count * MONTHS[interval];
  const lastDay = new Date(Date.UTC(from.getUTCFullYear(), month + 1, 0)).getUTCDate();
  const day = Math.min(from.getUTCDate(), lastDay);
  return Date.UTC(from.getUTCFullYear(), month, day) / 1000 + (anchor % DAY_SECONDS);
}
