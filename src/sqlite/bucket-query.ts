import type { AggregateKind, AggregateState } from "../core/aggregation.ts";
import { ownMembers } from "../core/own-member.ts";
import type { Bucket } from "../core/usage.ts";
import type { UsageQuery } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { originalText } from "./stored-text.ts";

/** Usage with the purged part in it, the purged part alone, or usage by UTC day. */
export type BucketTable = "buckets" | "archive" | "days";

/** What a row says of its events. */
export type StateRow = readonly [events: number, value: string | null, time: number, arrival: number];
type BucketRow = readonly [
  meter: number,
  company: number,
  start: number,
  labels: number,
  aggregate: AggregateKind,
  ...StateRow,
];

/** The state of a row; `members` is that of a row whose aggregate is `unique`, else null. */
export function stateOf([events, value, time, arrival]: StateRow, members: ReadonlySet<string> | null): AggregateState {
  return { events, value: value === null ? null : BigInt(value), time, order: arrival, members };
}

/** The table of a table's members; usage by day has none. */
export function membersOf(table: "buckets" | "archive"): string {
  return table === "buckets" ? "members" : "archive_members";
}

/** Buckets of this width that touch the query's range. */
export function readBuckets(connection: Connection, table: BucketTable, query: UsageQuery, widthMs: number): Bucket[] {
  const { names } = connection;
  const { text, parameters } = selection(connection, table, query, widthMs);
  const rows = connection
    .sql<BucketRow>(`${text.head} SELECT ${COLUMNS} FROM ${text.rows}`)
    .raw()
    .all(...parameters);
  return rows.map(([meter, company, start, labels, aggregate, ...state]) => {
    const members =
      aggregate === "unique" && table !== "days"
        ? readMembers(connection, table, [meter, company, start, labels])
        : null;
    return {
      meter: names.text(meter),
      company: names.text(company),
      group: names.text(labels),
      start,
      aggregate,
      state: stateOf(state, members),
    };
  });
}

/** One company's rows, as JSON numbers and texts one after the other: a row at a time costs twice as much to read. */
type PackedRow = readonly [company: number, rows: string | null];

const CELLS = `start || ',' || labels || ',' || events || ',' || ifnull('"' || value || '"', 'null')`;
/** Only what may be the latest has a time and an order. */
const ORDERED_CELLS = `${CELLS} || ',' || time || ',' || arrival`;

/** Calls `visit` with each bucket of one meter that readBuckets would give, none of `unique`; memory holds those of one company. */
export function visitBuckets(
  connection: Connection,
  table: BucketTable,
  query: UsageQuery & { readonly meter: string },
  widthMs: number,
  visit: (bucket: Bucket) => void,
): void {
  const { names } = connection;
  const { meter } = query;
  const aggregate = aggregateIn(connection, table, meter);
  if (aggregate === null) return;
  const [cellsOfRow, width] = aggregate === "latest" ? [ORDERED_CELLS, 6] : [CELLS, 4];
  for (const [code, rows] of packedRows(connection, table, ownMembers(query), widthMs, cellsOfRow)) {
    if (rows === null) continue;
    const company = names.text(code);
    const cells: readonly (number | string | null)[] = JSON.parse(`[${rows}]`);
    for (let at = 0; at < cells.length; at += width) {
      const value = cells[at + 3] ?? null;
      visit({
        meter,
        company,
        group: names.text(Number(cells[at + 1])),
        start: Number(cells[at]),
        aggregate,
        state: {
          events: Number(cells[at + 2]),
          value: value === null ? null : BigInt(value),
          time: width === 4 ? 0 : Number(cells[at + 4]),
          order: width === 4 ? 0 : Number(cells[at + 5]),
          members: null,
        },
      });
    }
  }
}

/** From company to company, since the key has it before the start: not over all that there ever was. */
function packedRows(
  connection: Connection,
  table: BucketTable,
  query: UsageQuery,
  widthMs: number,
  cellsOfRow: string,
): Iterable<PackedRow> {
  const { names } = connection;
  const meter = names.find(query.meter ?? "") ?? -1;
  const bounds = boundsOf(query, widthMs);
  const spans = bounds.map(([condition]) => ` AND ${condition}`).join("");
  const own = `SELECT group_concat(${cellsOfRow}) FROM ${table} WHERE meter = ? AND company = payer${spans}`;
  const [payers, parameters] =
    query.company === undefined
      ? [`WITH RECURSIVE ${payersOf(table)}`, [meter, meter]]
      : ["WITH payers (payer) AS (SELECT ?)", [names.find(query.company) ?? -1]];
  return connection
    .sql<PackedRow>(`${payers} SELECT payer, (${own}) FROM payers WHERE payer IS NOT NULL`)
    .raw()
    .iterate(...parameters, meter, ...bounds.map(([, value]) => value));
}

