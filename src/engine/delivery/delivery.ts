import { isMeterbookError } from "../../core/errors.ts";
import type { UsageRecord } from "../../core/usage-record.ts";
import { beforeLastAttempt, mayHaveCounted } from "./attempt-outcomes.ts";
import type { ClockTrust } from "./clock-trust.ts";
import type { DailyReadings } from "./daily-readings.ts";
import { gateFor, type Gates } from "./delivery-gates.ts";
import { limits } from "../limits.ts";
import type { Pace } from "./pace.ts";
import type {
  AttemptOutcome,
  Claim,
  Clock,
  NewOutboxRow,
  OutboxRow,
  ReportAnswer,
  Store,
  UsageReporter,
} from "../ports.ts";
import { openBooks, readBack, type Books } from "./read-back.ts";

export interface DeliveryOptions {
  readonly store: Store;
  readonly reporter: Pick<UsageReporter, "report" | "cancel" | "counted">;
  readonly gates: Gates;
  readonly clock: Clock;
  /** Which instants of the clock may decide about a row. */
  readonly trust: ClockTrust;
  /** The day's readings of the biller's books. */
  readonly readings: DailyReadings;
  /** Who claims the rows. */
  readonly holder: string;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  /** Resolves after so many milliseconds of the clock's time. */
  readonly wait: (ms: number) => Promise<void>;
  readonly pace: Pace;
  /** False = another node reports now; asked before each batch. */
  readonly keepLease: () => Promise<boolean>;
  /** Told of each report that was refused for good or is in conflict, with its reason. */
  readonly onRefused?: (reason: string) => void;
}

/** What became of the rows of one round. */
export interface DeliverySummary {
  readonly accepted: number;
  /** Outcome unknown: sent again later with the same identifier. */
  readonly retried: number;
  readonly dead: number;
  readonly conflicts: number;
  /** Not tried: their books at the biller must be read first, or again, or nothing may be sent now. */
  readonly waiting: number;
  /** Why all sending was stopped (credentials, clock); null = it was not. */
  readonly stopped: string | null;
  /** True when the round ended early because no clear answer came. */
  readonly gaveUp: boolean;
}

interface Round extends DeliveryOptions {
  readonly tally: Record<Exclude<AttemptOutcome["kind"], "stopped">, number>;
  readonly books: Books;
  stopped: string | null;
  failuresInARow: number;
}

/**
 * Sends what is due until nothing is. An attempt is recorded before its call, so that after a crash the row is known as
 * perhaps delivered and goes again with the same identifier, or not at all when that is not safe any more.
 */
export async function deliver(options: DeliveryOptions): Promise<DeliverySummary> {
  const { store, clock, holder } = options;
  const round: Round = {
    ...options,
    tally: { accepted: 0, retry: 0, dead: 0, conflict: 0, absent: 0, wait: 0, held: 0 },
    books: openBooks({ ...options, now: () => clock.now(), pause: () => pause(options) }),
    stopped: null,
    failuresInARow: 0,
  };
  while (!hasEnded(round) && (await options.keepLease())) {
    const claimedAt = clock.now();
    const claims = await store.claim({
      now: claimedAt,
      leaseMs: limits.leaseMs,
      holder,
      limit: claimLimit(options.pace),
    });
    if (claims.length === 0) break;
    await askForTime(round);
    try {
      await inLanes(claims, (claim) => deliverRow(round, claim, claimedAt));
    } finally {
      await options.readings.keep();
    }
  }
  const { tally } = round;
  return {
    accepted: tally.accepted,
    retried: tally.retry,
    dead: tally.dead,
    conflicts: tally.conflict,
    waiting: tally.absent + tally.wait + tally.held,
    stopped: round.stopped,
    gaveUp: round.stopped === null && hasEnded(round),
  };
}

