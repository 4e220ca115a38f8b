import type { Clock } from "../engine/ports.ts";

/** A clock that stands still until it is told to move. Times are milliseconds since 1970 UTC. */
export interface ManualClock extends Clock {
  /** Moves forward, or back with a negative number: real clocks are set back too. Returns the new time. */
  advance(ms: number): number;
  set(ms: number): void;
}

/** A clock for tests and demos that starts at `startMs`. */
export function manualClock(startMs: number): ManualClock {
  let time = wholeMs(startMs);
  return {
    now: () => time,
    advance(ms) {
      time += wholeMs(ms);
      return time;
    },
    set(ms) {
      time = wholeMs(ms);
    },
  };
}

function wholeMs(ms: number): number {
  if (!Number.isSafeInteger(ms)) {
    throw new RangeError(`A manual clock takes whole milliseconds, not ${String(ms)}.`);
  }
  return ms;
}
