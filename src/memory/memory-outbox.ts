import { fromInteger, type Decimal } from "../core/decimal.ts";
import { limits } from "../engine/limits.ts";
import {
  FINAL_HOLDS,
  type AttemptOutcome,
  type Claim,
  type DirtyWindow,
  type HeldLane,
  type HeldSelection,
  type LaneTotals,
  type NewOutboxRow,
  type OutboxRow,
  type OutboxState,
  type OutboxTotals,
  type Release,
  type Store,
  sameBasis,
} from "../engine/ports.ts";
import type { MemoryUsage } from "./memory-usage.ts";

type Draft<Row> = { -readonly [Key in keyof Row]: Row[Key] };

interface KeptRow {
  readonly row: Draft<OutboxRow>;
  token: string | null;
  leaseUntil: number;
  /** An attempt was begun under the present lease. */
  isAttempting: boolean;
  epoch: number;
}

/** Usage records on their way, with lanes, leases and fencing tokens. */
export class MemoryOutbox {
  private readonly kept: KeptRow[] = [];
  private readonly usage: MemoryUsage;
  /** What windows had when they were closed without a row. */
  private readonly skipped: (Pick<DirtyWindow, "meter" | "company" | "windowStart"> & { readonly raw: Decimal })[] = [];
  private fence = 0;

  constructor(usage: MemoryUsage) {
    this.usage = usage;
  }

  /** A copy that does not change with this one. */
  copy(usage: MemoryUsage): MemoryOutbox {
    const copy = new MemoryOutbox(usage);
    copy.kept.push(...this.kept.map((kept) => ({ ...kept, row: { ...kept.row } })));
    copy.skipped.push(...this.skipped);
    copy.fence = this.fence;
    return copy;
  }

  dirtyWindows(windowMs: number, before: number): DirtyWindow[] {
    const windows = new Map<string, DirtyWindow>();
    for (const { meter, company, start } of this.usage.dirtyMarks()) {
      const windowStart = Math.floor(start / windowMs) * windowMs;
      const key = JSON.stringify([meter, company, windowStart]);
      if (windowStart + windowMs > before || windows.has(key)) continue;
      windows.set(key, this.windowNow(meter, company, windowStart, windowStart + windowMs));
    }
    return [...windows.values()].toSorted((a, b) => a.windowStart - b.windowStart);
  }

  enqueue(rows: readonly { readonly basis: DirtyWindow; readonly row: NewOutboxRow | null }[], at: number): number {
    let inserted = 0;
    for (const { basis, row } of rows) {
      const { meter, company, windowStart, windowEnd } = basis;
      if (!sameBasis(basis, this.windowNow(meter, company, windowStart, windowEnd))) continue;
      if (row === null) {
        this.skipped.push({ meter, company, windowStart, raw: basis.total - basis.enqueuedRaw });
      } else {
        if (this.kept.some((known) => isSameReport(known.row, row))) continue;
        this.kept.push(newRow(row, this.kept.length + 1, at));
        inserted += 1;
      }
      this.usage.clearMarks(meter, company, windowStart, windowEnd);
    }
    return inserted;
  }

  page(query: Parameters<Store["outbox"]>[0]): OutboxRow[] {
    const { state, meter, company, reportAs, final, windowFrom, windowTo, limit } = query;
    const found = this.kept.filter(
      ({ row }) =>
        (state === undefined || row.state === state) &&
        (meter === undefined || row.meter === meter) &&
        (company === undefined || row.company === company) &&
        (reportAs === undefined || row.reportAs === reportAs) &&
        (final === undefined || (row.state === "held" && isFinal(row) === final)) &&
        (windowFrom === undefined || row.windowEnd > windowFrom) &&
        (windowTo === undefined || row.windowStart < windowTo),
    );
    return found
      .toSorted(byWindow)
      .slice(0, limit)
      .map(({ row }) => ({ ...row }));
  }