/** A jump of the clock since the last batch is to decide about no row of this one: all are put back while it is wrong. */
async function askForTime(round: Round): Promise<void> {
  try {
    const fault = await round.trust.renew();
    if (fault !== null) round.stopped ??= fault;
  } catch (error) {
    if (notAsked(round, error).kind !== "stopped") round.failuresInARow = limits.failuresInARowMax;
  }
}

/** No more than can be begun while the lease is safe. */
function claimLimit(speed: Pace): number {
  const safeSeconds = (limits.leaseMs - limits.reporterTimeoutMs) / 2_000;
  return Math.max(1, Math.min(limits.claimRowsMax, Math.floor(speed.perSecond() * safeSeconds)));
}

function hasEnded({ stopped, failuresInARow }: Round): boolean {
  return stopped !== null || failuresInARow >= limits.failuresInARowMax;
}

/** Claims are of different (customer, meter) each, so they may go side by side. All finish before a failure is thrown. */
async function inLanes(claims: readonly Claim[], work: (claim: Claim) => Promise<void>): Promise<void> {
  const rest = claims.values();
  const lane = async (): Promise<void> => {
    for (const claim of rest) await work(claim);
  };
  const lanes = Array.from({ length: Math.min(limits.lanesMax, claims.length) }, lane);
  const failed = (await Promise.allSettled(lanes)).find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function deliverRow(round: Round, claim: Claim, claimedAt: number): Promise<void> {
  const { store, clock, trust } = round;
  const { row, token } = claim;
  const settle = async (outcome: AttemptOutcome): Promise<void> => {
    const isOurs = await store.settle(row.rowId, token, outcome, clock.now());
    if (!isOurs || outcome.kind === "stopped") return;
    round.tally[outcome.kind] += 1;
    if (outcome.kind === "dead" || outcome.kind === "conflict") round.onRefused?.(outcome.reason);
  };
  const putBack = (): Promise<void> => settle({ kind: "stopped", reason: round.stopped ?? row.reason ?? "put back" });
  const hasTime = (now: number): boolean =>
    trust.covers(now) && now >= claimedAt && now - claimedAt < limits.leaseMs - limits.reporterTimeoutMs;
  if (!hasEnded(round)) await pause(round);
  const now = clock.now();
  if (hasEnded(round) || !hasTime(now)) return putBack();
  const call = await callFor(round, claim, now);
  // Reading the books took its time, and what they say is judged by the clock.
  if (call.kind === "closed") return trust.covers(clock.now()) ? settle(call.outcome) : putBack();
  const beganAt = clock.now();
  if (hasEnded(round) || !hasTime(beganAt)) return putBack();
  if (!(await store.beginAttempt(row.rowId, token, beganAt, call.isResend))) return;
  const answer = await answerTo(call.make);
  takeHint(round, answer);
  return settle(await outcomeOf(round, row, answer));
}

async function pause({ pace, clock, wait }: Pick<DeliveryOptions, "pace" | "clock" | "wait">): Promise<void> {
  const delay = pace.delayMs(clock.now());
  if (delay > 0) await wait(delay);
}

/** The call that a row wants, or what becomes of it without one. */
type WantedCall =
  | { readonly kind: "call"; readonly make: () => Promise<ReportAnswer>; readonly isResend: boolean }
  | { readonly kind: "closed"; readonly outcome: AttemptOutcome };

async function callFor(round: Round, { row, epoch }: Claim, now: number): Promise<WantedCall> {
  const { reporter } = round;
  try {
    const gate = await gateFor(round.gates, row, now);
    if (gate.kind === "closed") return gate;
    const record = recordOf(gate.kind === "cancel" ? gate.original : row);
    if (record === null)
      return { kind: "closed", outcome: { kind: "conflict", reason: "it has no customer", requestId: null } };
    const { identifier } = record;
    if (gate.kind === "cancel")
      return { kind: "call", make: () => reporter.cancel(record, `cancel_${identifier}.${epoch}`), isResend: false };
    const verdict = gate.kind === "open" ? "send" : await readBack(round.books, row, gate.mayResend);
    if (verdict !== "send") return { kind: "closed", outcome: verdict };
    const isResend = gate.kind === "readBack";
    // Sent again after so long, it must not be answered from the memory of its key.
    const key = `${identifier}.${isResend ? epoch + 1 : epoch}`;
    return { kind: "call", make: () => reporter.report(record, key), isResend };
  } catch (error) {
    return { kind: "closed", outcome: notAsked(round, error) };
  }
}

/** What decides about the row could not be asked: nothing was sent. A refused key stops everything, as in a call. */
function notAsked(round: Round, error: unknown): AttemptOutcome {
  if (!isMeterbookError(error)) throw error;
  const reason = error.message;
  if (error.code === "METER_STRIPE_REFUSED") {
    round.stopped ??= reason;
    return { kind: "stopped", reason };
  }
  if (error.code !== "METER_STRIPE_UNREACHABLE") throw error;
  round.failuresInARow += 1;
  return { kind: "wait", reason, nextAttemptAt: round.clock.now() + limits.retryMaxMs };
}

/** The record that a row is sent as; null while it has no customer. */
export function recordOf(row: OutboxRow | NewOutboxRow): UsageRecord | null {
  const { meter, reportAs, company, customer, windowStart, windowEnd, sequence, timestamp, identifier } = row;
  if (customer === null || identifier === null) return null;
  const value = row.reported;
  return { meter, reportAs, company, customer, windowStart, windowEnd, sequence, value, timestamp, identifier };
}

async function answerTo(call: () => Promise<ReportAnswer>): Promise<ReportAnswer> {
  try {
    return await call();
  } catch (error) {
    // A reporter should not throw; when it does, nothing is known of the call.
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: "unknown", reason, requestId: null, freshKey: false, retryAfterMs: null, rateLimited: false };
  }
}

