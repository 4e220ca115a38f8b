import { isMeterbookError, type ErrorCode } from "../../core/errors.ts";
import { bucketStart } from "../../core/usage.ts";
import { allLanes, laneName, lanesDue, type LaneDue } from "./lanes-due.ts";
import { limits } from "../limits.ts";
import { knownModes } from "../outbox/meter-modes.ts";
import { sendAgain } from "./missing-reports.ts";
import { clockTrust } from "../delivery/clock-trust.ts";
import type { Pace } from "../delivery/pace.ts";
import type { BillerLane, Clock, Drift, OutboxRow, RowChange, Store, UsageReporter } from "../ports.ts";
import { readingBudget, type ReadingBudget } from "./reading-budget.ts";
import { compareLane, driftSentence, spanMs, type LaneFindings } from "./reconcile-lane.ts";
import { assertAccount } from "../outbox/report-account.ts";
import { standingRows } from "./row-standing.ts";

export interface ReconcileOptions {
  readonly store: Store;
  readonly reporter: Pick<UsageReporter, "account" | "clockFault" | "counted" | "meter">;
  readonly clock: Clock;
  /** How long after a period's end its invoice is final. */
  readonly graceMs: number;
  /** `due` lanes within the day's readings, or all of these at once. */
  readonly lanes: "due" | ((lane: BillerLane) => boolean);
  /** Nothing is written and nothing is sent again. */
  readonly readOnly: boolean;
  /** False = another node reports now: the comparing ends. */
  readonly keepLease: () => Promise<boolean>;
  readonly pace: Pace;
  /** Resolves after so many milliseconds of the clock's time. */
  readonly wait: (ms: number) => Promise<void>;
  /** Readings a day for lanes that are due; limits.reconcileReadsPerDay unless told. */
  readonly readsPerDay?: number;
  readonly onNotice?: (notice: { readonly code: ErrorCode; readonly text: string }) => void;
  readonly onProgress?: (done: number, of: number) => void;
}

/** What became of a comparison with the biller's books. */
export interface ReconcileSummary {
  /** Lanes that were compared, and those that were not: no reading was left, or the biller gave no answer. */
  readonly lanes: number;
  readonly left: number;
  readonly reads: number;
  /** Reports that the books show now and did not before. */
  readonly settled: number;
  /** All differences of the lanes that were compared. */
  readonly drifts: readonly Drift[];
  /** Missing reports that go out again or are to be decided by a person. */
  readonly changes: readonly RowChange[];
  /** Why the comparing ended early; null = it did not. */
  readonly stopped: string | null;
}

const LOOKED_AT = "reconcile.looked_at";
const STOPPED = "reconcile.stopped";

/**
 * Compares what was reported with the biller's books: what agrees is settled, what differs is kept as drift, what is
 * missing goes out again when that is safe. Null = no lanes were looked for, since that was done a moment ago.
 */
export async function reconcile(options: ReconcileOptions): Promise<ReconcileSummary | null> {
  const { store, clock, graceMs, lanes: scope } = options;
  const now = clock.now();
  if (scope === "due" && !(await isLookDue(store, now))) return null;
  const lanes = scope === "due" ? await lanesDue(store, now, graceMs) : (await allLanes(store, now)).filter(scope);
  const run: Run = {
    options,
    budget: await readingBudget(options),
    tally: { lanes: 0, settled: 0, drifts: [], changes: [], newDrifts: [] },
    unanswered: [],
  };
  const stopped = lanes.length === 0 ? null : await compareAll(run, lanes);
  if (!options.readOnly) {
    await run.budget.keep();
    tell(options, run.tally.newDrifts);
    if (scope === "due") {
      await tellStop(options, stopped);
      if (stopped === null) await forgetOld(store, now);
      await store.putNote(LOOKED_AT, String(now));
    }
  }
  const { lanes: done, settled, drifts, changes } = run.tally;
  return {
    lanes: done,
    left: lanes.length - done,
    reads: run.budget.reads(),
    settled,
    drifts,
    changes,
    stopped: stopped?.reason ?? null,
  };
}

interface Run {
  readonly options: ReconcileOptions;
  readonly budget: ReadingBudget;
  readonly tally: {
    lanes: number;
    settled: number;
    readonly drifts: Drift[];
    readonly changes: RowChange[];
    readonly newDrifts: Drift[];
  };
  /** Lanes whose books could not be read. */
  readonly unanswered: LaneDue[];
}

async function isLookDue(store: Store, now: number): Promise<boolean> {
  const age = now - Number((await store.getNote(LOOKED_AT)) ?? Number.NaN);
  return !(age >= 0 && age < limits.reconcileLookMs);
}