  totals(): OutboxTotals[] {
    const totals = new Map<string, Draft<OutboxTotals>>();
    for (const { row } of this.kept) {
      const { meter, state } = row;
      const key = JSON.stringify([meter, state]);
      const total = totals.get(key) ?? { meter, state, rows: 0, raw: fromInteger(0), value: fromInteger(0) };
      total.rows += 1;
      total.raw += row.raw;
      total.value += row.value;
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
    for (const { company, reportAs, reason } of this.openHolds()) {
      const key = JSON.stringify([company, reportAs]);
      const known = lanes.get(key) ?? { company, reportAs, rows: 0, reason };
      lanes.set(key, { ...known, rows: known.rows + 1, reason: known.reason === reason ? reason : null });
    }
    return [...lanes.values()];
  }

  /** This store keeps no running totals: they are the sums of the rows. */
  laneTotals(): LaneTotals[] {
    const lanes = new Map<string, Draft<Pick<LaneTotals, "meter" | "company" | "raw" | "value">>>();
    for (const { row } of this.kept) {
      const { meter, company } = row;
      const key = JSON.stringify([meter, company]);
      const lane = lanes.get(key) ?? { meter, company, raw: fromInteger(0), value: fromInteger(0) };
      lane.raw += row.raw;
      lane.value += row.value;
      lanes.set(key, lane);
    }
    return [...lanes.values()].map((lane) => ({ ...lane, runningRaw: lane.raw, runningValue: lane.value }));
  }

  states(): Record<OutboxState, number> {
    const states = { held: 0, pending: 0, sending: 0, accepted: 0, dead: 0, conflict: 0 };
    for (const { row } of this.kept) states[row.state] += 1;
    return states;
  }

  dueTotals(windowMs: number): { meter: string; value: Decimal }[] {
    const totals = new Map<string, Decimal>();
    for (const { meter, total, enqueuedRaw } of this.dirtyWindows(windowMs, Number.MAX_SAFE_INTEGER)) {
      totals.set(meter, (totals.get(meter) ?? fromInteger(0)) + total - enqueuedRaw);
    }
    return [...totals].map(([meter, value]) => ({ meter, value }));
  }

  claim({ now, leaseMs, holder, limit }: Parameters<Store["claim"]>[0]): Claim[] {
    const claims: Claim[] = [];
    for (const kept of this.kept.toSorted(byWindow)) {
      if (claims.length >= limit) break;
      if (!this.isClaimable(kept, now)) continue;
      this.fence += 1;
      const token = `${holder}#${this.fence}`;
      kept.token = token;
      kept.leaseUntil = now + leaseMs;
      kept.isAttempting = false;
      kept.row.state = "sending";
      claims.push({ row: { ...kept.row }, token, epoch: kept.epoch });
    }
    return claims;
  }

  beginAttempt(rowId: number, token: string, now: number): boolean {
    const kept = this.leased(rowId, token);
    if (kept === undefined || isLeaseOver(kept, now)) return false;
    kept.isAttempting = true;
    kept.row.attempts += 1;
    kept.row.firstAttemptAt ??= now;
    return true;
  }

  settle(rowId: number, token: string, outcome: AttemptOutcome, now: number): boolean {
    const kept = this.leased(rowId, token);
    if (kept === undefined) return false;
    const { row } = kept;
    if (outcome.kind !== "stopped" && outcome.requestId !== null)
      row.requestIds = [...row.requestIds, outcome.requestId];
    row.reason = outcome.kind === "accepted" ? null : outcome.reason;
    switch (outcome.kind) {
      case "accepted":
        row.acceptedAt = now;
        break;
      case "retry":
        row.nextAttemptAt = outcome.nextAttemptAt;
        if (outcome.freshKey === true) kept.epoch += 1;
        break;
      case "stopped":
        if (kept.isAttempting) row.attempts -= 1;
        if (row.attempts === 0) row.firstAttemptAt = null;
        break;
      case "dead":
      case "conflict":
        break;
    }
    row.state = outcome.kind === "retry" || outcome.kind === "stopped" ? "pending" : outcome.kind;
    kept.token = null;
    return true;
  }

  release(releases: readonly Release[]): number {
    let released = 0;
    for (const { rowId, customer, identifier } of releases) {
      const row = this.kept.find((kept) => kept.row.rowId === rowId && kept.row.state === "held")?.row;
      if (row === undefined) continue;
      Object.assign(row, { customer, identifier, state: "pending", reason: null, nextAttemptAt: 0 });
      released += 1;
    }
    return released;
  }

  hold(selection: HeldSelection, reason: string): void {
    for (const row of this.openHolds()) if (isSelected(row, selection)) row.reason = reason;
  }

  private isClaimable(kept: KeptRow, now: number): boolean {
    const { row } = kept;
    if (row.state === "sending") return isLeaseOver(kept, now);
    const isWaiting = row.nextAttemptAt > now && row.nextAttemptAt <= now + limits.retryAfterMaxMs;
    if (row.state !== "pending" || isWaiting) return false;
    const lane = this.kept.filter(
      (other) => other !== kept && other.row.customer === row.customer && other.row.meter === row.meter,
    );
    return !lane.some(
      (other) => other.row.state === "sending" || (other.row.state === "pending" && byWindow(other, kept) < 0),
    );
  }

  private openHolds(): Draft<OutboxRow>[] {
    return this.kept.map(({ row }) => row).filter((row) => row.state === "held" && !isFinal(row));
  }

  private leased(rowId: number, token: string): KeptRow | undefined {
    return this.kept.find((kept) => kept.row.rowId === rowId && kept.token === token && kept.row.state === "sending");
  }

  private windowNow(meter: string, company: string, windowStart: number, windowEnd: number): DirtyWindow {
    const rows = this.kept.map(({ row }) => row).filter((row) => row.meter === meter && row.company === company);
    const isInside = (each: { readonly windowStart: number }): boolean =>
      each.windowStart >= windowStart && each.windowStart < windowEnd;
    const inside = rows.filter(isInside);
    const skipped = this.skipped.filter((each) => each.meter === meter && each.company === company && isInside(each));
    return {
      meter,
      company,
      windowStart,
      windowEnd,
      total: this.usage.total(meter, company, windowStart, windowEnd),
      enqueuedRaw: sum([...inside, ...skipped].map(({ raw }) => raw)),
      nextSequence: Math.max(-1, ...inside.map(({ sequence }) => sequence)) + 1,
      runningRaw: sum(rows.map(({ raw }) => raw)),
      runningValue: sum(rows.map(({ value }) => value)),
    };
  }
}

function newRow(row: NewOutboxRow, rowId: number, at: number): KeptRow {
  const acceptedAt = row.state === "accepted" ? at : null;
  const times = { createdAt: at, firstAttemptAt: null, attempts: 0, nextAttemptAt: 0, acceptedAt };
  return {
    row: { ...row, rowId, ...times, requestIds: [] },
    token: null,
    leaseUntil: 0,
    isAttempting: false,
    epoch: 0,
  };
}

/** A lease that ends too far ahead was taken under a wrong clock. */
function isLeaseOver({ leaseUntil }: KeptRow, now: number): boolean {
  return leaseUntil <= now || leaseUntil > now + limits.leaseMs;
}

function isFinal({ reason }: OutboxRow): boolean {
  return FINAL_HOLDS.some((final) => final === reason);
}

function isSelected(row: OutboxRow, selection: HeldSelection): boolean {
  if ("rowId" in selection) return row.rowId === selection.rowId;
  if ("timestampBefore" in selection) return row.timestamp < selection.timestampBefore;
  return row.company === selection.company && row.reportAs === selection.reportAs;
}

function byWindow(a: KeptRow, b: KeptRow): number {
  return a.row.windowStart - b.row.windowStart || a.row.sequence - b.row.sequence || a.row.rowId - b.row.rowId;
}

function isSameReport(a: OutboxRow, b: NewOutboxRow): boolean {
  return a.meter === b.meter && a.company === b.company && a.windowStart === b.windowStart && a.sequence === b.sequence;
}

function sum(values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total + value, fromInteger(0));
}
