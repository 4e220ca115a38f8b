// One of two processes on a database: makes each change by itself and tells what became of it.
import { openSqliteStore } from "../../dist/sqlite/sqlite-store.js";

/** @param {{ path: string, bucketMs: number, changes: import("../../src/engine/ports.ts").RegisterChange[] }} order */
async function changeAll({ path, bucketMs, changes }) {
  const store = await openSqliteStore({ path, bucketMs });
  const outcomes = [];
  for (const change of changes) outcomes.push(await store.changeEntries([change], 0));
  await store.close();
  process.send?.(outcomes, () => process.disconnect());
}

process.once("message", (/** @type {any} */ order) => void changeAll(order));
