import type { Json } from "../core/event.ts";
import { ownMembers } from "../core/own-member.ts";
import type {
  EntryKind,
  EntryQuery,
  EntryRevision,
  RegisterChange,
  RegisterEntry,
  RegisterOutcome,
} from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

const COLUMNS = "id, names, body, revision, created_at, updated_at, deleted_at";

type EntryRow = readonly [
  id: string,
  names: string,
  body: string,
  revision: number,
  createdAt: number,
  updatedAt: number,
  deletedAt: number | null,
];

/** The entry with this id, deleted ones included. */
export function getEntry(connection: Connection, kind: EntryKind, id: string): RegisterEntry | null {
  const row = connection.sql<EntryRow>(`SELECT ${COLUMNS} FROM entries WHERE kind = ? AND id = ?`).raw().get(kind, id);
  return row === undefined ? null : entryOf(kind, row);
}

/** The living entry with this name. */
export function findEntry(connection: Connection, kind: EntryKind, name: string): RegisterEntry | null {
  const id = holderOf(connection, kind, name);
  return id === null ? null : getEntry(connection, kind, id);
}

/** A page of entries in the order of ids. */
export function listEntries(connection: Connection, query: EntryQuery): RegisterEntry[] {
  const { kind, namePrefix, includeDeleted = false, after, changedAfter, limit } = ownMembers(query);
  const conditions = ["kind = ?"];
  const parameters: unknown[] = [kind];
  if (!includeDeleted) conditions.push("deleted_at IS NULL");
  if (after !== undefined) {
    conditions.push("id > ?");
    parameters.push(after);
  }
  if (changedAfter !== undefined) {
    conditions.push("changed > ?");
    parameters.push(changedAfter);
  }
  if (namePrefix !== undefined) {
    // No text of UTF-8 has the byte FF, so this bound is behind all that begin so.
    conditions.push(
      "id IN (SELECT id FROM entry_names WHERE kind = ? AND name >= ? AND name < ? || CAST(x'FF' AS TEXT))",
    );
    parameters.push(kind, namePrefix, namePrefix);
  }
  return connection
    .sql<EntryRow>(`SELECT ${COLUMNS} FROM entries WHERE ${conditions.join(" AND ")} ORDER BY id LIMIT ?`)
    .raw()
    .all(...parameters, limit)
    .map((row) => entryOf(kind, row));
}

/** How many entries of a kind live. */
export function countEntries(connection: Connection, kind: EntryKind): number {
  return (
    connection.sql<number>("SELECT count(*) FROM entries WHERE kind = ? AND deleted_at IS NULL").pluck().get(kind) ?? 0
  );
}

/** What became of an entry, oldest first. */
export function entryHistory(connection: Connection, kind: EntryKind, id: string): EntryRevision[] {
  return connection
    .sql<readonly [number, number, string, string | null]>(
      "SELECT revision, at, author, body FROM entry_history WHERE kind = ? AND id = ? ORDER BY revision",
    )
    .raw()
    .all(kind, id)
    .map(([revision, at, author, body]) => ({ revision, at, author, body: body === null ? null : jsonOf(body) }));
}

/** How many calls changed entries of a kind. */
export function registerRevision(connection: Connection, kind: EntryKind): number {
  return connection.sql<number>("SELECT revision FROM register_revisions WHERE kind = ?").pluck().get(kind) ?? 0;
}

/** Thrown to undo the changes that were made before the one that cannot be. */
class Refused extends Error {
  readonly outcome: RegisterOutcome;

  constructor(outcome: RegisterOutcome) {
    super("a change of the register cannot be made");
    this.outcome = outcome;
  }
}

/** Makes all changes, or none. Opens its own transaction. */
export function changeEntries(
  connection: Connection,
  changes: readonly RegisterChange[],
  now: number,
): RegisterOutcome {
  try {
    return connection.write(() => {
      for (const kind of new Set(changes.map((change) => change.kind)))
        connection
          .sql("INSERT INTO register_revisions VALUES (?, 1) ON CONFLICT DO UPDATE SET revision = revision + 1")
          .run(kind);
      // Names that one change gives up may be another one's.
      for (const { kind, id } of changes) giveUpNames(connection, kind, id);
      return { done: true, entries: changes.map((change, at) => changeEntry(connection, change, at, now)) };
    });
  } catch (error) {
    if (error instanceof Refused) return error.outcome;
    throw error;
  }
}

function giveUpNames(connection: Connection, kind: EntryKind, id: string): void {
  connection.sql("DELETE FROM entry_names WHERE kind = ? AND id = ?").run(kind, id);
}

function changeEntry(connection: Connection, change: RegisterChange, at: number, now: number): RegisterEntry {
  const { kind, id, seen, body, author } = change;
  const known = getEntry(connection, kind, id);
  if (seen !== null && (known === null || known.deletedAt !== null))
    throw new Refused({ done: false, at, why: "missing" });
  if ((known?.revision ?? null) !== seen) throw new Refused({ done: false, at, why: "stale" });
  const isDeleted = body === null;
  const entry: RegisterEntry = {
    kind,
    id,
    names: isDeleted ? [] : [...new Set(change.names)],
    body: body ?? known?.body ?? null,
    revision: (known?.revision ?? 0) + 1,
    createdAt: known?.createdAt ?? now,
    updatedAt: now,
    deletedAt: isDeleted ? now : null,
  };
  connection
    .sql(
      `INSERT INTO entries (kind, ${COLUMNS}, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET names = excluded.names,
       body = excluded.body, revision = excluded.revision, updated_at = excluded.updated_at, deleted_at = excluded.deleted_at,
       changed = excluded.changed`,
    )
    .run(
      kind,
      id,
      JSON.stringify(entry.names),
      JSON.stringify(entry.body),
      entry.revision,
      entry.createdAt,
      now,
      entry.deletedAt,
      registerRevision(connection, kind),
    );
  giveUpNames(connection, kind, id);
  for (const name of entry.names) {
    const holder = holderOf(connection, kind, name);
    if (holder !== null) throw new Refused({ done: false, at, why: "name_taken", name, holder });
    connection.sql("INSERT INTO entry_names VALUES (?, ?, ?)").run(kind, name, id);
  }
  connection
    .sql("INSERT INTO entry_history VALUES (?, ?, ?, ?, ?, ?)")
    .run(kind, id, entry.revision, now, author, body === null ? null : JSON.stringify(body));
  return entry;
}

function holderOf(connection: Connection, kind: EntryKind, name: string): string | null {
  return (
    connection.sql<string>("SELECT id FROM entry_names WHERE kind = ? AND name = ?").pluck().get(kind, name) ?? null
  );
}

function entryOf(
  kind: EntryKind,
  [id, names, body, revision, createdAt, updatedAt, deletedAt]: EntryRow,
): RegisterEntry {
  const texts: readonly string[] = JSON.parse(names);
  return { kind, id, names: texts, body: jsonOf(body), revision, createdAt, updatedAt, deletedAt };
}

function jsonOf(text: string): Json {
  return JSON.parse(text);
}
