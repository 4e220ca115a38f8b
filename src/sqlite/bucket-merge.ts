import { mergeStates, type AggregateKind } from "../core/aggregation.ts";
import type { Bucket } from "../core/usage.ts";
import { membersOf, stateOf, type BucketTable, type StateRow } from "./bucket-query.ts";
import type { Connection } from "./connection.ts";
import { insertRows } from "./multi-row.ts";
import { storedText } from "./stored-text.ts";

const COLUMN_COUNT = 9;
const ADD_UP = "events = events + excluded.events";
const ADD_VALUES = `${ADD_UP}, value = add_scaled(value, excluded.value)`;
const PUT = "events = excluded.events, value = excluded.value, time = excluded.time, arrival = excluded.arrival";

/** What becomes of a row that is there: SQLite adds up what can be added up, the others are read and merged first. */
const ON_CONFLICT: Readonly<Record<AggregateKind, string>> = {
  count: ADD_UP,
  sum: ADD_VALUES,
  avg: ADD_VALUES,
  min: PUT,
  max: PUT,
  latest: PUT,
  unique: PUT,
};

/** Merges buckets into those that are there. `fresh` has each key once. */
export function mergeInto(connection: Connection, table: BucketTable, fresh: readonly Bucket[]): void {
  const rows = new Map<string, unknown[]>();
  const members: unknown[] = [];
  const { names } = connection;
  for (const { meter, company, start, group, aggregate, state } of fresh) {
    const key = [names.code(meter), names.code(company), start, names.code(group)];
    const conflict = ON_CONFLICT[aggregate];
    const merged = conflict === PUT ? withKnown(connection, table, key, aggregate, state) : state;
    let list = rows.get(conflict);
    if (list === undefined) {
      list = [];
      rows.set(conflict, list);
    }
    list.push(...key, aggregate, merged.events, merged.value?.toString() ?? null, merged.time, merged.order);
    for (const member of state.members ?? []) members.push(...key, storedText(member));
  }
  for (const [conflict, parameters] of rows)
    insertRows(
      connection,
      `INSERT INTO ${table} VALUES`,
      COLUMN_COUNT,
      parameters,
      `ON CONFLICT DO UPDATE SET ${conflict}`,
    );
  if (table === "days") return;
  insertRows(connection, `INSERT INTO ${membersOf(table)} VALUES`, 5, members, "ON CONFLICT DO NOTHING");
}

function withKnown(
  connection: Connection,
  table: BucketTable,
  key: readonly number[],
  aggregate: AggregateKind,
  state: Bucket["state"],
): Bucket["state"] {
  const known = connection
    .sql<StateRow>(
      `SELECT events, value, time, arrival FROM ${table} WHERE meter = ? AND company = ? AND start = ? AND labels = ?`,
    )
    .raw()
    .get(...key);
  if (known === undefined) return state;
  // Known members stay in their table: only how many events there were is merged here.
  const none = state.members === null ? null : new Set<string>();
  return mergeStates(aggregate, stateOf(known, none), { ...state, members: none });
}
