import { formatDecimal } from "../core/decimal.ts";
import type { OutboxRow, RowHistory } from "../engine/ports.ts";
import { instant, stamp, visible } from "./output.ts";

/** A row of the outbox as --json prints it: instants as RFC 3339, quantities as exact decimal text. */
export function rowRecord(row: OutboxRow): object {
  const { rowId, windowStart, windowEnd, raw, value, reported, timestamp, ...facts } = row;
  const {
    createdAt,
    firstAttemptAt,
    lastAttemptAt,
    resentAt,
    absentSince,
    acceptedAt,
    settledAt,
    nextAttemptAt,
    ...rest
  } = facts;
  return {
    row: rowId,
    ...rest,
    from: instant(windowStart),
    to: instant(windowEnd),
    timestamp: instant(timestamp),
    raw: formatDecimal(raw),
    value: formatDecimal(value),
    reported: formatDecimal(reported),
    created_at: instant(createdAt),
    first_attempt_at: time(firstAttemptAt),
    last_attempt_at: time(lastAttemptAt),
    next_attempt_at: nextAttemptAt === 0 ? null : instant(nextAttemptAt),
    resent_at: time(resentAt),
    absent_since: time(absentSince),
    accepted_at: time(acceptedAt),
    settled_at: time(settledAt),
  };
}

function time(at: number | null): string | null {
  return at === null ? null : instant(at);
}

/** One line of a row's history. */
export function historyLine({ at, what, to, reason, author, requestId }: RowHistory): string {
  const outcome = to === null ? "no outcome known" : to;
  const by = author === null ? "" : ` by ${visible(author)}`;
  return `${stamp(at)}  ${what}${by} → ${outcome}${reason === null ? "" : `: ${visible(reason)}`}${requestId === null ? "" : `  ${requestId}`}`;
}
