import { limits } from "../limits.ts";
import { NOTHING_TO_SEND, SHADOW, type OutboxRow } from "../ports.ts";

/**
 * Where a row stands to the biller's books: `there`: it was taken long enough ago to be in them; `young`: taken, but they
 * may be behind; `unsure`: perhaps taken; `none`: nothing of it is or should be in them.
 */
type Standing = "there" | "young" | "unsure" | "none";

/** A row with its standing. `cancel` and `adjust` rows count nothing: what they did to other usage is in that. */
export interface StandingRow {
  readonly row: OutboxRow;
  readonly standing: Standing;
}

/** Rows of one lane, all that lie in a span: a cancelled report and the row that cancels it are stated at one instant. */
export function standingRows(rows: readonly OutboxRow[], now: number): readonly StandingRow[] {
  const cancelling = new Map(rows.flatMap((row) => (row.cancels === null ? [] : [[row.cancels, row] as const])));
  return rows.map((row) => ({ row, standing: standingOf(row, cancelling.get(row.rowId), now) }));
}

function standingOf(row: OutboxRow, cancelledBy: OutboxRow | undefined, now: number): Standing {
  const own = ownStanding(row, now);
  if (own === "none" || cancelledBy === undefined) return own;
  const cancelling = ownStanding(cancelledBy, now);
  if (cancelling === "none") return own;
  return cancelling === "there" ? "none" : "unsure";
}

function ownStanding({ state, reason, firstAttemptAt, acceptedAt }: OutboxRow, now: number): Standing {
  if (state === "settled") return "there";
  if (state === "held" || state === "dead") return "none";
  if (state !== "accepted") return firstAttemptAt === null ? "none" : "unsure";
  if (reason === NOTHING_TO_SEND || reason === SHADOW) return "none";
  return acceptedAt !== null && now - acceptedAt < limits.reconcileAfterMs ? "young" : "there";
}
