import type { UsageRecord } from "../core/usage-record.ts";
import { limits } from "./limits.ts";
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
} from "./ports.ts";

export interface DeliveryOptions {
  readonly store: Store;
  readonly reporter: Pick<UsageReporter, "report">;
  readonly clock: Clock;
  /** Who claims the rows. */
  readonly holder: string;
  /** A number in [0, 1), for jitter. */
  readonly random: () => number;
  /** Resolves after so many milliseconds of the clock's time. */
  readonly wait: (ms: number) => Promise<void>;
  readonly pace: Pace;
  /** False = another node reports now; asked before each batch. */
  readonly keepLease: () => Promise<boolean>;
}

/** What became of the rows of one round. */
export interface DeliverySummary {
  readonly accepted: number;
  /** Outcome unknown: sent again later with the same identifier. */
  readonly retried: number;
  readonly dead: number;
  readonly conflicts: number;
  /** Why all sending was stopped (credentials, clock); null = it was not. */
  readonly stopped: string | null;
  /** True when the round ended early because no clear answer came. */
  readonly gaveUp: boolean;
}

interface Round extends DeliveryOptions {
  readonly tally: Record<"accepted" | "retry" | "dead" | "conflict", number>;
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
    tally: { accepted: 0, retry: 0, dead: 0, conflict: 0 },
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
    await inLanes(claims, (claim) => deliverRow(round, claim, claimedAt));
  }
  const { tally } = round;
  return {
    accepted: tally.accepted,
    retried: tally.retry,
    dead: tally.dead,
    conflicts: tally.conflict,
    stopped: round.stopped,
    gaveUp: round.stopped === null && hasEnded(round),
  };
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
  const { store, clock } = round;
  const { row, token } = claim;
  const settle = async (outcome: AttemptOutcome): Promise<void> => {
    const isOurs = await store.settle(row.rowId, token, outcome, clock.now());
    if (isOurs && outcome.kind !== "stopped") round.tally[outcome.kind] += 1;
  };
  if (!hasEnded(round)) {
    const delay = round.pace.delayMs(clock.now());
    if (delay > 0) await round.wait(delay);
  }
  const now = clock.now();
  const hasTime = now >= claimedAt && now - claimedAt < limits.leaseMs - limits.reporterTimeoutMs;
  if (hasEnded(round) || !hasTime)
    return settle({ kind: "stopped", reason: round.stopped ?? row.reason ?? "put back" });
  const obstacle = obstacleTo(row, now);
  if (obstacle !== null) return settle(obstacle);
  const record = recordOf(row);
  if (record === null) return settle({ kind: "conflict", reason: "it has no customer", requestId: null });
  if (!(await store.beginAttempt(row.rowId, token, now))) return;
  const answer = await answerTo(round, record, `${record.identifier}.${claim.epoch}`);
  takeHint(round, answer);
  return settle(outcomeOf(round, row, answer));
}

/** Never resend blindly what Stripe may have counted and forgotten; never try what it would refuse for its age. */
function obstacleTo(row: OutboxRow, now: number): AttemptOutcome | null {
  const wasTried = row.firstAttemptAt !== null;
  if (wasTried && now - row.firstAttemptAt >= limits.resendSafeMs) {
    const hours = Math.floor(limits.resendSafeMs / 3_600_000);
    return {
      kind: "conflict",
      reason: `outcome unknown for ${hours} h: perhaps counted, so not sent again (${row.reason ?? "no answer"})`,
      requestId: null,
    };
  }
  if (now - row.timestamp > limits.reportAgeMaxMs) {
    const kind = wasTried ? "conflict" : "dead";
    return { kind, reason: "too_old: Stripe takes usage of the last 35 days only", requestId: null };
  }
  return null;
}

/** The record that a row is sent as; null while it has no customer. */
export function recordOf(row: OutboxRow | NewOutboxRow): UsageRecord | null {
  const { meter, reportAs, company, customer, windowStart, windowEnd, sequence, value, timestamp, identifier } = row;
  if (customer === null || identifier === null) return null;
  return { meter, reportAs, company, customer, windowStart, windowEnd, sequence, value, timestamp, identifier };
}

async function answerTo(round: Round, record: UsageRecord, idempotencyKey: string): Promise<ReportAnswer> {
  try {
    return await round.reporter.report(record, idempotencyKey);
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

function outcomeOf(round: Round, row: OutboxRow, answer: ReportAnswer): AttemptOutcome {
  if (answer.kind === "stop") return { kind: "stopped", reason: answer.reason };
  if (answer.kind !== "unknown") return answer;
  const { reason, requestId } = answer;
  const askedMs = Math.min(answer.retryAfterMs ?? 0, limits.retryAfterMaxMs);
  const delayMs = Math.max(backoffMs(row.attempts, round.random()), askedMs);
  // A server error is stored under its key and would be answered again; the identifier alone keeps the record single.
  const { freshKey } = answer;
  return { kind: "retry", reason, requestId, nextAttemptAt: round.clock.now() + delayMs, freshKey };
}

/** Full jitter: anywhere between the least wait and a bound that doubles with each attempt. */
function backoffMs(attempts: number, random: number): number {
  const bound = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** Math.min(attempts + 1, 20));
  return Math.floor(limits.retryMinMs + random * (bound - limits.retryMinMs));
}
