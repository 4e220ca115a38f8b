import { limits } from "../limits.ts";
import type { Pace } from "../delivery/pace.ts";
import type { Clock, Store, UsageReporter } from "../ports.ts";
import type { ReadBooks } from "./reconcile-lane.ts";

/** Readings of the biller's books, counted by the day: it allows so many for each transaction that it bills. */
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

const NOTE = "reconcile.reads";
const DAY_MS = 86_400_000;
/** Figures on one page of the biller's. */
const PAGE = 100;

/** A budget for lanes that are due. What a person asks for is counted, and not kept back. */
export async function readingBudget(options: ReadingBudgetOptions): Promise<ReadingBudget> {
  const { store, reporter, clock, pace, wait } = options;
  const day = Math.floor(clock.now() / DAY_MS);
  const noted: { readonly day: number; readonly reads: number } = JSON.parse((await store.getNote(NOTE)) ?? NOTHING);
  const before = noted.day === day ? noted.reads : 0;
  const left = (options.readsPerDay ?? limits.reconcileReadsPerDay) - before;
  const most = options.lanes === "due" ? Math.min(left, limits.reconcileReadsAtOnce) : Number.POSITIVE_INFINITY;
  let reads = 0;
  return {
    read: async (query) => {
      if (reads >= most) return null;
      reads += 1;
      const delayMs = pace.delayMs(clock.now());
      if (delayMs > 0) await wait(delayMs);
      const spans = await reporter.counted(query);
      reads += Math.floor(spans.length / (PAGE + 1));
      return spans;
    },
    reads: () => reads,
    keep: async () => {
      if (reads > 0) await store.putNote(NOTE, JSON.stringify({ day, reads: before + reads }));
    },
  };
}

const NOTHING = '{"day":-1,"reads":0}';
