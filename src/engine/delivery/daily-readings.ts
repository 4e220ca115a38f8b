import { limits } from "../limits.ts";
import type { Store } from "../ports.ts";

/** Who reads the biller's books: the comparison with ours, or reports of unknown outcome. */
export type BooksReader = "comparison" | "readBack";

/** Readings of the biller's books, counted by the day (UTC): it allows so many for each transaction that it bills. */
export interface DailyReadings {
  /** How much of the day's share is gone: the reader's own readings, and what the other one took beyond what is reserved. */
  spent(): number;
  add(readings: number): void;
  /** Remembers what was added here for the rest of the day. */
  keep(): Promise<void>;
}

/** The note's members. */
interface Noted {
  readonly day: number;
  /** By the comparison. */
  readonly reads: number;
  readonly readBacks?: number;
}

/**
 * The day's readings, as the store remembers them, and as one reader may count on them: of its share a part is its own,
 * whatever the other one takes. Who reads has the reporter's lease, so nobody else counts meanwhile.
 */
export async function dailyReadings(
  store: Pick<Store, "getNote" | "putNote">,
  now: number,
  reader: BooksReader = "comparison",
): Promise<DailyReadings> {
  const day = Math.floor(now / DAY_MS);
  const noted: Noted = JSON.parse((await store.getNote(NOTE)) ?? NOTHING);
  const { reads, readBacks = 0 } = noted.day === day ? noted : { reads: 0 };
  const spent: Record<BooksReader, number> = { comparison: reads, readBack: readBacks };
  const other = reader === "comparison" ? "readBack" : "comparison";
  let added = 0;
  return {
    spent: () => spent[reader] + beyondReserve(spent[other]),
    add: (readings) => {
      spent[reader] += readings;
      added += readings;
    },
    keep: async () => {
      if (added === 0) return;
      await store.putNote(NOTE, JSON.stringify({ day, reads: spent.comparison, readBacks: spent.readBack }));
      added = 0;
    },
  };
}

/** What a person orders has no bound: that leaves the other reader what is reserved for it, too. */
function beyondReserve(readings: number): number {
  const { readingsReservedPerDay: reserved, readBacksPerDay } = limits;
  return Math.min(Math.max(0, readings - reserved), readBacksPerDay - reserved);
}

const NOTE = "reconcile.reads";
const NOTHING = '{"day":-1,"reads":0}';
const DAY_MS = 86_400_000;
