import { canChange, type RowChange } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { readRow } from "./outbox-query.ts";
import { addChanges } from "./row-history.ts";

/** Who settles rows: the comparison with the biller's books. */
const SETTLED = { author: "reconcile", reason: "the biller's books show it" } as const;

/** Makes accepted rows settled; answers how many were accepted still. */
export function settleRows(connection: Connection, rowIds: readonly number[], now: number): number {
  const where = "row_id = ? AND state = 'accepted'";
  const settle = connection.sql(`UPDATE outbox SET state = 'settled', settled_at = ? WHERE ${where}`);
  let settled = 0;
  for (const rowId of rowIds) {
    addChanges(connection, { where, parameters: [rowId], to: "settled", ...SETTLED }, now);
    settled += settle.run(now, rowId).changes;
  }
  return settled;
}

/** One change outside delivery; false when the row is not in `from`, or may not change so. */
export function changeRow(connection: Connection, change: RowChange, now: number): boolean {
  const { rowId, to, reason, author } = change;
  const row = readRow(connection, rowId);
  if (row === null || !canChange(row, change)) return false;
  addChanges(connection, { where: "row_id = ?", parameters: [rowId], to, reason, author }, now);
  const isAtBiller = to === "accepted" || to === "settled";
  const isResend = to === "pending" && change.resend === true;
  connection
    .sql(
      `UPDATE outbox SET state = ?, reason = ?, accepted_at = ?, settled_at = ?, absent_since = NULL,
         resent_at = ?, epoch = epoch + ?, next_attempt_at = ? WHERE row_id = ?`,
    )
    .run(
      to,
      reason,
      isAtBiller ? (row.acceptedAt ?? now) : null,
      to === "settled" ? now : null,
      isResend ? now : row.resentAt,
      isResend ? 1 : 0,
      to === "pending" ? 0 : row.nextAttemptAt,
      rowId,
    );
  // Only what is held by now may say it.
  if (to === "held" && change.late !== undefined)
    connection.sql("UPDATE outbox SET late = ? WHERE row_id = ?").run(change.late, rowId);
  return true;
}
