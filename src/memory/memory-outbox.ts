import { fromInteger, type Decimal } from "../core/decimal.ts";
import { limits } from "../engine/limits.ts";
import {
  canCancel,
  letsOthersPass,
  NOTHING_TO_SEND,
  type AttemptOutcome,
  type BillerLane,
  type Claim,
  type DirtyWindow,
  type ForgetQuery,
  type Forgotten,
  type HeldLane,
  type HeldSelection,
  type LaneTotals,
  type NewOutboxRow,
  type OutboxRow,
  type OutboxState,
  type OutboxTotals,
  type Release,
  type RowChange,
  type RowHistory,
  sameBasis,
  SHADOW,
  type Store,
  type WindowPlace,
} from "../engine/ports.ts";
import { forgetHistory } from "./memory-forgetting.ts";
import * as rows from "./memory-row.ts";
import type { Draft, KeptRow } from "./memory-row.ts";
import type { MemoryUsage } from "./memory-usage.ts";

/** Usage records on their way, with lanes, leases and fencing tokens. */
export class MemoryOutbox {
  private readonly kept: KeptRow[] = [];
  private readonly usage: MemoryUsage;
  /** What windows had when they were closed without a row. */
  private readonly skipped: (WindowPlace & { readonly raw: Decimal })[] = [];
  private fence = 0;

  constructor(usage: MemoryUsage) {
    this.usage = usage;
  }

  /** A copy that does not change with this one. */
  copy(usage: MemoryUsage): MemoryOutbox {
    const copy = new MemoryOutbox(usage);
    copy.kept.push(...this.kept.map(rows.copyRow));
    copy.skipped.push(...this.skipped);
    copy.fence = this.fence;
    return copy;
  }

  dirtyWindows(query: Parameters<Store["dirtyWindows"]>[0]): DirtyWindow[] {
    const { windowMs, from = -Infinity, before, after, company: only, limit } = query;
    const windows = new Map<string, WindowPlace>();
    for (const { meter, company, start } of this.usage.dirtyMarks()) {
      if (only !== undefined && company !== only) continue;
      const place = { meter, company, windowStart: Math.floor(start / windowMs) * windowMs };
      if (place.windowStart < from || place.windowStart + windowMs > before) continue;
      if (after === undefined || comparePlaces(place, after) > 0) windows.set(JSON.stringify(place), place);
    }
    return [...windows.values()]
      .toSorted(comparePlaces)
      .slice(0, limit)
      .map(({ meter, company, windowStart }) => this.windowNow(meter, company, windowStart, windowStart + windowMs));
  }

  enqueue(closed: readonly { readonly basis: DirtyWindow; readonly row: NewOutboxRow | null }[], at: number): number {
    let inserted = 0;
    for (const { basis, row } of closed) {
      const { meter, company, windowStart, windowEnd } = basis;
      if (!sameBasis(basis, this.windowNow(meter, company, windowStart, windowEnd))) continue;
      if (row === null) {
        this.skipped.push({ meter, company, windowStart, raw: basis.total - basis.enqueuedRaw });
      } else {
        if (this.insert(row, at) === null) continue;
        inserted += 1;
        // A part of a window: the other parts are still to come.
        if (basis.enqueuedRaw + row.raw !== basis.total) continue;
      }
      this.usage.clearMarks(meter, company, windowStart, windowEnd);
    }
    return inserted;
  }

  page(query: Parameters<Store["outbox"]>[0]): OutboxRow[] {
    const { rowId, identifier, customer, timestampFrom, timestampTo } = query;
    const { state, meter, company, reportAs, final, windowFrom, windowTo, limit } = query;
    const found = this.kept.filter(
      ({ row }) =>
        (rowId === undefined || row.rowId === rowId) &&
        (identifier === undefined || row.identifier === identifier) &&
        (customer === undefined || row.customer === customer) &&
        (timestampFrom === undefined || row.timestamp >= timestampFrom) &&
        (timestampTo === undefined || row.timestamp < timestampTo) &&
        (state === undefined || row.state === state) &&
        (meter === undefined || row.meter === meter) &&
        (company === undefined || row.company === company) &&
        (reportAs === undefined || row.reportAs === reportAs) &&
        (final === undefined || (row.state === "held" && rows.isFinal(row) === final)) &&
        (windowFrom === undefined || row.windowEnd > windowFrom) &&
        (windowTo === undefined || row.windowStart < windowTo),
    );
    return found
      .toSorted(rows.byWindow)
      .slice(0, limit)
      .map(({ row }) => ({ ...row }));
  }

  totals(): OutboxTotals[] {
    const totals = new Map<string, Draft<OutboxTotals>>();
    for (const { row } of this.kept) {
      const { meter, state } = row;
      const key = JSON.stringify([meter, state]);
      const total = totals.get(key) ?? { meter, state, rows: 0, raw: 0n, value: 0n, shadow: 0n };
      total.rows += 1;
      if (coversUsage(row)) {
        total.raw += row.raw;
        total.value += row.value;
        if (row.reason === SHADOW) total.shadow += row.raw;
      }
      totals.set(key, total);
    }
    return [...totals.values()];
  }

