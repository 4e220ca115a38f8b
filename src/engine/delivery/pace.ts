import { limits } from "../limits.ts";

/** How fast calls to the biller may follow each other: slowed by its rate limits, growing again while it accepts. */
export interface Pace {
  /** Takes the next place in the row of calls; answers how long to wait for it, milliseconds. */
  delayMs(now: number): number;
  /** The biller said "too many": half as fast, at most once a second. */
  slower(now: number): void;
  /** The biller accepted: a little faster. */
  faster(): void;
  perSecond(): number;
}

export function pace(startPerSecond: number = limits.reportsPerSecondStart): Pace {
  let perSecond = startPerSecond;
  let nextAt = Number.NEGATIVE_INFINITY;
  let slowedAt = Number.NEGATIVE_INFINITY;
  return {
    delayMs: (now) => {
      // A clock that was set back must not stop the row of calls for that long.
      if (nextAt - now > LONGEST_ROW_MS) nextAt = now;
      const at = Math.max(now, nextAt);
      nextAt = at + SECOND_MS / perSecond;
      return Math.ceil(at - now);
    },
    slower: (now) => {
      if (Math.abs(now - slowedAt) < SECOND_MS) return;
      slowedAt = now;
      perSecond = Math.max(limits.reportsPerSecondMin, perSecond / 2);
    },
    faster: () => {
      // One call a second faster for each second without a complaint.
      perSecond = Math.min(limits.reportsPerSecondMax, perSecond + 1 / perSecond);
    },
    perSecond: () => perSecond,
  };
}

const SECOND_MS = 1_000;
const LONGEST_ROW_MS = 120_000;
