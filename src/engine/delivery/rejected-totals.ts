import type { Decimal } from "../../core/decimal.ts";
import { limits } from "../limits.ts";
import { knownModes } from "../outbox/meter-modes.ts";
import { setWindow } from "../outbox/set-mode.ts";
import { SHADOW, type OutboxRow, type Store } from "../ports.ts";

/** Rows of one window of the biller's that keeps the last total, in the order in which they were made. */
export async function rowsOfWindow(store: Store, row: OutboxRow): Promise<readonly OutboxRow[]> {
  const { customer, reportAs, timestamp } = row;
  if (customer === null || row.mode === "delta") return [];
  const keepsLast = (await knownModes(store))[reportAs] === "hour" ? "hour" : "day";
  const { from, to } = setWindow(timestamp, keepsLast);
  const lane = { customer, reportAs, timestampFrom: from, timestampTo: to, limit: limits.heldRowsMax };
  const rows = (await store.outbox(lane)).filter(({ kind, reason }) => kind === "usage" && reason !== SHADOW);
  return rows.toSorted((a, b) => a.rowId - b.rowId);
}

/**
 * The later total that says a refused report's usage too: the biller's window holds that one, so nothing of the refused
 * one is missing. Null when there is none, or the last total that the biller took was made without it.
 */
export function coveringTotal(rows: readonly OutboxRow[], refused: OutboxRow): OutboxRow | null {
  const last = rows.findLast((row) => row.mode === "set" && isThere(row) && row.rowId !== refused.rowId);
  if (last === undefined || last.rowId < refused.rowId) return null;
  const earlier = rows.filter(({ rowId }) => rowId < last.rowId && rowId !== refused.rowId);
  const counted = earlier.filter(isThere).reduce((sum, { value }) => sum + value, refused.value);
  const doubtful = earlier.filter(({ state }) => state === "dead").map(({ value }) => value);
  return sumsOf(doubtful).some((more) => counted + more === last.reported - last.value) ? last : null;
}

/** A later total that was sent without a clear answer: what the window holds is known when it is decided. */
export function isOpenAfter(rows: readonly OutboxRow[], { rowId }: OutboxRow): boolean {
  return rows.some((row) => row.rowId > rowId && row.state === "pending" && row.firstAttemptAt !== null);
}

function isThere({ state }: OutboxRow): boolean {
  return state === "accepted" || state === "settled";
}

/** Every sum of some of these; of many only none, since what fits one of thousands of sums proves nothing. */
function sumsOf(values: readonly Decimal[]): readonly Decimal[] {
  if (values.length > REFUSED_ROWS_MAX) return [0n];
  return values.reduce<readonly Decimal[]>((sums, value) => [...sums, ...sums.map((sum) => sum + value)], [0n]);
}

const REFUSED_ROWS_MAX = 6;
