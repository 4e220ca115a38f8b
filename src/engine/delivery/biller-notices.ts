import type { ErrorCode } from "../../core/errors.ts";
import { learnOfCustomer } from "./customer-notices.ts";
import { limits } from "../limits.ts";
import type {
  BillerLane,
  BillerNotice,
  Clock,
  OutboxRow,
  RejectedSample,
  RejectionNotice,
  RowChange,
  Store,
} from "../ports.ts";
import { coveringTotal, isOpenAfter, rowsOfWindow } from "./rejected-totals.ts";

export interface BillerNoticeOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly onNotice?: (notice: { readonly code: ErrorCode; readonly text: string }) => void;
}

/**
 * `taken`: the store has what it says, or has it already. `later`: a row that it names is being sent, so it must come
 * again. `refused` and `ignored` change nothing.
 */
export type NoticeStatus = "taken" | "ignored" | "later" | "refused";

/**
 * Applies what the biller tells by itself. It may come twice, late and in any order, and a crash may end this anywhere: so
 * it is applied first, by steps that do nothing the second time, and remembered as done after.
 */
export async function applyBillerNotice(options: BillerNoticeOptions, notice: BillerNotice): Promise<NoticeStatus> {
  if (notice.kind === "rejection") return applyRejection(options, notice);
  if (notice.kind !== "customer") return notice.kind;
  await learnOfCustomer(options.store, notice, options.clock.now());
  return "taken";
}

async function applyRejection(
  { store, clock, onNotice }: BillerNoticeOptions,
  notice: RejectionNotice,
): Promise<NoticeStatus> {
  const verdicts = await Promise.all(
    notice.samples.map(async (sample) => ({ sample, row: await rowOf(store, sample.identifier) })),
  );
  // Whoever holds the row is about to write what became of it.
  if (verdicts.some(({ row }) => row?.state === "sending")) return "later";
  for (const { row } of verdicts) if (row !== null && isOpenAfter(await rowsOfWindow(store, row), row)) return "later";
  const rejected: { readonly row: OutboxRow; readonly sample: RejectedSample }[] = [];
  let unnamed = Math.max(0, notice.errorCount - notice.samples.length);
  for (const { sample, row } of verdicts) {
    if (row === null) continue;
    const verdict = await reject(store, row, sample, notice, clock.now());
    if (verdict === "dead") rejected.push({ row, sample });
    else if (verdict === "unclear" && !isRejected(row)) unnamed += 1;
  }
  if (unnamed > 0) await lookAgain(store, notice);
  // After all of it is stored: a crash before this tells it twice at most, and loses nothing.
  const isNew = await store.takeOnce(`biller notice ${notice.id}`, clock.now());
  if (isNew) onNotice?.({ code: "METER_STRIPE_REJECTED", text: sentenceOf(notice, rejected, unnamed) });
  return "taken";
}

/** By identifier, or by the Idempotency-Key that delivery made of it. */
async function rowOf(store: Store, name: string): Promise<OutboxRow | null> {
  for (const identifier of [name, name.replace(/\.\d+$/, "")]) {
    const rows = await store.outbox({ identifier, limit: SAME_IDENTIFIER_MAX });
    // A row that cancels another may bear its name.
    const row = rows.find(({ kind }) => kind !== "cancel");
    if (row !== undefined) return row;
  }
  return null;
}

const SAME_IDENTIFIER_MAX = 10;

/**
 * `dead`: its usage is refused. `covered`: a later total that the biller took says that usage too. `unclear`: the biller
 * speaks of an earlier sending, or its books showed the report since.
 */
type RejectedAs = "dead" | "covered" | "unclear";

