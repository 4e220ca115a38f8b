import { SESSION_FINISHER, type ForgetKind, type ForgetQuery, type Forgotten } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/** Deletes what is old of one kind, looking at no more than a batch. Runs inside a write transaction. */
export function forget(connection: Connection, query: ForgetQuery): Forgotten {
  return FORGETTING[query.kind](connection, query);
}

/** `isDoneBefore` of the port, of the row whose history it is. */
const IS_DONE = `row_id IN (SELECT outbox.row_id FROM outbox WHERE outbox.row_id = old.row_id
  AND state IN ('accepted', 'settled') AND ifnull(settled_at, accepted_at) < :before)`;

/** `isOperators` of the port, turned round. */
const IS_NO_ORDER = "author NOT GLOB 'operator:*'";

/** The newest number stays, so that none is given out twice: the order of a history rests on them. */
function isBeforeNewest(table: string): string {
  return `number < (SELECT max(number) FROM ${table})`;
}

const FORGETTING: Readonly<Record<ForgetKind, (connection: Connection, query: ForgetQuery) => Forgotten>> = {
  once: forgetNames,
  conflict: forgetWalking("conflicts", "at < :before"),
  attempt: forgetWalking("outbox_attempts", `${isBeforeNewest("outbox_attempts")} AND ${IS_DONE}`),
  change: forgetWalking("outbox_changes", `${isBeforeNewest("outbox_changes")} AND ${IS_NO_ORDER} AND ${IS_DONE}`),
  session: forgetSessions,
};

/** By the index of ages: all that is found can go. */
function forgetNames(connection: Connection, { before, limit }: ForgetQuery): Forgotten {
  const { changes: deleted } = connection
    .sql(
      `DELETE FROM seen_once WHERE name IN (
         SELECT name FROM seen_once INDEXED BY seen_once_at WHERE at < ? ORDER BY at LIMIT ?)`,
    )
    .run(before, limit);
  return { deleted, next: deleted < limit ? null : 0 };
}

/**
 * Goes through a table in the order in which it was written, which is nearly that of age: an index of ages would cost more
 * than it saves. A batch in which nothing is old is the last.
 */
function forgetWalking(
  table: "conflicts" | "outbox_attempts" | "outbox_changes",
  isOld: string,
): (connection: Connection, query: ForgetQuery) => Forgotten {
  return (connection, { before, after, limit }) => {
    const from = after ?? 0;
    const page = connection
      .sql<[number: number, at: number]>(`SELECT number, at FROM ${table} WHERE number > ? ORDER BY number LIMIT ?`)
      .raw()
      .all(from, limit);
    const to = page.at(-1)?.[0] ?? from;
    if (!page.some(([, at]) => at < before)) return { deleted: 0, next: null };
    const { changes: deleted } = connection
      .sql(`DELETE FROM ${table} AS old WHERE number > :from AND number <= :to AND ${isOld}`)
      .run({ from, to, before });
    return { deleted, next: page.length < limit ? null : to };
  };
}

/** In the order in which entries changed, nearly that of age. One call may have changed several, which go together. */
function forgetSessions(connection: Connection, { before, after, limit }: ForgetQuery): Forgotten {
  const from = after ?? 0;
  const page = connection
    .sql<[changed: number, at: number]>(
      "SELECT changed, updated_at FROM entries WHERE kind = 'session' AND changed > ? ORDER BY changed LIMIT ?",
    )
    .raw()
    .all(from, limit);
  const to = page.at(-1)?.[0] ?? from;
  if (!page.some(([, at]) => at < before)) return { deleted: 0, next: null };
  const old = connection
    .sql<string>(
      `SELECT id FROM entries WHERE kind = 'session' AND changed > :from AND changed <= :to AND deleted_at < :before
       AND EXISTS (SELECT 1 FROM entry_history AS last WHERE last.kind = entries.kind AND last.id = entries.id
         AND last.revision = entries.revision AND last.author = :author)`,
    )
    .pluck()
    .all({ from, to, before, author: SESSION_FINISHER });
  for (const id of old) {
    connection.sql("DELETE FROM entry_history WHERE kind = 'session' AND id = ?").run(id);
    connection.sql("DELETE FROM entries WHERE kind = 'session' AND id = ?").run(id);
  }
  return { deleted: old.length, next: page.length < limit ? null : to };
}
