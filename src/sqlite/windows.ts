import { resultOf, type AggregateKind } from "../core/aggregation.ts";
import { fromInteger, type Decimal } from "../core/decimal.ts";
import { mergeBuckets } from "../core/usage.ts";
import { sameBasis, type DirtyWindow, type NewOutboxRow, type Store, type WindowPlace } from "../engine/ports.ts";
import { readBuckets } from "./bucket-query.ts";
import type { Connection } from "./connection.ts";
import { COVERS_USAGE } from "./outbox-query.ts";

type WindowRow = readonly [meter: number, company: number, windowStart: number];

/** Windows of this width with marks, between `from` and `before`; oldest first, those of one begin by the codes of their names. */
export function dirtyWindows(
  connection: Connection,
  { windowMs, from = Number.MIN_SAFE_INTEGER, before, after, company, limit }: Parameters<Store["dirtyWindows"]>[0],
): DirtyWindow[] {
  const { names } = connection;
  // SQLite's % keeps the sign of an instant before 1970, hence twice.
  const start = "start - ((start % CAST(:width AS INTEGER)) + CAST(:width AS INTEGER)) % CAST(:width AS INTEGER)";
  const rows = connection
    .sql<WindowRow>(
      `SELECT DISTINCT meter, company, ${start} AS window_start FROM dirty
       WHERE start >= :from AND start < :before AND window_start >= :from AND window_start + :width <= :before
         ${after === undefined ? "" : "AND (window_start, meter, company) > (:after_start, :after_meter, :after_company)"}
         ${company === undefined ? "" : "AND company = :company"}
       ORDER BY window_start, meter, company LIMIT :limit`,
    )
    .raw()
    .all({
      width: windowMs,
      from: Math.max(from, after?.windowStart ?? from),
      before,
      limit,
      ...(company === undefined ? {} : { company: names.find(company) ?? -1 }),
      ...(after === undefined ? {} : placeOf(connection, after)),
    });
  return rows.map(([meter, payer, windowStart]) =>
    windowNow(connection, names.text(meter), names.text(payer), windowStart, windowStart + windowMs),
  );
}

function placeOf({ names }: Connection, { meter, company, windowStart }: WindowPlace): Record<string, number> {
  return { after_start: windowStart, after_meter: names.find(meter) ?? -1, after_company: names.find(company) ?? -1 };
}

/** Inserts rows whose window is still as it was seen, and clears its marks when they cover it. Runs inside a write transaction. */
export function enqueueRows(
  connection: Connection,
  rows: readonly { readonly basis: DirtyWindow; readonly row: NewOutboxRow | null }[],
  at: number,
): number {
  let inserted = 0;
  for (const { basis, row } of rows) {
    const { meter, company, windowStart, windowEnd } = basis;
    if (!sameBasis(basis, windowNow(connection, meter, company, windowStart, windowEnd))) continue;
    if (row === null) addSkipped(connection, basis);
    else if (insertRow(connection, row, at) !== null) inserted += 1;
    else continue;
    // A part of a window: the other parts are still to come.
    if (row !== null && basis.enqueuedRaw + row.raw !== basis.total) continue;
    connection
      .sql("DELETE FROM dirty WHERE start >= ? AND start < ? AND meter = ? AND company = ?")
      .run(windowStart, windowEnd, connection.names.code(meter), connection.names.code(company));
  }
  return inserted;
}

/** Usage that is marked and not enqueued yet, per meter. */
export function dueTotals(connection: Connection, windowMs: number): { meter: string; value: Decimal }[] {
  const totals = new Map<string, Decimal>();
  const windows = dirtyWindows(connection, { windowMs, before: Number.MAX_SAFE_INTEGER, limit: -1 });
  for (const { meter, total, enqueuedRaw } of windows) {
    totals.set(meter, (totals.get(meter) ?? fromInteger(0)) + total - enqueuedRaw);
  }
  return [...totals].map(([meter, value]) => ({ meter, value }));
}

/** Usage that was closed without a report, per meter. */
export function skippedTotals(connection: Connection): { meter: string; raw: Decimal }[] {
  const rows = connection
    .sql<[number, string]>("SELECT meter, sum_scaled(raw) FROM skipped GROUP BY meter")
    .raw()
    .all();
  return rows.flatMap(([meter, raw]) => (raw === "0" ? [] : { meter: connection.names.text(meter), raw: BigInt(raw) }));
}

function addSkipped(connection: Connection, { meter, company, windowStart, total, enqueuedRaw }: DirtyWindow): void {
  if (total === enqueuedRaw) return;
  const key = [connection.names.code(meter), connection.names.code(company), windowStart];
  const known = connection
    .sql<string>("SELECT raw FROM skipped WHERE meter = ? AND company = ? AND window_start = ?")
    .pluck()
    .get(...key);
  connection
    .sql("INSERT INTO skipped VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET raw = excluded.raw")
    .run(...key, (BigInt(known ?? 0) + total - enqueuedRaw).toString());
}

