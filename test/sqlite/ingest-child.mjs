// One of several processes on a database: ingests its list in small batches and tells what became of each event.
import { openSqliteStore } from "../../dist/sqlite/sqlite-store.js";

/** @param {{ path: string, bucketMs: number, batches: import("../../src/engine/ports.ts").IngestEntry[][] }} order */
async function ingestAll({ path, bucketMs, batches }) {
  const store = await openSqliteStore({ path, bucketMs });
  const statuses = [];
  for (const entries of batches) statuses.push(...(await store.ingest(entries, 0)));
  await store.close();
  process.send?.(statuses, () => process.disconnect());
}

process.once("message", (/** @type {any} */ order) => void ingestAll(order));
