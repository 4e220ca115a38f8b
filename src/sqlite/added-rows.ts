import { canCancel, type OutboxRow, type Store } from "../engine/ports.ts";
import { markDirty } from "./bucket-rows.ts";
import type { Connection } from "./connection.ts";
import { readRow } from "./outbox-query.ts";
import { addChanges } from "./row-history.ts";
import { insertRow, windowNow } from "./windows.ts";

/**
 * Adds a `cancel` or `adjust` row as its window's next; null when what it cancels is not at the biller, or is cancelled
 * already. What a cancelled row covered is to be closed again. Runs inside a write transaction.
 */
export function addRow(
  connection: Connection,
  row: Parameters<Store["addRow"]>[0],
  author: string,
  cause: string,
  at: number,
): OutboxRow | null {
  if (row.kind === "usage") throw new TypeError("expected a cancel or adjust row, received one of usage: enqueue it");
  const { meter, company, windowStart, windowEnd, cancels } = row;
  const original = cancels === null ? null : readRow(connection, cancels);
  if (row.kind === "cancel") {
    if (original === null || !canCancel(original, row)) return null;
    if (connection.sql("SELECT 1 FROM outbox WHERE cancels = ?").get(cancels) !== undefined) return null;
  }
  const { nextSequence: sequence } = windowNow(connection, meter, company, windowStart, windowEnd);
  const rowId = insertRow(connection, { ...row, sequence }, at);
  if (rowId === null) return null;
  addChanges(connection, { where: "row_id = ?", parameters: [rowId], to: row.state, reason: cause, author }, at);
  if (original !== null) {
    const line = { to: original.state, reason: `cancelled by row ${rowId}: ${cause}`, author };
    addChanges(connection, { where: "row_id = ?", parameters: [original.rowId], ...line }, at);
    markDirty(connection, [{ meter, company, start: windowStart }]);
  }
  return readRow(connection, rowId);
}
