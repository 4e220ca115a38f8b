import { itemOf, type BilledPeriod, type BillerLane, type Drift, type Reconciliation } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { storedText } from "./stored-text.ts";

interface DriftRow {
  readonly customer: number;
  readonly report_as: number;
  readonly from_time: number;
  readonly to_time: number;
  readonly ours: string;
  readonly theirs: string;
  readonly verdict: Drift["verdict"];
  readonly row_ids: string;
  readonly found_at: number;
}

/** All known drifts, oldest event time first. */
export function readDrifts(connection: Connection): Drift[] {
  const rows = connection.sql<DriftRow>("SELECT * FROM drifts ORDER BY from_time, number").all();
  return rows.map((row) => {
    const rowIds: number[] = JSON.parse(row.row_ids);
    return {
      ...laneOf(connection, row.customer, row.report_as),
      from: row.from_time,
      to: row.to_time,
      ours: BigInt(row.ours),
      theirs: BigInt(row.theirs),
      verdict: row.verdict,
      rowIds,
      foundAt: row.found_at,
    };
  });
}

/** Replaces a lane's drifts that begin in [from, to). */
export function putDrifts(
  connection: Connection,
  lane: BillerLane,
  from: number,
  to: number,
  drifts: readonly Drift[],
): void {
  const key = codesOf(connection, lane);
  connection
    .sql("DELETE FROM drifts WHERE customer = ? AND report_as = ? AND from_time >= ? AND from_time < ?")
    .run(...key, from, to);
  const put = connection.sql(
    `INSERT INTO drifts (customer, report_as, from_time, to_time, ours, theirs, verdict, row_ids, found_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  for (const drift of drifts) {
    const { ours, theirs, verdict, rowIds, foundAt } = drift;
    const sums = [ours.toString(), theirs.toString()];
    put.run(...key, drift.from, drift.to, ...sums, verdict, JSON.stringify(rowIds), foundAt);
  }
}

/** When each lane was compared, longest ago first. */
export function readReconciliations(connection: Connection): Reconciliation[] {
  const rows = connection
    .sql<[customer: number, reportAs: number, checkedAt: number, agreedUntil: number]>(
      "SELECT customer, report_as, checked_at, agreed_until FROM reconciliations ORDER BY checked_at",
    )
    .raw()
    .all();
  return rows.map(([customer, reportAs, checkedAt, agreedUntil]) => {
    return { ...laneOf(connection, customer, reportAs), checkedAt, agreedUntil };
  });
}

export function putReconciliation(connection: Connection, reconciliation: Reconciliation): void {
  connection
    .sql(
      `INSERT INTO reconciliations VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         checked_at = excluded.checked_at, agreed_until = excluded.agreed_until`,
    )
    .run(...codesOf(connection, reconciliation), reconciliation.checkedAt, reconciliation.agreedUntil);
}

/** Known billing periods, all or a lane's, oldest first. */
export function readPeriods(connection: Connection, lane?: BillerLane): BilledPeriod[] {
  const { names } = connection;
  const key = lane === undefined ? [] : [names.find(lane.customer) ?? -1, names.find(lane.reportAs) ?? -1];
  const rows = connection
    .sql<[customer: number, reportAs: number, item: string, from: number, to: number, renews: number]>(
      `SELECT customer, report_as, item, from_time, to_time, renews FROM periods
       ${lane === undefined ? "" : "WHERE customer = ? AND report_as = ?"} ORDER BY from_time, item`,
    )
    .raw()
    .all(...key);
  return rows.map(([customer, reportAs, item, from, to, renews]) => {
    const named = item === "" ? {} : { item };
    return { ...laneOf(connection, customer, reportAs), ...named, from, to, renews: renews === 1 };
  });
}

/** Adds periods; one with the same lane, item and start replaces the known one. */
export function putPeriods(connection: Connection, periods: readonly BilledPeriod[]): void {
  const put = connection.sql(
    `INSERT INTO periods VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       to_time = excluded.to_time, renews = excluded.renews`,
  );
  for (const period of periods)
    put.run(...codesOf(connection, period), itemOf(period), period.from, period.to, period.renews ? 1 : 0);
}

/** True the first time that a name is given, until it is forgotten. */
export function takeOnce(connection: Connection, name: string, now: number): boolean {
  const { changes } = connection
    .sql("INSERT INTO seen_once VALUES (?, ?) ON CONFLICT DO NOTHING")
    .run(storedText(name), now);
  return changes === 1;
}

function codesOf({ names }: Connection, { customer, reportAs }: BillerLane): readonly [number, number] {
  return [names.code(customer), names.code(reportAs)];
}

function laneOf({ names }: Connection, customer: number, reportAs: number): BillerLane {
  return { customer: names.text(customer), reportAs: names.text(reportAs) };
}
