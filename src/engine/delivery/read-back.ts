import { formatDecimal, fromInteger, type Decimal } from "../../core/decimal.ts";
import { minuteOf } from "../../core/usage-record.ts";
import type { WindowSpan } from "../../core/window.ts";
import type { DailyReadings } from "./daily-readings.ts";
import { limits } from "../limits.ts";
import {
  NOTHING_TO_SEND,
  SHADOW,
  type AttemptOutcome,
  type OutboxRow,
  type Store,
  type UsageReporter,
} from "../ports.ts";

/** The biller's books, as far as one round of delivery may read them. */
export interface Books {
  readonly store: Pick<Store, "outbox" | "reportedLanes">;
  readonly reporter: Pick<UsageReporter, "counted">;
  /** Keeps the pace of calls before each reading. */
  readonly pause: () => Promise<void>;
  readonly now: () => number;
  /** The day's readings, as far as rows like these may make them. */
  readonly readings: DailyReadings;
  /** Readings so far, and rows that found none left. */
  readonly spent: { reads: number; refused: number };
  /** When the last report was accepted that is known to be in the books, by the biller's meter. */
  readonly seen: Map<string, number>;
}

/** Nothing was read yet. */
export function openBooks(options: Pick<Books, "store" | "reporter" | "pause" | "now" | "readings">): Books {
  const { store, reporter, pause, now, readings } = options;
  return { store, reporter, pause, now, readings, spent: { reads: 0, refused: 0 }, seen: new Map() };
}

/** What the biller's books say of one row. */
type Reading =
  | { readonly kind: "found" | "empty" | "shared" | NoReading }
  | { readonly kind: "other"; readonly value: Decimal }
  | { readonly kind: "unread"; readonly reason: string };

/** Why the books are not read now: the round had its readings, or the day did. */
type NoReading = "busy" | "used_up";

/** Whether a row that the books do not show may be sent once more, or why never: no invoice would bill it. */
export type MayResend = "yes" | "invoice_final" | "no_subscription" | "too_old";

/**
 * What becomes of a row whose outcome is not known and that must not be sent again as it is: the biller may have counted
 * it and forgotten its identifier. Its own minute in the books decides. There: accepted. Not there, by two readings, long
 * after the last attempt, while a later report of ours is there: "send", once. Anything else is a person's to decide, or
 * looked at again later.
 */
export async function readBack(books: Books, row: OutboxRow, mayResend: MayResend): Promise<"send" | AttemptOutcome> {
  const reading = await readRow(books, row);
  const now = books.now();
  const isTooOld = mayResend === "too_old" || now - row.timestamp > limits.reportAgeMaxMs;
  if (reading.kind === "found") return { kind: "accepted", requestId: null, reason: "read_back" };
  if (reading.kind === "shared")
    return conflict(
      `${unknownFor(row, now)}; other reports share its minute, so the biller's books cannot tell it apart`,
    );
  if (reading.kind === "other")
    return conflict(`${unknownFor(row, now)}; the biller's books have ${formatDecimal(reading.value)} in its place`);
  if (reading.kind === "busy" || reading.kind === "used_up")
    return { kind: "wait", ...turnAfter(books, now, reading.kind) };
  if (isTooOld) return conflict(`${unknownFor(row, now)}, and too_old to be sent again`);
  if (reading.kind === "unread")
    return { kind: "wait", reason: `not read back: ${reading.reason}`, nextAttemptAt: now + limits.readBackEveryMs };
  return absent(books, row, mayResend);
}

function conflict(reason: string): AttemptOutcome {
  return { kind: "conflict", reason, requestId: null };
}

function unknownFor({ firstAttemptAt }: OutboxRow, now: number): string {
  const hours = Math.max(0, Math.floor((now - (firstAttemptAt ?? now)) / HOUR_MS));
  return `outcome unknown for ${hours} h`;
}

const HOUR_MS = 3_600_000;

/** More rows than may be read in a round take turns, so that they are not all claimed again in the next one. */
function turnAfter(
  { spent }: Books,
  now: number,
  why: NoReading,
): { readonly reason: string; readonly nextAttemptAt: number } {
  if (why === "used_up") {
    const tomorrow = (Math.floor(now / DAY_MS) + 1) * DAY_MS;
    const reason = "waits to be read back: today's readings of the biller's books are used up";
    return { reason, nextAttemptAt: Math.min(tomorrow, now + limits.retryAfterMaxMs) };
  }
  spent.refused += 1;
  const rounds = Math.ceil(spent.refused / limits.readBacksMax);
  const nextAttemptAt = now + Math.min(rounds * MINUTE_MS, limits.retryAfterMaxMs);
  return { reason: "waits for its turn to be read back", nextAttemptAt };
}