function takeHint(round: Round, answer: ReportAnswer): void {
  if (answer.kind === "unknown") round.failuresInARow += 1;
  else round.failuresInARow = 0;
  if (answer.kind === "unknown" && answer.rateLimited) round.pace.slower(round.clock.now());
  if (answer.kind === "accepted") round.pace.faster();
  if (answer.kind === "stop") round.stopped ??= answer.reason;
}

async function outcomeOf(round: Round, row: OutboxRow, answer: ReportAnswer): Promise<AttemptOutcome> {
  if (answer.kind === "stop") return { kind: "stopped", reason: answer.reason };
  if (answer.kind === "dead") return refused(round, row, answer);
  if (answer.kind === "accepted") return answer;
  const { reason, requestId } = answer;
  const askedMs = Math.min(answer.retryAfterMs ?? 0, limits.retryAfterMaxMs);
  const delayMs = Math.max(backoffMs(row.attempts, round.random()), askedMs);
  // A server error is stored under its key and would be answered again; the identifier alone keeps the record single.
  const { freshKey } = answer;
  return { kind: "retry", reason, requestId, nextAttemptAt: round.clock.now() + delayMs, freshKey };
}

/** A refusal says nothing of an earlier call: what that may have counted must not stand as never billed. */
async function refused(
  { store }: Round,
  { rowId, attempts }: OutboxRow,
  answer: Extract<ReportAnswer, { kind: "dead" }>,
): Promise<AttemptOutcome> {
  if (attempts === 0 || !mayHaveCounted(beforeLastAttempt(await store.rowHistory(rowId)), attempts)) return answer;
  return { ...answer, kind: "conflict", reason: `earlier attempt unknown; now refused: ${answer.reason}` };
}

/** Full jitter: anywhere between the least wait and a bound that doubles with each attempt. */
function backoffMs(attempts: number, random: number): number {
  const bound = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** Math.min(attempts + 1, 20));
  return Math.floor(limits.retryMinMs + random * (bound - limits.retryMinMs));
}
