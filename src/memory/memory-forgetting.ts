import { isDoneBefore, isOperators, type ForgetQuery, type Forgotten } from "../engine/ports.ts";
import type { KeptRow } from "./memory-row.ts";

/** Deletes the oldest keys, by the instants that they have. */
export function forgetOldest(keptAt: Map<string, number>, { before, limit }: ForgetQuery): Forgotten {
  const old = [...keptAt].filter(([, at]) => at < before).toSorted(([, a], [, b]) => a - b);
  const going = old.slice(0, limit);
  for (const [key] of going) keptAt.delete(key);
  return { deleted: going.length, next: old.length > limit ? 0 : null };
}

/** Deletes attempts or changes of rows that were done before an instant, from one row to the next. */
export function forgetHistory(rows: readonly KeptRow[], { kind, before, after, limit }: ForgetQuery): Forgotten {
  const behind = rows.filter(({ row }) => row.rowId > (after ?? 0));
  let deleted = 0;
  const page = behind.slice(0, limit);
  for (const { row, history } of page) {
    if (!isDoneBefore(row, before)) continue;
    const staying = history.filter(({ what, author }) => what !== kind || isOperators(author));
    deleted += history.splice(0, history.length, ...staying).length - staying.length;
    if (kind === "attempt") row.requestIds = [];
  }
  return { deleted, next: behind.length > limit ? (page.at(-1)?.row.rowId ?? null) : null };
}