/** Why comparing ended early. A wrong clock is told of by the reporter that measured it. */
interface Stop {
  readonly reason: string;
  readonly isTold: boolean;
}

/** Answers why it ended early. One lane that cannot be read, such as a deleted customer's, does not keep the others. */
async function compareAll(run: Run, lanes: readonly LaneDue[]): Promise<Stop | null> {
  const { options, tally, unanswered } = run;
  let failuresInARow = 0;
  let stop: Stop | null = null;
  try {
    await assertAccount(options.store, await options.reporter.account());
    const now = options.clock.now();
    const trust = clockTrust(options.reporter, options.clock);
    for (const [at, lane] of lanes.entries()) {
      options.onProgress?.(at, lanes.length);
      // A wrong clock would call reports old enough to be missed, and invoices final.
      const wrongClock = await trust.renew();
      if (wrongClock !== null) return { reason: wrongClock, isTold: true };
      if (!(await options.keepLease())) return stopFor("another process reports now");
      try {
        if (!(await compareOne(run, lane, trust.agreedAt() ?? now))) break;
        failuresInARow = 0;
      } catch (error) {
        if (!isMeterbookError(error) || error.code !== "METER_STRIPE_UNREACHABLE") throw error;
        unanswered.push(lane);
        failuresInARow += 1;
        stop = stopFor(error.message);
        if (failuresInARow >= limits.reconcileFailuresMax) break;
      }
    }
  } catch (error) {
    if (!isMeterbookError(error) || !OF_BILLER.includes(error.code)) throw error;
    return stopFor(error.message);
  }
  // The biller answers for others, so these are not to stand first for ever.
  if (tally.lanes > 0 && failuresInARow < limits.reconcileFailuresMax) await putOff(run);
  return stop;
}

function stopFor(reason: string): Stop {
  return { reason, isTold: false };
}

/** Why no books can be read, for all lanes alike. */
const OF_BILLER: readonly ErrorCode[] = [
  "METER_STRIPE_REFUSED",
  "METER_STRIPE_ACCOUNT_CHANGED",
  "METER_STRIPE_UNREACHABLE",
];

async function putOff({ options: { store, clock, readOnly }, unanswered }: Run): Promise<void> {
  if (readOnly) return;
  for (const { customer, reportAs, before } of unanswered)
    await store.putReconciliation({
      customer,
      reportAs,
      checkedAt: clock.now(),
      agreedUntil: before?.agreedUntil ?? 0,
    });
}

/** Compares a lane as of `now`. False when the readings are used up. */
async function compareOne(run: Run, lane: LaneDue, now: number): Promise<boolean> {
  const { options, budget, tally } = run;
  const { store } = options;
  const addsUp = await howBooksAddUp(options, lane);
  if (addsUp === null) {
    run.unanswered.push(lane);
    return true;
  }
  const keepsLast = addsUp === "none" ? null : addsUp;
  const span = await spanToCompare(options, lane, spanMs(keepsLast), now);
  if (span === null) {
    tally.lanes += 1;
    return true;
  }
  const { customer, reportAs } = lane;
  const { read } = budget;
  const comparison = { store, read, lane: { customer, reportAs }, keepsLast, ...span, now };
  const findings = await compareLane(comparison);
  if (findings === null) return false;
  tally.lanes += 1;
  await keepFindings(run, lane, span, findings, now);
  return true;
}

/** Null = a meter that is another one than what was reported to: its books say nothing of our reports. */
async function howBooksAddUp(
  { store, reporter }: ReconcileOptions,
  { reportAs }: BillerLane,
): Promise<"none" | "hour" | "day" | null> {
  const known = (await knownModes(store))[reportAs];
  const meter = await reporter.meter(reportAs);
  if (meter.kind !== "ready") return known ?? "none";
  const found = meter.keepsLast ?? "none";
  return known === undefined || known === found ? found : null;
}

/**
 * Event time from the oldest report that is not settled, and some of what agreed before, up to now. Null when no report
 * is old enough to be judged.
 */
async function spanToCompare(
  { store, lanes: scope }: ReconcileOptions,
  { customer, reportAs, before }: LaneDue,
  widthMs: number,
  now: number,
): Promise<{ readonly from: number; readonly to: number } | null> {
  const oldest = bucketStart(now - limits.reportAgeMaxMs, widthMs);
  const to = bucketStart(now, widthMs);
  const limit = limits.heldRowsMax;
  const rows = await store.outbox({ customer, reportAs, timestampFrom: oldest, timestampTo: to, limit });
  const there = standingRows(rows, now).filter(({ standing }) => standing === "there");
  if (there.length === 0 && before === null) return null;
  const unsettled = there.filter(({ row }) => row.state === "accepted").map(({ row }) => row.timestamp);
  const agreed = before === null || scope !== "due" ? oldest : before.agreedUntil - limits.reconcileOverlapMs;
  const from = Math.max(oldest, bucketStart(Math.min(agreed, ...unsettled), widthMs));
  // Nothing was reported before the first of them, and a foreign writer's past is not ours to read through.
  const first = Math.min(...rows.map(({ timestamp }) => timestamp));
  const begin = Math.max(from, Number.isFinite(first) ? bucketStart(first, widthMs) : from);
  return begin < to ? { from: begin, to } : null;
}

