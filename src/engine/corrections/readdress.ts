import { fromInteger, type Decimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ownMinute } from "../../core/usage-record.ts";
import { mayHaveCounted } from "../delivery/attempt-outcomes.ts";
import { limits } from "../limits.ts";
import type { DirtyWindow, NewOutboxRow, OutboxRow, Store } from "../ports.ts";

/** Rows of a report that was addressed anew: the one that takes its usage out of it, and the one that says it to who pays now. */
export interface ReaddressedRows {
  readonly taken: OutboxRow;
  readonly anew: OutboxRow;
}

/** Whether a report could be addressed anew, going by the row alone: refused under an address. */
export function isReaddressable(row: OutboxRow): boolean {
  const { kind, state, identifier, mode } = row;
  // What a window holds that keeps its last total is said again by its next total alone.
  return kind === "usage" && mode === "delta" && identifier !== null && (state === "dead" || isBegun(row));
}

/** Whether a report is being addressed anew, or a process died meanwhile: nothing else may be decided about it. */
export function isBegun({ state, reason }: OutboxRow): boolean {
  return state === "conflict" && reason?.startsWith(ORDERED) === true;
}

const ORDERED = "readdress: ";

/** Whether nothing of a refused report can have been counted, so that its usage may be said to somebody else. */
export async function isRefusedForSure(store: Pick<Store, "rowHistory">, row: OutboxRow): Promise<boolean> {
  return !mayHaveCounted(await store.rowHistory(row.rowId), row.attempts);
}

/** The rows by which a report was addressed anew; null when it was not. */
export async function readdressedRows(store: Pick<Store, "outbox">, row: OutboxRow): Promise<ReaddressedRows | null> {
  const rows = await windowRows(store, row);
  const taken = rows.findLast(({ reason, state }) => state === "dead" && reason === takenFrom(row));
  const anew = taken === undefined ? undefined : rows.find(({ sequence }) => sequence === taken.sequence + 1);
  return taken === undefined || anew === undefined || isCounterpart(anew) ? null : { taken, anew };
}

/** Whether a row only takes the usage out of a refused report, or back into it: nothing is to be decided about it. */
export function isCounterpart({ kind, identifier, reason }: OutboxRow): boolean {
  return kind === "usage" && identifier === null && reason?.startsWith(READDRESSED) === true;
}

const READDRESSED = "readdressed: row ";

function takenFrom({ rowId }: OutboxRow): string {
  return `${READDRESSED}${rowId}`;
}

/**
 * Addresses a refused report's usage anew: one row takes it out of the report, another one holds it until its company's
 * customer of now is found, both or none. The report itself stays as it was refused. It is in conflict meanwhile, and
 * stays so until both rows are there: no other order fits it then, and this one may be given again, also by two at once.
 * Throws METER_CORRECTION_REFUSED when it, or the usage of its window, moved.
 */
export async function readdress(
  store: Store,
  row: OutboxRow,
  order: { readonly author: string; readonly cause: string; readonly now: number },
): Promise<ReaddressedRows> {
  const { author, now } = order;
  const { rowId } = row;
  const begun = { rowId, reason: `${ORDERED}${order.cause}`, author } as const;
  const begin = { ...begun, from: "dead", to: "conflict", seenReason: row.reason } as const;
  if (!isBegun(row) && !(await store.changeRow(begin, now))) throw moved(row, "Look at it again.");
  const rows = await bothRows(store, row, now);
  if (rows === null) throw moved(row, "Give the order again: until then nothing else can be decided about the report.");
  const reason = `${begun.reason} (row ${rows.anew.rowId})`;
  if (await store.changeRow({ ...begun, reason, from: "conflict", to: "dead" }, now)) return rows;
  // Another run of the order ended it, or the biller refused it once more: either way it stays refused.
  const [present] = await store.outbox({ rowId, limit: 1 });
  if (present?.state === "dead") return rows;
  throw await goneOn(store, row, rows.anew, order);
}

/** The rows of this order, whoever adds them; null while the usage of the window keeps moving. */
async function bothRows(store: Store, row: OutboxRow, now: number): Promise<ReaddressedRows | null> {
  for (let tries = 0; tries < limits.readdressTriesMax; tries++) {
    const basis = await basisOf(store, row);
    // Looked for after the basis was read: rows that another run adds from here on make this basis void.
    const made = await readdressedRows(store, row);
    if (made !== null) return made;
    const taken = takenRow(row, basis);
    const anew = anewRow(row, basis.nextSequence + 1);
    const inserted = await store.enqueue(
      [
        { basis, row: taken },
        { basis: behind(basis, taken), row: anew },
      ],
      now,
    );
    if (inserted === 2) break;
  }
  return readdressedRows(store, row);
}

