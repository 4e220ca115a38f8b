import { limits } from "../limits.ts";
import { dailyReadings } from "../delivery/daily-readings.ts";
import type { Pace } from "../delivery/pace.ts";
import type { Clock, Store, UsageReporter } from "../ports.ts";
import type { ReadBooks } from "./reconcile-lane.ts";

/** What a comparison may read of the biller's books: of the day's readings, what those before it left. */
export interface ReadingBudget {
  readonly read: ReadBooks;
  /** Readings so far, by pages. */
  reads(): number;
  /** Remembers them for the rest of the day. */
  keep(): Promise<void>;
}

export interface ReadingBudgetOptions {
  readonly store: Store;
  readonly reporter: Pick<UsageReporter, "counted">;
  readonly clock: Clock;
  readonly lanes: unknown;
  readonly pace: Pace;
  readonly wait: (ms: number) => Promise<void>;
  readonly readsPerDay?: number;
}

/** Figures on one page of the biller's. */
const PAGE = 100;

/** A budget for lanes that are due. What a person asks for is counted, and not kept back. */
export async function readingBudget(options: ReadingBudgetOptions): Promise<ReadingBudget> {
  const { store, reporter, clock, pace, wait } = options;
  const readings = await dailyReadings(store, clock.now());
  const left = (options.readsPerDay ?? limits.reconcileReadsPerDay) - readings.spent();
  const most = options.lanes === "due" ? Math.min(left, limits.reconcileReadsAtOnce) : Number.POSITIVE_INFINITY;
  let reads = 0;
  const count = (pages: number): void => {
    reads += pages;
    readings.add(pages);
  };
  return {
    read: async (query) => {
      if (reads >= most) return null;
      count(1);
      const delayMs = pace.delayMs(clock.now());
      if (delayMs > 0) await wait(delayMs);
      const spans = await reporter.counted(query);
      count(Math.floor(spans.length / (PAGE + 1)));
      return spans;
    },
    reads: () => reads,
    keep: () => readings.keep(),
  };
}