async function keepFindings(
  run: Run,
  lane: LaneDue,
  span: { readonly from: number; readonly to: number },
  findings: LaneFindings,
  now: number,
): Promise<void> {
  const { options, tally, budget } = run;
  const { store, graceMs } = options;
  const known = (await store.drifts()).filter((drift) => laneName(drift) === laneName(lane) && isWithin(drift, span));
  const drifts = mergedDrifts(findings, known, now);
  tally.drifts.push(...drifts);
  tally.newDrifts.push(...drifts.filter((drift) => drift.foundAt === now && !known.some((old) => isSame(old, drift))));
  if (options.readOnly) {
    tally.settled += findings.agreed.filter(isAccepted).length;
    return;
  }
  tally.settled += await store.settleRows(
    findings.agreed.filter(isAccepted).map(({ rowId }) => rowId),
    now,
  );
  await store.putDrifts(lane, span.from, span.to, drifts);
  const missing = { store, read: budget.read, now, graceMs, visible: findings.agreed };
  for (const drift of drifts) tally.changes.push(...(await sendAgain(missing, drift)));
  const { customer, reportAs } = lane;
  await store.putReconciliation({ customer, reportAs, checkedAt: now, agreedUntil: findings.agreedUntil });
}

/** Where the biller takes neither usage nor corrections any more, a difference is shown for some time, and then history. */
async function forgetOld(store: Store, now: number): Promise<void> {
  for (const drift of await store.drifts())
    if (now - drift.to > limits.driftKeptMs) await store.putDrifts(drift, drift.from, drift.from + 1, []);
}

function isAccepted({ state }: OutboxRow): boolean {
  return state === "accepted";
}

/** New findings with the time at which each was found first; what is known of spans that could not be judged stays. */
function mergedDrifts({ drifts, open }: LaneFindings, known: readonly Drift[], now: number): readonly Drift[] {
  const isOpen = (drift: Pick<Drift, "from" | "to">): boolean => open.some((span) => isWithin(drift, span));
  const kept = known.filter(isOpen);
  // Of an hour whose minutes could not be read, what was known in detail says more.
  const found = drifts.filter((drift) => !isOpen(drift) || kept.length === 0);
  const dated = found.map((drift) => ({ ...drift, foundAt: known.find((old) => isSame(old, drift))?.foundAt ?? now }));
  const isFoundToo = (old: Drift): boolean => found.some((drift) => drift.from === old.from && drift.to === old.to);
  return [...dated, ...kept.filter((old) => !isFoundToo(old))].toSorted((a, b) => a.from - b.from || a.to - b.to);
}

function isSame(a: Pick<Drift, "from" | "to" | "verdict">, b: Pick<Drift, "from" | "to" | "verdict">): boolean {
  return a.from === b.from && a.to === b.to && a.verdict === b.verdict;
}

function isWithin(drift: Pick<Drift, "from" | "to">, span: { readonly from: number; readonly to: number }): boolean {
  return drift.from >= span.from && drift.to <= span.to;
}

/** Each new difference once. What only a double's width hides is shown, and is no alarm. */
function tell({ onNotice }: ReconcileOptions, drifts: readonly Drift[]): void {
  const alarming = drifts.filter(({ verdict }) => verdict !== "inexact");
  for (const drift of alarming.slice(0, limits.driftsToldMax))
    onNotice?.({ code: "METER_STRIPE_DRIFT", text: `Stripe's books differ: ${driftSentence(drift)}.` });
  const others = alarming.length - limits.driftsToldMax;
  if (others > 0)
    onNotice?.({
      code: "METER_STRIPE_DRIFT",
      text: `Stripe's books differ in ${others} more places: meterbook reconcile.`,
    });
}

/** Once, until the books can be read again. */
async function tellStop({ store, onNotice }: ReconcileOptions, stop: Stop | null): Promise<void> {
  if (stop?.isTold === true) return;
  const told = (await store.getNote(STOPPED)) ?? "";
  const reason = stop?.reason ?? "";
  if (reason === told) return;
  await store.putNote(STOPPED, reason);
  if (stop !== null && told === "")
    onNotice?.({ code: "METER_STRIPE_UNREACHABLE", text: `Reports are not compared with Stripe's books: ${reason}` });
}
