import type { EventQuery } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/**
 * Arrival numbers go into runs of this many. The index of companies is by run, then company: what arrives together is
 * written together, where an index by company alone would touch a page for each company in each transaction.
 */
const RUN_BITS = 13;
const RUN_LENGTH = 2 ** RUN_BITS;

/** The run of an event, as the index has it. */
export const RUN_SQL = `seq >> ${RUN_BITS}`;

/** Layout 3, the third part: the index of companies by run instead of by company alone. */
export const COMPANY_LAYOUT = `
  DROP INDEX events_company;
  CREATE INDEX events_company ON events (${RUN_SQL}, company);
`;

/** One run: its number, and its arrival numbers, half-open. */
export interface SeqRun {
  readonly run: number;
  readonly from: number;
  readonly to: number;
}

/** The runs in which a query's events can be, in its order. */
export function* seqRuns(connection: Connection, { order, afterSeq, beforeSeq }: EventQuery): Generator<SeqRun> {
  const bounds = connection.sql<[number | null, number | null]>("SELECT min(seq), max(seq) FROM events").raw().get();
  const [least, greatest] = bounds ?? [null, null];
  if (least === null || greatest === null) return;
  const first = runOf(Math.max(least, (afterSeq ?? 0) + 1));
  const last = runOf(Math.min(greatest, (beforeSeq ?? Infinity) - 1));
  for (let place = 0; place <= last - first; place++) {
    const run = order === "newest" ? last - place : first + place;
    yield { run, from: run * RUN_LENGTH, to: (run + 1) * RUN_LENGTH };
  }
}

function runOf(seq: number): number {
  return Math.floor(seq / RUN_LENGTH);
}