  skippedTotals(): { meter: string; raw: Decimal }[] {
    const totals = new Map<string, Decimal>();
    for (const { meter, raw } of this.skipped) totals.set(meter, (totals.get(meter) ?? fromInteger(0)) + raw);
    return [...totals].flatMap(([meter, raw]) => (raw === 0n ? [] : { meter, raw }));
  }

  heldLanes(): HeldLane[] {
    const lanes = new Map<string, HeldLane>();
    for (const { row } of this.openHolds()) {
      const { company, reportAs, reason } = row;
      const key = JSON.stringify([company, reportAs]);
      const known = lanes.get(key) ?? { company, reportAs, rows: 0, reason };
      lanes.set(key, { ...known, rows: known.rows + 1, reason: known.reason === reason ? reason : null });
    }
    return [...lanes.values()];
  }

  /** This store keeps no running totals: they are the sums of the rows. */
  laneTotals(): LaneTotals[] {
    const lanes = new Map<string, Draft<Omit<LaneTotals, "runningRaw" | "runningValue">>>();
    for (const { row } of this.kept) {
      if (!coversUsage(row)) continue;
      const { meter, company } = row;
      const key = JSON.stringify([meter, company]);
      const lane = lanes.get(key) ?? { meter, company, raw: 0n, value: 0n, cancels: 0 };
      lane.raw += row.raw;
      lane.value += row.value;
      if (row.kind === "cancel") lane.cancels += 1;
      lanes.set(key, lane);
    }
    return [...lanes.values()].map((lane) => ({ ...lane, runningRaw: lane.raw, runningValue: lane.value }));
  }

  states(): Record<OutboxState, number> {
    const states = { held: 0, pending: 0, sending: 0, accepted: 0, settled: 0, dead: 0, conflict: 0 };
    for (const { row } of this.kept) states[row.state] += 1;
    return states;
  }

  dueTotals(windowMs: number): { meter: string; value: Decimal }[] {
    const totals = new Map<string, Decimal>();
    for (const { meter, total, enqueuedRaw } of this.dirtyWindows({ windowMs, before: Infinity, limit: Infinity })) {
      totals.set(meter, (totals.get(meter) ?? fromInteger(0)) + total - enqueuedRaw);
    }
    return [...totals].map(([meter, value]) => ({ meter, value }));
  }

  claim({ now, leaseMs, holder, limit }: Parameters<Store["claim"]>[0]): Claim[] {
    const claims: Claim[] = [];
    for (const kept of this.kept.toSorted(rows.byWindow)) {
      if (claims.length >= limit) break;
      if (!this.isClaimable(kept, now)) continue;
      this.fence += 1;
      const token = `${holder}#${this.fence}`;
      kept.token = token;
      kept.leaseUntil = now + leaseMs;
      kept.attempt = null;
      kept.row.state = "sending";
      claims.push({ row: { ...kept.row }, token, epoch: kept.epoch });
    }
    return claims;
  }

  beginAttempt(rowId: number, token: string, now: number, resend: boolean): boolean {
    const kept = this.leased(rowId, token);
    if (kept === undefined || rows.isLeaseOver(kept, now)) return false;
    rows.begin(kept, now, resend);
    return true;
  }

  settle(rowId: number, token: string, outcome: AttemptOutcome, now: number): boolean {
    const kept = this.leased(rowId, token);
    if (kept === undefined) return false;
    rows.settle(kept, outcome, now);
    return true;
  }

  release(releases: readonly Release[], now: number): number {
    let released = 0;
    for (const each of releases) {
      const kept = this.find(each.rowId);
      if (kept?.row.state !== "held") continue;
      rows.release(kept, each, now);
      released += 1;
    }
    return released;
  }

  settleRows(rowIds: readonly number[], now: number): number {
    let settled = 0;
    for (const rowId of rowIds) {
      const kept = this.find(rowId);
      if (kept?.row.state !== "accepted") continue;
      rows.addLine(kept, now, "settled", "the biller's books show it", "reconcile");
      Object.assign(kept.row, { state: "settled", settledAt: now });
      settled += 1;
    }
    return settled;
  }

  change(asked: RowChange, now: number): boolean {
    const kept = this.find(asked.rowId);
    return kept !== undefined && rows.change(kept, asked, now);
  }

