import { formatDecimal, type Decimal } from "../../core/decimal.ts";
import { bucketStart } from "../../core/usage.ts";
import { compareWithBooks, NO_FIGURE, sumOf, type BookFigure } from "./book-comparison.ts";
import { limits } from "../limits.ts";
import type { BillerLane, CountedQuery, CountedSpan, Drift, OutboxRow, Store } from "../ports.ts";
import { standingRows, type StandingRow } from "./row-standing.ts";

const MINUTE_MS = 60_000;
const SPAN_MS = { hour: 3_600_000, day: 86_400_000 } as const;

/** Reads the biller's books; null when the budget of readings is used up. */
export type ReadBooks = (query: CountedQuery) => Promise<readonly CountedSpan[] | null>;

export interface LaneComparison {
  readonly store: Pick<Store, "outbox">;
  readonly read: ReadBooks;
  readonly lane: BillerLane;
  /** The biller keeps only the last report of each of these; null = it adds all up. */
  readonly keepsLast: "hour" | "day" | null;
  /** Event time to compare, aligned with hours (days, where it keeps the last of a day). */
  readonly from: number;
  readonly to: number;
  readonly now: number;
}

/** What came out of comparing a lane; nothing is changed by it. */
export interface LaneFindings {
  /** Rows that the books show. */
  readonly agreed: readonly OutboxRow[];
  readonly drifts: readonly Omit<Drift, "foundAt">[];
  /** Spans that cannot be judged yet: known drifts there stay. Half-open. */
  readonly open: readonly { readonly from: number; readonly to: number }[];
  /** Up to which event time everything agreed. */
  readonly agreedUntil: number;
}

/** Collects findings of one lane. */
interface Ledger {
  readonly agreed: OutboxRow[];
  readonly drifts: Omit<Drift, "foundAt">[];
  readonly open: { readonly from: number; readonly to: number }[];
}

/** A span of the books with what of ours is stated in it. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly rows: readonly StandingRow[];
  readonly theirs: BookFigure;
  /** True where the books have no figure at all. */
  readonly isEmpty: boolean;
}

/** The width of the spans that are compared. */
export function spanMs(keepsLast: LaneComparison["keepsLast"]): number {
  return SPAN_MS[keepsLast ?? "hour"];
}

/**
 * Compares what a customer was reported on a meter with the biller's books, hour by hour, and where an hour differs,
 * minute by minute: each report has its own, so the difference names its row. Null = the budget did not reach.
 */
export async function compareLane(comparison: LaneComparison): Promise<LaneFindings | null> {
  const { store, read, lane, keepsLast, from, to, now } = comparison;
  const rows = await store.outbox({ ...lane, timestampFrom: from, timestampTo: to, limit: limits.heldRowsMax });
  const figures = await read({ ...lane, from, to, per: keepsLast ?? "hour" });
  if (figures === null) return null;
  const ledger: Ledger = { agreed: [], drifts: [], open: [] };
  for (const span of spansOf(standingRows(rows, now), figures, spanMs(keepsLast))) {
    if (keepsLast === null) await judgeHour(comparison, span, ledger);
    else judgeKept(lane, span, ledger);
  }
  const disagreed = ledger.drifts.filter(({ verdict }) => verdict !== "inexact");
  return { ...ledger, agreedUntil: Math.min(to, ...[...disagreed, ...ledger.open].map((span) => span.from)) };
}

function spansOf(rows: readonly StandingRow[], figures: readonly CountedSpan[], widthMs: number): readonly Span[] {
  const byStart = new Map<number, StandingRow[]>();
  for (const each of rows) {
    const start = bucketStart(each.row.timestamp, widthMs);
    const together = byStart.get(start) ?? [];
    together.push(each);
    byStart.set(start, together);
  }
  const theirs = new Map(figures.map((figure) => [figure.from, figure]));
  return [...new Set([...byStart.keys(), ...theirs.keys()])]
    .toSorted((a, b) => a - b)
    .map((from) => ({
      from,
      to: from + widthMs,
      rows: byStart.get(from) ?? [],
      theirs: theirs.get(from) ?? NO_FIGURE,
      isEmpty: !theirs.has(from),
    }));
}