/** What is known of a window as it is now. */
export function windowNow(
  connection: Connection,
  meter: string,
  company: string,
  windowStart: number,
  windowEnd: number,
): DirtyWindow {
  const key = [connection.names.find(meter) ?? -1, connection.names.find(company) ?? -1];
  const [inside] = connection
    .sql<[string | null, number | null]>(
      `SELECT sum_scaled(raw) FILTER (WHERE ${COVERS_USAGE}), max(sequence) FROM outbox
       WHERE meter = ? AND company = ? AND window_start >= ? AND window_start < ?`,
    )
    .raw()
    .all(...key, windowStart, windowEnd);
  const [enqueuedRaw, lastSequence] = inside ?? [null, null];
  const skipped = connection
    .sql<string | null>(
      "SELECT sum_scaled(raw) FROM skipped WHERE meter = ? AND company = ? AND window_start >= ? AND window_start < ?",
    )
    .pluck()
    .get(...key, windowStart, windowEnd);
  const running = connection
    .sql<[string, string]>("SELECT raw, value FROM running WHERE meter = ? AND company = ?")
    .raw()
    .get(...key);
  const [runningRaw, runningValue] = running ?? ["0", "0"];
  return {
    meter,
    company,
    windowStart,
    windowEnd,
    total: usageTotal(connection, meter, company, windowStart, windowEnd),
    enqueuedRaw: BigInt(enqueuedRaw ?? 0) + BigInt(skipped ?? 0),
    nextSequence: (lastSequence ?? -1) + 1,
    runningRaw: BigInt(runningRaw),
    runningValue: BigInt(runningValue),
  };
}

/** Usage of a window over all its groups; 0 when there is none. */
function usageTotal(
  connection: Connection,
  meter: string,
  company: string,
  windowStart: number,
  windowEnd: number,
): Decimal {
  const [sums] = connection
    .sql<[AggregateKind | null, number | null, string]>(
      `SELECT min(aggregate), sum(events), sum_scaled(ifnull(value, '0')) FROM buckets
       WHERE meter = ? AND company = ? AND start >= ? AND start < ?`,
    )
    .raw()
    .all(connection.names.find(meter) ?? -1, connection.names.find(company) ?? -1, windowStart, windowEnd);
  const [aggregate, events, value] = sums ?? [null, 0, "0"];
  if (aggregate === null) return fromInteger(0);
  if (aggregate === "count") return fromInteger(events ?? 0);
  if (aggregate === "sum") return BigInt(value);
  // A width of 1 ms: a bucket belongs to the window in which it starts.
  const inside = readBuckets(connection, "buckets", { meter, company, from: windowStart, to: windowEnd }, 1);
  const [whole] = mergeBuckets(
    inside.map((bucket) => ({ ...bucket, start: windowStart, group: "{}" })),
    [],
  );
  return whole === undefined ? fromInteger(0) : (resultOf(whole.aggregate, whole.state) ?? fromInteger(0));
}

/** The new row's number; null when its window has a row of this sequence. */
export function insertRow(connection: Connection, row: NewOutboxRow, at: number): number | null {
  const { names } = connection;
  const meter = names.code(row.meter);
  const company = names.code(row.company);
  const { changes, lastInsertRowid } = connection
    .sql(
      `INSERT INTO outbox (kind, cancels, meter, report_as, company, customer, window_start, window_end, sequence, raw, value,
         mode, reported, late, timestamp, identifier, state, reason, created_at, attempts, next_attempt_at, accepted_at, epoch)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0)
       ON CONFLICT (meter, company, window_start, sequence) DO NOTHING`,
    )
    .run(
      row.kind,
      row.cancels,
      meter,
      names.code(row.reportAs),
      company,
      names.codeOrNull(row.customer),
      row.windowStart,
      row.windowEnd,
      row.sequence,
      row.raw.toString(),
      row.value.toString(),
      row.mode,
      row.reported.toString(),
      row.late,
      row.timestamp,
      row.identifier,
      row.state,
      row.reason,
      at,
      row.state === "accepted" ? at : null,
    );
  if (changes === 0) return null;
  if (row.kind !== "adjust") addRunning(connection, meter, company, row);
  return Number(lastInsertRowid);
}

function addRunning(connection: Connection, meter: number, company: number, { raw, value }: NewOutboxRow): void {
  const known = connection
    .sql<[string, string]>("SELECT raw, value FROM running WHERE meter = ? AND company = ?")
    .raw()
    .get(meter, company);
  const [knownRaw, knownValue] = known ?? ["0", "0"];
  connection
    .sql("INSERT INTO running VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET raw = excluded.raw, value = excluded.value")
    .run(meter, company, (BigInt(knownRaw) + raw).toString(), (BigInt(knownValue) + value).toString());
}
