import { formatDecimal, fromInteger, type Decimal } from "../../core/decimal.ts";
import type { LocalState, MeterEventRecord, MeterRecord, Receipt } from "./state.ts";
import type { JudgedEvent } from "./validation/judge.ts";

/** What was really counted at one instant: the truth that a reporter is held against. */
export interface LedgerEntry {
  /** `mtr_…` */
  readonly meter: string;
  readonly eventName: string;
  readonly customer: string;
  /** Seconds since 1970 UTC. */
  readonly timestamp: number;
  /** Exact sum of the counted events, as a decimal string; for a count meter their number; for `last` the last value. */
  readonly value: string;
  readonly events: number;
  /** Identifiers of the counted events, in order of arrival. */
  readonly identifiers: readonly string[];
}

const WINDOW_SECONDS = { hour: 3_600, day: 86_400 } as const;

/** Counts an event that passed all checks, at its place in the order of arrival. */
export function recordMeterEvent(state: LocalState, event: JudgedEvent, receipt: Receipt): void {
  const record: MeterEventRecord = Object.assign(receipt, event);
  const key = laneKey(event.meter, event.customer);
  const lane = state.meterEvents.get(key);
  if (lane === undefined) {
    state.meterEvents.set(key, [record]);
    return;
  }
  const isLast = (lane.at(-1)?.arrival ?? 0) < record.arrival;
  lane.push(record);
  if (!isLast) {
    lane.sort((a, b) => a.arrival - b.arrival);
  }
}

/** The events that count for a customer: not cancelled, received by `visibleUpTo`, and last of their window where the meter has windows. */
export function countedEvents(
  state: LocalState,
  meter: MeterRecord,
  customer: string,
  visibleUpTo: number,
): readonly MeterEventRecord[] {
  return lastOfWindows(
    meter,
    (state.meterEvents.get(laneKey(meter, customer)) ?? []).filter((event) => event.receivedAt <= visibleUpTo),
  );
}

/** The meter's formula over events, exactly. */
export function aggregate(meter: MeterRecord, events: readonly MeterEventRecord[]): Decimal {
  switch (meter.formula) {
    case "count":
      return fromInteger(events.length);
    case "sum":
      return events.reduce((sum, event) => sum + (event.value ?? 0n), 0n);
    case "last":
      break;
  }
  return latest(events)?.value ?? 0n;
}

/** Every counted (meter, customer, timestamp), by meter, customer and time; lag plays no part. */
export function ledgerEntries(state: LocalState): readonly LedgerEntry[] {
  const entries: LedgerEntry[] = [];
  for (const lane of state.meterEvents.values()) {
    const [first] = lane;
    if (first === undefined) {
      continue;
    }
    const byTime = new Map<number, MeterEventRecord[]>();
    for (const event of lastOfWindows(first.meter, lane)) {
      const together = byTime.get(event.timestamp) ?? [];
      together.push(event);
      byTime.set(event.timestamp, together);
    }
    for (const [timestamp, events] of byTime) {
      entries.push(ledgerEntry(timestamp, events, first));
    }
  }
  return entries.toSorted(
    (a, b) => compare(a.meter, b.meter) || compare(a.customer, b.customer) || a.timestamp - b.timestamp,
  );
}

/** A customer's exact total on a meter over all time, as a decimal string. */
export function ledgerTotal(state: LocalState, eventName: string, customer: string): string {
  const meter = [...state.meters.values()].find((each) => each.eventName === eventName);
  return meter === undefined
    ? "0"
    : formatDecimal(aggregate(meter, countedEvents(state, meter, customer, Number.POSITIVE_INFINITY)));
}

function ledgerEntry(
  timestamp: number,
  events: readonly MeterEventRecord[],
  { meter, customer }: MeterEventRecord,
): LedgerEntry {
  return {
    meter: meter.id,
    eventName: meter.eventName,
    customer,
    timestamp,
    value: formatDecimal(aggregate(meter, events)),
    events: events.length,
    identifiers: events.map((event) => event.identifier),
  };
}

function lastOfWindows(meter: MeterRecord, lane: readonly MeterEventRecord[]): readonly MeterEventRecord[] {
  const standing = lane.filter((event) => !event.cancelled);
  if (meter.window === null) {
    return standing;
  }
  const seconds = WINDOW_SECONDS[meter.window];
  const winners = new Map<number, MeterEventRecord>();
  for (const event of standing) {
    winners.set(Math.floor(event.timestamp / seconds), event);
  }
  return [...winners.values()];
}

function latest(events: readonly MeterEventRecord[]): MeterEventRecord | undefined {
  return events.toSorted((a, b) => a.timestamp - b.timestamp || a.arrival - b.arrival).at(-1);
}

function laneKey(meter: MeterRecord, customer: string): string {
  return `${meter.id} ${customer}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