/** Usage that should be in the books for sure, and perhaps; a correction of somebody else's surplus is no usage of ours. */
function usageOf(rows: readonly StandingRow[]): { readonly sure: OutboxRow[]; readonly perhaps: OutboxRow[] } {
  const usage = rows.filter(({ row }) => row.kind === "usage");
  return {
    sure: usage.flatMap(({ row, standing }) => (standing === "there" ? [row] : [])),
    perhaps: usage.flatMap(({ row, standing }) => (standing === "young" || standing === "unsure" ? [row] : [])),
  };
}

function reportedOf(rows: readonly OutboxRow[]): readonly Decimal[] {
  return rows.map(({ reported }) => reported);
}

function agree({ rows }: Span, ledger: Ledger): void {
  ledger.agreed.push(...rows.flatMap(({ row, standing }) => (standing === "there" ? [row] : [])));
}

/** True when the span is decided: it agrees, as far as can be told, with or without what is only perhaps there. */
function agrees(lane: BillerLane, span: Span, ledger: Ledger): boolean {
  const { sure, perhaps } = usageOf(span.rows);
  for (const rows of perhaps.length === 0 ? [sure] : [sure, [...sure, ...perhaps]]) {
    const ours = sumOf(reportedOf(rows));
    const verdict = compareWithBooks(ours, span.theirs);
    if (verdict === "missing" || verdict === "surplus") continue;
    agree(span, ledger);
    if (verdict === "inexact") ledger.drifts.push(driftOf(lane, span, ours.value, verdict, []));
    return true;
  }
  return false;
}

async function judgeHour(comparison: LaneComparison, hour: Span, ledger: Ledger): Promise<void> {
  const { lane } = comparison;
  if (agrees(lane, hour, ledger)) return;
  const isMoving = hour.rows.some(
    ({ row, standing }) => standing === "young" || (standing === "unsure" && row.kind !== "usage"),
  );
  // Readings of an hour that is still changing would name the wrong rows.
  if (isMoving) return void ledger.open.push(hour);
  const minutes = await readMinutes(comparison, hour);
  if (minutes === null) {
    const ours = sumOf(reportedOf(usageOf(hour.rows).sure));
    ledger.open.push(hour);
    ledger.drifts.push(driftOf(lane, hour, ours.value, signOf(ours.value, hour.theirs.value), []));
    return;
  }
  const agreeing: Span[] = [];
  for (const minute of minutes) {
    const { sure, perhaps } = usageOf(minute.rows);
    if (agrees(lane, minute, ledger)) agreeing.push(minute);
    else if (perhaps.length > 0) ledger.open.push(minute);
    else ledger.drifts.push(namedDrift(lane, minute, sure));
  }
  judgeRest(lane, hour, minutes, agreeing, ledger);
}

/** The minutes in which reports of ours are stated. Null = the budget did not reach. */
async function readMinutes({ read, lane }: LaneComparison, hour: Span): Promise<readonly Span[] | null> {
  const minutes = spansOf(
    hour.rows.filter(({ row, standing }) => row.kind === "usage" && standing !== "none"),
    [],
    MINUTE_MS,
  );
  const answered: Span[] = [];
  for (const { from, to, rows } of minutes) {
    // Nothing in the hour is nothing in any minute of it.
    const figures = hour.isEmpty ? [] : await read({ ...lane, from, to, per: null });
    if (figures === null) return null;
    const [figure] = figures;
    answered.push({ from, to, rows, theirs: figure ?? NO_FIGURE, isEmpty: figure === undefined });
  }
  return answered;
}

/** What is in an hour of the books beside the minutes of our reports was written by somebody else. */
function judgeRest(
  lane: BillerLane,
  hour: Span,
  minutes: readonly Span[],
  agreeing: readonly Span[],
  ledger: Ledger,
): void {
  const inMinutes = sumOf(minutes.map(({ theirs }) => theirs.value));
  const verdict = compareWithBooks(inMinutes, hour.theirs);
  if (verdict !== "missing" && verdict !== "surplus") return;
  const ours = sumOf(reportedOf(agreeing.flatMap(({ rows }) => usageOf(rows).sure)));
  const theirs = ours.value + hour.theirs.value - inMinutes.value;
  ledger.drifts.push(driftOf(lane, { ...hour, theirs: { value: theirs, isExact: true } }, ours.value, verdict, []));
}