function noReading({ spent, readings }: Books): NoReading | null {
  if (readings.spent() >= limits.readBacksPerDay) return "used_up";
  return spent.reads >= limits.readBacksMax ? "busy" : null;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** The books do not show it: believed only long after the last attempt, twice, and beside a later report that they show. */
async function absent(books: Books, row: OutboxRow, mayResend: MayResend): Promise<"send" | AttemptOutcome> {
  const now = books.now();
  // Instants to come were written under a wrong clock, and prove no time between.
  const quietAt = (row.lastAttemptAt ?? now) + limits.readBackQuietMs;
  const agreesAt = (row.absentSince ?? now) + limits.readBackEveryMs;
  if (now < quietAt || now < agreesAt) {
    const next = Math.max(now + limits.readBackEveryMs, quietAt);
    return notThere("the biller's books do not show it yet", Math.min(next, now + limits.retryAfterMaxMs));
  }
  const witness = await hasWitness(books, row);
  if (witness === "busy" || witness === "used_up") return { kind: "absent", ...turnAfter(books, now, witness) };
  if (!witness) return notThere("the biller's books show no later report either", now + limits.readBackWitnessMs);
  if (mayResend === "no_subscription")
    return conflict(`${unknownFor(row, now)}; the biller's books do not show it, and no subscription bills it`);
  if (mayResend !== "yes")
    return conflict(`late_usage: ${unknownFor(row, now)}, the biller's books do not show it, and its invoice is final`);
  if (row.resentAt !== null)
    return conflict(`${unknownFor(row, now)}; it was sent again, and the biller's books still do not show it`);
  return "send";
}

function notThere(reason: string, nextAttemptAt: number): AttemptOutcome {
  return { kind: "absent", reason, nextAttemptAt };
}

async function readRow(books: Books, row: OutboxRow): Promise<Reading> {
  const { customer, reportAs, timestamp } = row;
  if (customer === null) return { kind: "unread", reason: "it has no customer" };
  const minute = minuteOf(timestamp);
  if (minute.from !== timestamp || (await isShared(books, row, minute))) return { kind: "shared" };
  const kind = noReading(books);
  if (kind !== null) return { kind };
  try {
    const value = await read(books, { customer, reportAs }, minute);
    if (value === row.reported) return { kind: "found" };
    return value === 0n ? { kind: "empty" } : { kind: "other", value };
  } catch (error) {
    return { kind: "unread", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Whether another report of ours may have been counted in this minute. */
async function isShared({ store }: Books, row: OutboxRow, { from, to }: WindowSpan): Promise<boolean> {
  const { customer, reportAs, rowId } = row;
  if (customer === null) return false;
  const rows = await store.outbox({ customer, reportAs, timestampFrom: from, timestampTo: to, limit: SHARERS_MAX });
  return rows.some((other) => other.rowId !== rowId && mayBeThere(other));
}

const SHARERS_MAX = 1_000;

function mayBeThere({ state, reason, firstAttemptAt }: OutboxRow): boolean {
  if (state === "accepted" || state === "settled") return reason !== NOTHING_TO_SEND && reason !== SHADOW;
  return state === "sending" || firstAttemptAt !== null;
}

async function read(
  books: Books,
  lane: { readonly customer: string; readonly reportAs: string },
  span: WindowSpan,
): Promise<Decimal> {
  books.spent.reads += 1;
  books.readings.add(1);
  await books.pause();
  const { from, to } = span;
  const spans = await books.reporter.counted({ ...lane, from, to, per: null });
  return spans.reduce<Decimal>((sum, { value }) => sum + value, fromInteger(0));
}

/** Whether the books show a report of the same meter that was accepted after this row's last attempt. */
async function hasWitness(books: Books, row: OutboxRow): Promise<boolean | NoReading> {
  const since = row.lastAttemptAt ?? 0;
  const isSeen = (): boolean => (books.seen.get(row.reportAs) ?? Number.NEGATIVE_INFINITY) > since;
  if (isSeen()) return true;
  const candidates = await witnesses(books, row, since);
  for (const candidate of candidates.slice(0, limits.witnessReadsMax)) {
    if (candidate.state !== "settled") {
      const none = noReading(books);
      if (none !== null) return none;
      const reading = await readRow(books, candidate);
      if (reading.kind !== "found") continue;
    }
    books.seen.set(row.reportAs, Math.max(candidate.acceptedAt ?? 0, books.seen.get(row.reportAs) ?? 0));
    return true;
  }
  return false;
}

/** Reports that were accepted since, settled ones first (the books were seen to have them), then the oldest. */
async function witnesses({ store, now }: Books, row: OutboxRow, since: number): Promise<readonly OutboxRow[]> {
  const range = { from: since - WITNESS_BACK_MS, to: now() + limits.futureMs };
  const lanes = (await store.reportedLanes(range)).filter(({ reportAs }) => reportAs === row.reportAs);
  const own = lanes.filter(({ customer }) => customer === row.customer);
  const others = lanes.filter(({ customer }) => customer !== row.customer);
  const found: OutboxRow[] = [];
  for (const lane of [...own, ...others].slice(0, limits.witnessLanesMax)) {
    const stated = { timestampFrom: range.from, timestampTo: range.to, limit: SHARERS_MAX };
    for (const state of ["settled", "accepted"] as const)
      found.push(...(await store.outbox({ ...lane, ...stated, state })));
  }
  const isLater = (other: OutboxRow): boolean =>
    other.kind === "usage" && other.mode === "delta" && mayBeThere(other) && (other.acceptedAt ?? 0) > since;
  return found
    .filter(isLater)
    .toSorted((a, b) => Number(b.state === "settled") - Number(a.state === "settled") || order(a) - order(b));
}

const WITNESS_BACK_MS = DAY_MS;

function order({ acceptedAt }: OutboxRow): number {
  return acceptedAt ?? 0;
}
