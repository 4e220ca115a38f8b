import { isInvoiceFinal } from "../outbox/billing-periods.ts";
import { limits } from "../limits.ts";
import type { ReadBooks } from "./reconcile-lane.ts";
import { isOperators, SHADOW, type Drift, type OutboxRow, type RowChange, type Store } from "../ports.ts";

export interface MissingReports {
  readonly store: Store;
  readonly read: ReadBooks;
  readonly now: number;
  /** How long after a period's end its invoice is final. */
  readonly graceMs: number;
  /** Rows that the books showed in this comparison. */
  readonly visible: readonly OutboxRow[];
}

/**
 * What becomes of reports that the biller took and does not show, at the second reading that misses them: they go out
 * again under their own identifier, so that at most one counts. When that is not safe by itself any more, delivery reads
 * their minute before it sends. Each is sent again once; what is missing then, or has a final invoice, a person decides.
 */
export async function sendAgain(missing: MissingReports, drift: Drift): Promise<readonly RowChange[]> {
  const { store, now } = missing;
  if (drift.verdict !== "missing" || now - drift.foundAt < limits.reconcileAgainMs) return [];
  const rows: OutboxRow[] = [];
  for (const rowId of drift.rowIds) rows.push(...(await store.outbox({ rowId, limit: 1 })));
  if (!isWholly(drift, rows) || (await isOvertaken(store, drift, rows))) return [];
  const changes: RowChange[] = [];
  for (const row of rows) {
    const change = await changeOf(missing, row);
    if (change !== null && (await store.changeRow(change, now))) changes.push(change);
  }
  return changes;
}

/** Only a report that is missing as a whole can go out again. A total is: the books hold another one. */
function isWholly({ ours, theirs }: Drift, rows: readonly OutboxRow[]): boolean {
  if (rows.some(({ mode }) => mode === "set")) return true;
  const missing = rows.reduce((total, { reported }) => total + reported, 0n);
  return rows.length > 0 && theirs + missing === ours;
}

/** An older total must not go out beside a newer one of its window: the last to arrive stays. */
export async function isOvertaken(
  store: Pick<Store, "outbox">,
  { customer, reportAs, from, to }: Drift,
  rows: readonly OutboxRow[],
): Promise<boolean> {
  if (rows.every(({ mode }) => mode === "delta")) return false;
  const window = { customer, reportAs, timestampFrom: from, timestampTo: to, limit: 1 };
  for (const state of ["pending", "sending", "conflict"] as const)
    if ((await store.outbox({ ...window, state })).length > 0) return true;
  return false;
}

async function changeOf(missing: MissingReports, row: OutboxRow): Promise<RowChange | null> {
  const { store, now, graceMs } = missing;
  const { rowId, state: from, customer, reportAs, timestamp } = row;
  if (!mayGoAgain(row)) return null;
  if (customer === null || now - timestamp > limits.reportAgeMaxMs) return null;
  const periods = await store.periods({ customer, reportAs });
  const isLost = row.resentAt !== null || isInvoiceFinal(periods, timestamp, now, graceMs);
  if (isLost ? await isDecided(store, rowId) : !(await hasWitness(missing, row))) return null;
  const change = { rowId, from, author: "reconcile" };
  if (row.resentAt !== null)
    return { ...change, to: "conflict", reason: "missing in the biller's books after it was sent again" };
  if (isLost) return { ...change, to: "conflict", reason: "missing in the biller's books, and its invoice is final" };
  const reason = "missing in the biller's books";
  const ageMs = now - (row.firstAttemptAt ?? now);
  const isSafe = row.mode === "set" || (ageMs >= 0 && ageMs < limits.resendSafeMs);
  // Too old to go out blindly: as a pending row it is read back first.
  return isSafe ? { ...change, to: "pending", reason, resend: true } : { ...change, to: "pending", reason };
}

/** A report that the books showed once was not lost by the biller; why it is gone is for a person to find out. */
function mayGoAgain({ state, mode }: OutboxRow): boolean {
  return state === "accepted" || (state === "settled" && mode === "set");
}

/** A person said already what is true of it, whatever the books say: that is not asked twice. */
async function isDecided(store: Store, rowId: number): Promise<boolean> {
  return (await store.rowHistory(rowId)).some(({ author }) => isOperators(author));
}

/** Whether the books have come further than this report: they show one that the biller took after it. */
async function hasWitness({ store, read, visible, now }: MissingReports, row: OutboxRow): Promise<boolean> {
  const sentAt = row.lastAttemptAt ?? row.acceptedAt ?? now;
  const isLater = (other: OutboxRow): boolean =>
    other.reportAs === row.reportAs && other.acceptedAt !== null && other.acceptedAt > sentAt;
  if (visible.some(isLater)) return true;
  // Later reports are mostly of later event time: of the same windows, and of those that had not ended when it was sent.
  const accepted = new Map<number, OutboxRow>();
  for (const timestampFrom of [row.timestamp, sentAt - (row.windowEnd - row.windowStart)]) {
    const span = { reportAs: row.reportAs, timestampFrom, limit: limits.witnessRowsMax };
    if ((await store.outbox({ ...span, state: "settled" })).some(isLater)) return true;
    for (const other of await store.outbox({ ...span, state: "accepted" }))
      if (isLater(other)) accepted.set(other.rowId, other);
  }
  const candidates = [...accepted.values()]
    .filter((other) => other.kind === "usage" && other.reason !== SHADOW && other.reported !== 0n)
    .toSorted((a, b) => (a.acceptedAt ?? 0) - (b.acceptedAt ?? 0));
  for (const candidate of candidates.slice(0, limits.witnessReadsMax)) if (await isShown(read, candidate)) return true;
  return false;
}

async function isShown(read: ReadBooks, { customer, reportAs, timestamp, reported }: OutboxRow): Promise<boolean> {
  if (customer === null) return false;
  const from = Math.floor(timestamp / MINUTE_MS) * MINUTE_MS;
  const figures = await read({ customer, reportAs, from, to: from + MINUTE_MS, per: null });
  return figures?.some(({ value }) => value === reported) ?? false;
}

const MINUTE_MS = 60_000;