/** All companies of a meter, found by steps in the primary key. */
function payersOf(table: BucketTable): string {
  return `payers (payer) AS (
    SELECT min(company) FROM ${table} WHERE meter = ?
    UNION ALL SELECT (SELECT min(company) FROM ${table} WHERE meter = ? AND company > payer) FROM payers
      WHERE payer IS NOT NULL)`;
}

type Condition = readonly [condition: string, parameter: unknown];

function boundsOf({ from, to }: UsageQuery, widthMs: number): readonly Condition[] {
  return [
    ...(from === undefined ? [] : [["start > ?", from - widthMs] as const]),
    ...(to === undefined ? [] : [["start < ?", to] as const]),
  ];
}

/** How a meter's rows of a table are aggregated; null when there are none. A meter has one aggregate for ever. */
export function aggregateIn(connection: Connection, table: BucketTable, meter: string): AggregateKind | null {
  const code = connection.names.find(meter) ?? -1;
  const found = connection
    .sql<AggregateKind>(`SELECT aggregate FROM ${table} WHERE meter = ? LIMIT 1`)
    .pluck()
    .get(code);
  return found ?? null;
}

/** Meters with buckets; each is found by one step in the primary key. */
export function readBucketMeters(connection: Connection): string[] {
  const codes = ["buckets", "archive"].flatMap((table) =>
    connection
      .sql<number>(
        `WITH RECURSIVE found (meter) AS (
           SELECT min(meter) FROM ${table}
           UNION ALL SELECT (SELECT min(meter) FROM ${table} WHERE meter > found.meter) FROM found WHERE meter IS NOT NULL
         ) SELECT meter FROM found WHERE meter IS NOT NULL`,
      )
      .pluck()
      .all(),
  );
  return [...new Set(codes)].map((code) => connection.names.text(code));
}

const COLUMNS = "each.meter, each.company, start, labels, aggregate, events, value, time, arrival";

interface Selection {
  readonly text: { readonly head: string; readonly rows: string };
  readonly parameters: readonly unknown[];
}

/** The rows of a query under the name `each`. */
function selection(connection: Connection, table: BucketTable, asked: UsageQuery, widthMs: number): Selection {
  const { names } = connection;
  const query = ownMembers(asked);
  const bounds = boundsOf(query, widthMs);
  // A name without a code has no rows: -1 is nobody's code.
  const meter = query.meter === undefined ? undefined : (names.find(query.meter) ?? -1);
  if (meter !== undefined && query.company === undefined && bounds.length > 0) {
    // The key has the company before the start: from company to company, instead of over all that there ever was.
    const spans = bounds.map(([condition]) => ` AND ${condition}`).join("");
    const rows = `payers CROSS JOIN ${table} AS each ON each.meter = ? AND each.company = payer${spans}`;
    const head = `WITH RECURSIVE ${payersOf(table)}`;
    return { text: { head, rows }, parameters: [meter, meter, meter, ...bounds.map(([, value]) => value)] };
  }
  const conditions = [
    ...(meter === undefined ? [] : [["meter = ?", meter] as const]),
    ...(query.company === undefined ? [] : [["company = ?", names.find(query.company) ?? -1] as const]),
    ...bounds,
  ];
  const filter = conditions.length === 0 ? "" : ` WHERE ${conditions.map(([condition]) => condition).join(" AND ")}`;
  return {
    text: { head: "", rows: `${table} AS each${filter}` },
    parameters: conditions.map(([, value]) => value),
  };
}

function readMembers(connection: Connection, table: "buckets" | "archive", key: readonly number[]): Set<string> {
  const stored = connection
    .sql<string>(`SELECT member FROM ${membersOf(table)} WHERE meter = ? AND company = ? AND start = ? AND labels = ?`)
    .pluck()
    .all(...key);
  return new Set(stored.map(originalText));
}