/** The report goes out after all, since it was refused and ordered anew in between: its usage must not be said twice. */
async function goneOn(
  store: Store,
  row: OutboxRow,
  anew: OutboxRow,
  { author, now }: { readonly author: string; readonly now: number },
): Promise<MeterbookError> {
  const undo = {
    rowId: anew.rowId,
    from: "held",
    to: "dead",
    reason: `${takenFrom(row)}, and taken back`,
    author,
  } as const;
  if (await store.changeRow(undo, now)) return moved(row, "Look at it again.");
  return moved(row, `Row ${anew.rowId} says its usage too and is on its way: cancel it, or the report itself.`);
}

function takenRow(row: OutboxRow, { nextSequence: sequence }: DirtyWindow): NewOutboxRow {
  const { meter, reportAs, company, windowStart, windowEnd, mode, timestamp } = row;
  const facts = { meter, reportAs, company, windowStart, windowEnd, mode, timestamp, sequence };
  const nowhere = { kind: "usage", cancels: null, customer: null, identifier: null, late: null } as const;
  const negative = { raw: -row.raw, value: -row.value, reported: -row.value };
  return { ...facts, ...nowhere, ...negative, state: "dead", reason: takenFrom(row) };
}

function anewRow(row: OutboxRow, sequence: number): NewOutboxRow {
  const { meter, reportAs, company, windowStart, windowEnd, raw, value } = row;
  const facts = { meter, reportAs, company, windowStart, windowEnd, sequence, raw, value, reported: value };
  const nowhere = { kind: "usage", cancels: null, customer: null, identifier: null, late: null } as const;
  return {
    ...facts,
    ...nowhere,
    mode: "delta",
    timestamp: ownTime(row, sequence),
    state: "held",
    reason: "no_customer",
  };
}

/** A minute of its own, as close behind the refused report's as there is one; that of its window where it was carried. */
function ownTime({ timestamp, windowStart, windowEnd, sequence }: OutboxRow, next: number): number {
  const isInside = timestamp >= windowStart && timestamp < windowEnd;
  return isInside ? ownMinute(timestamp, windowEnd, next - sequence) : ownMinute(windowStart, windowEnd, next);
}

/** The window as it is now. One that is not marked is covered by its rows, and by what was closed without one. */
async function basisOf(store: Store, row: OutboxRow): Promise<DirtyWindow> {
  const { meter, company, windowStart, windowEnd } = row;
  const open = { windowMs: windowEnd - windowStart, before: windowEnd, company, limit: limits.heldRowsMax };
  const isIts = (window: DirtyWindow): boolean => window.meter === meter && window.windowStart === windowStart;
  const marked = (await store.dirtyWindows(open)).find(isIts);
  if (marked !== undefined) return marked;
  const lane = (await store.laneTotals()).find((each) => each.meter === meter && each.company === company);
  const total = await usageOf(store, row);
  const sequences = (await windowRows(store, row)).map(({ sequence }) => sequence);
  return {
    meter,
    company,
    windowStart,
    windowEnd,
    total,
    enqueuedRaw: total,
    nextSequence: Math.max(-1, ...sequences) + 1,
    runningRaw: lane?.runningRaw ?? NOTHING,
    runningValue: lane?.runningValue ?? NOTHING,
  };
}

function behind(basis: DirtyWindow, { raw, value }: NewOutboxRow): DirtyWindow {
  return {
    ...basis,
    enqueuedRaw: basis.enqueuedRaw + raw,
    nextSequence: basis.nextSequence + 1,
    runningRaw: basis.runningRaw + raw,
    runningValue: basis.runningValue + value,
  };
}

const NOTHING = fromInteger(0);

/** What a window's buckets count; only meters that add up are reported. */
async function usageOf(store: Store, { meter, company, windowStart, windowEnd }: OutboxRow): Promise<Decimal> {
  const buckets = await store.buckets({ meter, company, from: windowStart, to: windowEnd });
  const inside = buckets.filter(({ start }) => start >= windowStart && start < windowEnd);
  const counted = inside.map(({ aggregate, state }) =>
    aggregate === "count" ? fromInteger(state.events) : (state.value ?? NOTHING),
  );
  return counted.reduce<Decimal>((sum, value) => sum + value, NOTHING);
}

async function windowRows(store: Pick<Store, "outbox">, row: OutboxRow): Promise<readonly OutboxRow[]> {
  const { meter, company, windowStart, windowEnd } = row;
  const window = { meter, company, windowFrom: windowStart, windowTo: windowEnd, limit: limits.heldRowsMax };
  return (await store.outbox(window)).filter((each) => each.windowStart >= windowStart);
}

function moved({ rowId }: OutboxRow, remedy: string): MeterbookError {
  const text = `Report ${rowId}, or the usage of its window, changed meanwhile; it was not addressed anew.`;
  return new MeterbookError("METER_CORRECTION_REFUSED", text, { remedy });
}
