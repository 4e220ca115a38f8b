import type { Store } from "../ports.ts";

/** Readings of the biller's books, counted by the day (UTC): it allows so many for each transaction that it bills. */
export interface DailyReadings {
  /** Readings of the day so far, by all who read. */
  spent(): number;
  add(readings: number): void;
  /** Remembers what was added here for the rest of the day. */
  keep(): Promise<void>;
}

/** The day's readings, as the store remembers them. Who reads has the reporter's lease, so nobody else counts meanwhile. */
export async function dailyReadings(store: Pick<Store, "getNote" | "putNote">, now: number): Promise<DailyReadings> {
  const day = Math.floor(now / DAY_MS);
  const noted: { readonly day: number; readonly reads: number } = JSON.parse((await store.getNote(NOTE)) ?? NOTHING);
  let spent = noted.day === day ? noted.reads : 0;
  let added = 0;
  return {
    spent: () => spent,
    add: (readings) => {
      spent += readings;
      added += readings;
    },
    keep: async () => {
      if (added > 0) await store.putNote(NOTE, JSON.stringify({ day, reads: spent }));
      added = 0;
    },
  };
}

const NOTE = "reconcile.reads";
const NOTHING = '{"day":-1,"reads":0}';
const DAY_MS = 86_400_000;