async function reject(
  store: Store,
  row: OutboxRow,
  { code }: RejectedSample,
  { to }: RejectionNotice,
  now: number,
): Promise<RejectedAs> {
  const isOutdated = (row.resentAt !== null && row.resentAt > to) || (row.settledAt !== null && row.settledAt > to);
  if (isOutdated || !REJECTABLE.includes(row.state) || row.firstAttemptAt === null) return "unclear";
  const cover = coveringTotal(await rowsOfWindow(store, row), row);
  const change = { rowId: row.rowId, from: row.state, author: "webhook" } as const;
  if (cover !== null) {
    const reason = coveredBy(cover, code);
    if (row.reason !== reason && !(await store.changeRow({ ...change, to: "accepted", reason }, now))) return "unclear";
    return "covered";
  }
  if (!(await store.changeRow({ ...change, to: "dead", reason: `${REJECTED}: ${code}` }, now))) return "unclear";
  await uncover(store, row, now);
  return "dead";
}

/** The total that was refused may have said the usage of earlier refused ones: without it, that is refused as well. */
async function uncover(store: Store, refused: OutboxRow, now: number): Promise<void> {
  const rows = await rowsOfWindow(store, refused);
  for (const row of rows.filter(({ reason }) => reason?.startsWith(COVERED) === true)) {
    if (coveringTotal(rows, row) !== null || row.state === "dead") continue;
    const reason = `${REJECTED}: with row ${refused.rowId}, the total that said its usage`;
    const change: RowChange = { rowId: row.rowId, from: row.state, to: "dead", reason, author: "webhook" };
    await store.changeRow(change, now);
  }
}

/** Reason of an accepted total that was refused, while a later one says its usage. */
const COVERED = "covered: ";

function coveredBy({ rowId }: OutboxRow, code: string): string {
  return `${COVERED}rejected (${code}), and the total of row ${rowId} says its usage`;
}

/** Taken by the biller, or perhaps: sending it again would only be answered as a duplicate of what was refused. */
const REJECTABLE: readonly OutboxRow["state"][] = ["accepted", "settled", "pending", "conflict"];
const REJECTED = "rejected";

/** Whether the biller refused a report when it came to count it. */
export function isRejected({ state, reason }: OutboxRow): boolean {
  return state === "dead" && reason?.startsWith(REJECTED) === true;
}

/**
 * More was refused than is named: the meter's lanes are compared with the books as soon as those can be believed. The
 * instants of a notice are those of counting, so it may be about any report of the time before.
 */
async function lookAgain(store: Store, { reportAs, from, to }: RejectionNotice): Promise<void> {
  const lanes = await store.reportedLanes({ from: from - limits.reportAgeMaxMs, to: to + limits.futureMs });
  const known = new Map((await store.reconciliations()).map((each) => [laneKey(each), each]));
  for (const lane of lanes) {
    if (reportAs !== null && lane.reportAs !== reportAs) continue;
    const before = known.get(laneKey(lane));
    // A lane that was never compared is due anyway.
    if (before === undefined) continue;
    const dueAt = to + limits.reconcileAfterMs + limits.reconcileAgainMs;
    const checkedAt = Math.min(before.checkedAt, dueAt - limits.reconcileEveryMs);
    const agreedUntil = Math.min(before.agreedUntil, from - limits.reconcileOverlapMs);
    if (checkedAt !== before.checkedAt || agreedUntil !== before.agreedUntil)
      await store.putReconciliation({ ...before, checkedAt, agreedUntil });
  }
}

function laneKey({ customer, reportAs }: BillerLane): string {
  return JSON.stringify([customer, reportAs]);
}

function sentenceOf(
  { reportAs, errorCount, samples }: RejectionNotice,
  rejected: readonly { readonly row: OutboxRow; readonly sample: RejectedSample }[],
  unnamed: number,
): string {
  const codes = [...new Set(samples.map(({ code }) => code))].join(", ");
  const named = rejected
    .slice(0, NAMED_MAX)
    .map(({ row }) => `row ${row.rowId} of ${row.company}`)
    .join(", ");
  const others =
    unnamed === 0 ? "" : ` ${unnamed} more are not named or not clear: the meter is compared with Stripe's books.`;
  const count = errorCount === 1 ? "a report" : `${errorCount} reports`;
  return `Stripe refused ${count}${reportAs === null ? "" : ` on ${reportAs}`} that it had taken (${codes === "" ? "no reason named" : codes}): ${named === "" ? "none that is named is ours" : named}.${others}`;
}

const NAMED_MAX = 5;
