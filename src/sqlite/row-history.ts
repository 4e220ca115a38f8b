import type { OutboxState, RowHistory } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/** What is written of a change of the rows that a condition selects. */
interface Change {
  readonly where: string;
  readonly parameters: readonly unknown[];
  readonly to: OutboxState;
  readonly reason: string;
  readonly author: string;
}

/** The row's last attempt; where that is forgotten, the one that an earlier change stands behind. */
const LAST_ATTEMPT = `(SELECT max(number) FROM (
  SELECT number FROM outbox_attempts WHERE outbox_attempts.row_id = outbox.row_id
  UNION ALL SELECT after_attempt FROM outbox_changes WHERE outbox_changes.row_id = outbox.row_id))`;

/** Writes a line of history for each of these rows, as they are before the change. Runs inside a write transaction. */
export function addChanges(
  connection: Connection,
  { where, parameters, to, reason, author }: Change,
  now: number,
): number {
  return connection
    .sql(
      `INSERT INTO outbox_changes (row_id, after_attempt, at, from_state, to_state, reason, author)
       SELECT row_id, ${LAST_ATTEMPT}, ?, state, ?, ?, ? FROM outbox WHERE ${where}`,
    )
    .run(now, to, reason, author, ...parameters).changes;
}

type HistoryRow = readonly [
  at: number,
  what: RowHistory["what"],
  to: string | null,
  reason: string | null,
  author: string | null,
  requestId: string | null,
];

/** Attempts and changes of a row, oldest first: by their order, not by a clock that may have been set back. */
export function readHistory(connection: Connection, rowId: number): RowHistory[] {
  const rows = connection
    .sql<HistoryRow>(
      `SELECT at, what, to_state, reason, author, request_id FROM (
         SELECT at, 'attempt' AS what, outcome AS to_state, reason, NULL AS author, request_id, number AS attempt, 0 AS change
           FROM outbox_attempts WHERE row_id = :rowId
         UNION ALL SELECT at, 'change', to_state, reason, author, NULL, ifnull(after_attempt, 0), number
           FROM outbox_changes WHERE row_id = :rowId
       ) ORDER BY attempt, change`,
    )
    .raw()
    .all({ rowId });
  return rows.map(([at, what, to, reason, author, requestId]) => ({ at, what, to, reason, author, requestId }));
}
