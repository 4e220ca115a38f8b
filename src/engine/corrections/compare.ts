import type { Decimal } from "../../core/decimal.ts";
import { windowStart } from "../../core/window.ts";
import { rowLanes } from "../outbox/outbox-lanes.ts";
import type { OutboxRow, StoreView } from "../ports.ts";
import { reportEras, type ReportEra } from "../outbox/report-windows.ts";

/** One line of another system's numbers: usage of one meter between two instants of event time, half-open. */
export interface StatedUsage {
  /** Line of the file, from 1. */
  readonly line: number;
  /** The company's id; null where the line names only the biller's customer. */
  readonly company: string | null;
  /** The biller's customer, or the company's id where `company` is null. */
  readonly customer: string | null;
  /** Our meter, or the biller's name of it. */
  readonly meter: string;
  readonly from: number;
  readonly to: number;
  readonly value: Decimal;
}

export interface ComparedUsage extends StatedUsage {
  /** What our reports at the biller (in shadow mode: those that would be there) say for the line. */
  readonly ours: Decimal;
  /** Ours less theirs. */
  readonly difference: Decimal;
  /** Reports of ours for the line that are not at the biller: held, on their way, refused. */
  readonly waiting: Decimal;
}

/** What we have reported and no line speaks of. */
type UnstatedUsage = Pick<LedgerLine, "company" | "customer" | "meter" | "value">;

export interface Comparison {
  readonly lines: readonly ComparedUsage[];
  /** Of the meters and the time that the lines speak of; only where it is not 0. */
  readonly unstated: readonly UnstatedUsage[];
  readonly ours: Decimal;
  readonly theirs: Decimal;
  readonly isEqual: boolean;
}

type LedgerView = Pick<StoreView, "laneTotals" | "outbox" | "getNote">;

/**
 * Another system's numbers against our ledger: the reports that the biller has, or would have without shadow mode, by the
 * event time that they state. A report corrects at the event time of what it corrects.
 */
export async function compareLedger(store: LedgerView, stated: readonly StatedUsage[]): Promise<Comparison> {
  const lines = stated.map((line) => ({ ...line, ours: 0n, difference: 0n, waiting: 0n }));
  const index = indexOf(lines);
  const meters = new Set(stated.map(({ meter }) => meter));
  const from = stated.reduce((least, line) => Math.min(least, line.from), Number.MAX_SAFE_INTEGER);
  const to = stated.reduce((greatest, line) => Math.max(greatest, line.to), Number.MIN_SAFE_INTEGER);
  const unstated = new Map<string, { -readonly [Key in keyof UnstatedUsage]: UnstatedUsage[Key] }>();
  for await (const { pages } of rowLanes(store, { timestampFrom: from, timestampTo: to })) {
    for await (const row of eachRow(pages)) {
      if (row.kind === "adjust") continue;
      const named = linesFor(index, row);
      for (const line of named) {
        if (isReported(row)) line.ours += row.value;
        else line.waiting += row.value;
      }
      const isAsked = meters.has(row.meter) || meters.has(row.reportAs);
      if (named.length > 0 || !isAsked || !isReported(row)) continue;
      const { company, customer, meter, value } = row;
      const key = JSON.stringify([company, customer, meter]);
      const known = unstated.get(key) ?? { company, customer, meter, value: 0n };
      unstated.set(key, { ...known, value: known.value + value });
    }
  }
  for (const line of lines) line.difference = line.ours - line.value;
  const others = [...unstated.values()].filter(({ value }) => value !== 0n);
  return {
    lines,
    unstated: others,
    ours: sum(lines.map(({ ours }) => ours)) + sum(others.map(({ value }) => value)),
    theirs: sum(stated.map(({ value }) => value)),
    isEqual: others.length === 0 && lines.every(({ difference }) => difference === 0n),
  };
}

/** What was reported, or would be without shadow mode, in one report window. */
export interface LedgerLine {
  readonly company: string;
  readonly customer: string | null;
  readonly meter: string;
  readonly from: number;
  readonly to: number;
  readonly value: Decimal;
}

/** Our ledger: by company, customer, meter and window of stated event time; lines of 0 are left out. */
export async function* ledgerLines(
  store: LedgerView,
  range: { readonly from: number | null; readonly to: number | null } = { from: null, to: null },
): AsyncGenerator<LedgerLine> {
  const eras = (await reportEras(store)) ?? [];
  const bounds = {
    ...(range.from === null ? {} : { timestampFrom: range.from }),
    ...(range.to === null ? {} : { timestampTo: range.to }),
  };
  for await (const { pages } of rowLanes(store, bounds)) {
    const lines = new Map<string, LedgerLine>();
    for await (const row of eachRow(pages)) {
      if (row.kind === "adjust" || !isReported(row)) continue;
      const { company, customer, meter } = row;
      const window = statedWindow(row, eras);
      const key = JSON.stringify([customer, window.from]);
      const known = lines.get(key) ?? { company, customer, meter, ...window, value: 0n };
      lines.set(key, { ...known, value: known.value + row.value });
    }
    yield* [...lines.values()].filter(({ value }) => value !== 0n).toSorted((a, b) => a.from - b.from);
  }
}

/** The report window of the stated time: that of the row, but for usage that was carried into another one. */
function statedWindow(
  { timestamp, windowStart: from, windowEnd: to }: OutboxRow,
  eras: readonly ReportEra[],
): { readonly from: number; readonly to: number } {
  if (timestamp >= from && timestamp < to) return { from, to };
  const windowMs = eras.findLast((era) => era.from <= timestamp)?.windowMs ?? to - from;
  const start = windowStart(timestamp, windowMs);
  return { from: start, to: start + windowMs };
}

type Draft = { -readonly [Key in keyof ComparedUsage]: ComparedUsage[Key] };
type Index = ReadonlyMap<string, readonly Draft[]>;

function indexOf(lines: readonly Draft[]): Index {
  const index = new Map<string, Draft[]>();
  for (const line of lines) {
    const key = JSON.stringify([line.company ?? line.customer, line.meter]);
    const known = index.get(key);
    if (known === undefined) index.set(key, [line]);
    else known.push(line);
  }
  return index;
}

function linesFor(index: Index, { company, customer, meter, reportAs, timestamp }: OutboxRow): readonly Draft[] {
  const payers = new Set([company, customer]);
  const keys = [...payers].flatMap((payer) =>
    [...new Set([meter, reportAs])].map((name) => JSON.stringify([payer, name])),
  );
  const found = keys.flatMap((key) => index.get(key) ?? []);
  return found.filter(
    (line) =>
      timestamp >= line.from &&
      timestamp < line.to &&
      (line.company === null || line.company === company) &&
      (line.company === null || line.customer === null || line.customer === customer),
  );
}

function isReported({ state }: OutboxRow): boolean {
  return state === "accepted" || state === "settled";
}

async function* eachRow(pages: AsyncIterable<readonly OutboxRow[]>): AsyncGenerator<OutboxRow> {
  for await (const page of pages) yield* page;
}

function sum(values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total + value, 0n);
}
