import type { HeldLane, HeldSelection } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/**
 * Held rows that may still be sent. The words are those of the partial indexes in schema.ts, which are used only for
 * exactly these; a test holds them to FINAL_HOLDS.
 */
export const NOT_FINAL = "reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits'";

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
export function holdRows(connection: Connection, selection: HeldSelection, reason: string): void {
  const update = `UPDATE outbox SET reason = ? WHERE state = 'held' AND ${NOT_FINAL} AND reason IS NOT ?`;
  if ("rowId" in selection) {
    connection.sql(`${update} AND row_id = ?`).run(reason, reason, selection.rowId);
  } else if ("timestampBefore" in selection) {
    connection.sql(`${update} AND timestamp < ?`).run(reason, reason, selection.timestampBefore);
  } else {
    const { names } = connection;
    const lane = [names.find(selection.company) ?? -1, names.find(selection.reportAs) ?? -1];
    connection.sql(`${update} AND company = ? AND report_as = ?`).run(reason, reason, ...lane);
  }
}