  add(row: Parameters<Store["addRow"]>[0], author: string, cause: string, at: number): OutboxRow | null {
    if (row.kind === "usage") throw new TypeError("expected a cancel or adjust row, received one of usage: enqueue it");
    const original = row.cancels === null ? undefined : this.find(row.cancels);
    if (row.kind === "cancel") {
      if (original === undefined || !canCancel(original.row, row)) return null;
      if (this.kept.some((other) => other.row.cancels === row.cancels)) return null;
    }
    const { meter, company, windowStart, windowEnd } = row;
    const { nextSequence: sequence } = this.windowNow(meter, company, windowStart, windowEnd);
    const added = this.insert({ ...row, sequence }, at);
    if (added === null) return null;
    rows.addLine(added, at, row.state, cause, author);
    if (original !== undefined) {
      rows.addLine(original, at, original.row.state, `cancelled by row ${added.row.rowId}: ${cause}`, author);
      this.usage.mark(meter, company, windowStart);
    }
    return { ...added.row };
  }

  history(rowId: number): readonly RowHistory[] {
    return [...(this.find(rowId)?.history ?? [])];
  }

  reportedLanes({ from, to }: Parameters<Store["reportedLanes"]>[0]): BillerLane[] {
    const lanes = new Map<string, BillerLane>();
    for (const { row } of this.kept) {
      const { customer, reportAs, state, reason, timestamp } = row;
      const isAtBiller =
        (state === "accepted" || state === "settled") && reason !== NOTHING_TO_SEND && reason !== SHADOW;
      if (customer === null || !isAtBiller || timestamp < from || timestamp >= to) continue;
      lanes.set(JSON.stringify([customer, reportAs]), { customer, reportAs });
    }
    return [...lanes.values()];
  }

  hold(selection: HeldSelection, reason: string, now: number): void {
    for (const kept of this.openHolds()) {
      if (!rows.isSelected(kept.row, selection) || kept.row.reason === reason) continue;
      rows.addLine(kept, now, "held", reason, "reporter");
      kept.row.reason = reason;
    }
  }

  forgetHistory(query: ForgetQuery): Forgotten {
    return forgetHistory(this.kept, query);
  }

  private find(rowId: number): KeptRow | undefined {
    return this.kept.find((kept) => kept.row.rowId === rowId);
  }

  /** Null when its window has a row of this sequence. */
  private insert(row: NewOutboxRow, at: number): KeptRow | null {
    if (this.kept.some((known) => rows.isSameReport(known.row, row))) return null;
    const kept = rows.newRow(row, this.kept.length + 1, at);
    this.kept.push(kept);
    return kept;
  }

  private isClaimable(kept: KeptRow, now: number): boolean {
    const { row } = kept;
    if (row.state === "sending") return rows.isLeaseOver(kept, now);
    const isWaiting = row.nextAttemptAt > now && row.nextAttemptAt <= now + limits.retryAfterMaxMs;
    if (row.state !== "pending" || isWaiting) return false;
    const lane = this.kept.filter(
      (other) => other !== kept && other.row.customer === row.customer && other.row.meter === row.meter,
    );
    return !lane.some(
      (other) =>
        other.row.state === "sending" ||
        (other.row.state === "pending" && rows.byWindow(other, kept) < 0 && !letsOthersPass(other.row, now)),
    );
  }

  private openHolds(): KeptRow[] {
    return this.kept.filter(({ row }) => row.state === "held" && !rows.isFinal(row));
  }

  private leased(rowId: number, token: string): KeptRow | undefined {
    return this.kept.find((kept) => kept.row.rowId === rowId && kept.token === token && kept.row.state === "sending");
  }

  private windowNow(meter: string, company: string, windowStart: number, windowEnd: number): DirtyWindow {
    const lane = this.kept.map(({ row }) => row).filter((row) => row.meter === meter && row.company === company);
    const isInside = (each: { readonly windowStart: number }): boolean =>
      each.windowStart >= windowStart && each.windowStart < windowEnd;
    const inside = lane.filter(isInside);
    const covering = lane.filter(coversUsage);
    const skipped = this.skipped.filter((each) => each.meter === meter && each.company === company && isInside(each));
    return {
      meter,
      company,
      windowStart,
      windowEnd,
      total: this.usage.total(meter, company, windowStart, windowEnd),
      enqueuedRaw: sum([...inside.filter(coversUsage), ...skipped].map(({ raw }) => raw)),
      nextSequence: Math.max(-1, ...inside.map(({ sequence }) => sequence)) + 1,
      runningRaw: sum(covering.map(({ raw }) => raw)),
      runningValue: sum(covering.map(({ value }) => value)),
    };
  }
}

/** The order in which windows are answered. */
function comparePlaces(a: WindowPlace, b: WindowPlace): number {
  if (a.windowStart !== b.windowStart) return a.windowStart - b.windowStart;
  if (a.meter !== b.meter) return a.meter < b.meter ? -1 : 1;
  if (a.company !== b.company) return a.company < b.company ? -1 : 1;
  return 0;
}

/** Whether raw and value of a row are in sums; the others correct the biller's books alone. */
function coversUsage({ kind }: OutboxRow): boolean {
  return kind !== "adjust";
}

function sum(values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total + value, fromInteger(0));
}
