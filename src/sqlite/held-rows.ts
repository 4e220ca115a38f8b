import { NO_SUBSCRIPTION } from "../core/no-subscription.ts";
import { owns } from "../core/own-member.ts";
import type { HeldLane, HeldSelection, Release } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { addChanges } from "./row-history.ts";

/**
 * Held rows that may still be sent. The words are those of the partial indexes in schema.ts, which are used only for
 * exactly these; a test holds them to FINAL_HOLDS.
 */
export const NOT_FINAL = "reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits' AND reason IS NOT 'late_usage'";

/** Lanes of held rows that may still be sent. */
export function heldLanes(connection: Connection): HeldLane[] {
  const { names } = connection;
  const rows = connection
    .sql<[number, number, number, string | null, string | null, number]>(
      `SELECT company, report_as, count(*), min(reason), max(reason), count(reason) FROM outbox
       WHERE state = 'held' AND ${NOT_FINAL} GROUP BY company, report_as`,
    )
    .raw()
    .all();
  return rows.map(([company, reportAs, count, least, greatest, named]) => {
    const reason = least === greatest && named === count ? least : null;
    return { company: names.text(company), reportAs: names.text(reportAs), rows: count, reason };
  });
}

/** Changes why rows are held; rows that are not held, or for ever, stay as they are. */
export function holdRows(connection: Connection, selection: HeldSelection, reason: string, now: number): void {
  const [condition, ...parameters] = selected(connection, selection);
  const where = `state = 'held' AND ${NOT_FINAL} AND reason IS NOT ? AND ${condition}`;
  addChanges(connection, { where, parameters: [reason, ...parameters], to: "held", reason, author: "reporter" }, now);
  connection.sql(`UPDATE outbox SET reason = ? WHERE ${where}`).run(reason, reason, ...parameters);
}

/** Makes held rows pending; answers how many were still held. */
export function releaseRows(connection: Connection, releases: readonly Release[], now: number): number {
  const release = connection.sql(
    `UPDATE outbox SET customer = ?, identifier = ?, timestamp = ?, mode = ?, reported = ?, late = ?,
       state = 'pending', reason = NULL, next_attempt_at = 0 WHERE row_id = ? AND state = 'held'`,
  );
  let released = 0;
  for (const { rowId, customer, identifier, timestamp, mode, reported, late } of releases) {
    const where = "row_id = ? AND state = 'held'";
    const reason = `for ${customer}`;
    addChanges(connection, { where, parameters: [rowId], to: "pending", reason, author: "reporter" }, now);
    const code = connection.names.code(customer);
    released += release.run(code, identifier, timestamp, mode, reported.toString(), late, rowId).changes;
  }
  return released;
}

function selected(connection: Connection, selection: HeldSelection): readonly [condition: string, ...unknown[]] {
  if (owns(selection, "rowId")) return ["row_id = ?", selection.rowId];
  if (owns(selection, "timestampBefore")) return ["timestamp < ?", selection.timestampBefore];
  const { names } = connection;
  const lane = [names.find(selection.company) ?? -1, names.find(selection.reportAs) ?? -1];
  // No LIKE, for which an underscore is any letter.
  const isLeft = `substr(coalesce(reason, ''), 1, ${NO_SUBSCRIPTION.length}) = '${NO_SUBSCRIPTION}'`;
  return [`company = ? AND report_as = ? AND NOT ${isLeft}`, ...lane];
}