/** Most reports of one minute among which those that are missing are looked for. */
const SHARED_ROWS_MAX = 10;

/** A minute that differs: reports that are not in it at all are missing, whatever their sign. */
function namedDrift(lane: BillerLane, minute: Span, rows: readonly OutboxRow[]): Omit<Drift, "foundAt"> {
  const ours = sumOf(reportedOf(rows));
  const missing = missingAmong(rows, ours.value - minute.theirs.value);
  if (missing !== null) return driftOf(lane, minute, ours.value, "missing", missing);
  // Of one report a part cannot be missing: whatever else stands there, somebody wrote it.
  const isPart = ours.value > 0n && minute.theirs.value > 0n && minute.theirs.value < ours.value;
  return driftOf(lane, minute, ours.value, isPart ? "missing" : "surplus", rows);
}

/** The fewest reports that add up to what is missing; null when none do. */
function missingAmong(rows: readonly OutboxRow[], difference: Decimal): readonly OutboxRow[] | null {
  const whole = sumOf(reportedOf(rows)).value;
  if (rows.length > SHARED_ROWS_MAX) return rows.length > 0 && difference === whole ? rows : null;
  let found: readonly OutboxRow[] | null = null;
  for (let choice = 1; choice < 2 ** rows.length; choice++) {
    const chosen = rows.filter((_, at) => (choice & (1 << at)) !== 0);
    if (sumOf(reportedOf(chosen)).value === difference && (found === null || chosen.length < found.length))
      found = chosen;
  }
  return found;
}

/** A window of which the biller keeps the last report: that must be the last of ours that it took. */
function judgeKept(lane: BillerLane, span: Span, ledger: Ledger): void {
  const { sure, perhaps } = usageOf(span.rows);
  const last = lastTaken(sure);
  const candidates = [last, ...perhaps].map((row) => sumOf(row === null ? [] : [row.reported]));
  const fitting = candidates.map((ours) => ({ ours, verdict: compareWithBooks(ours, span.theirs) }));
  const found = fitting.find(({ verdict }) => verdict === "equal" || verdict === "inexact");
  if (found !== undefined) {
    agree(span, ledger);
    if (found.verdict === "inexact") ledger.drifts.push(driftOf(lane, span, found.ours.value, "inexact", []));
    return;
  }
  if (perhaps.length > 0) return void ledger.open.push(span);
  const ours = last?.reported ?? 0n;
  const verdict = span.isEmpty ? "missing" : signOf(ours, span.theirs.value);
  ledger.drifts.push(driftOf(lane, span, ours, verdict, last === null ? [] : [last]));
}

function lastTaken(rows: readonly OutboxRow[]): OutboxRow | null {
  const inOrder = rows.toSorted((a, b) => (a.acceptedAt ?? 0) - (b.acceptedAt ?? 0) || a.rowId - b.rowId);
  return inOrder.at(-1) ?? null;
}

function signOf(ours: Decimal, theirs: Decimal): "missing" | "surplus" {
  return theirs < ours ? "missing" : "surplus";
}

function driftOf(
  { customer, reportAs }: BillerLane,
  { from, to, theirs }: Pick<Span, "from" | "to" | "theirs">,
  ours: Decimal,
  verdict: Drift["verdict"],
  rows: readonly OutboxRow[],
): Omit<Drift, "foundAt"> {
  const rowIds = rows.map(({ rowId }) => rowId);
  return { customer, reportAs, from, to, ours, theirs: theirs.value, verdict, rowIds };
}

/** One difference in words. */
export function driftSentence({ customer, reportAs, from, ours, theirs, verdict, rowIds }: Drift): string {
  const rows = rowIds.length === 0 ? "" : `, row ${rowIds.join(", ")}`;
  return `${verdict} for ${customer} on ${reportAs} at ${new Date(from).toISOString()}: ours ${formatDecimal(ours)}, theirs ${formatDecimal(theirs)}${rows}`;
}
