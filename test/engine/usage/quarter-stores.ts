import { describe, onTestFinished } from "vitest";

import type { Store } from "../../../src/engine/ports.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { openSqliteStore } from "../../../src/sqlite/sqlite-store.ts";
import { tempPath } from "../../sqlite/temp-store.ts";

const QUARTER_HOUR = 900_000;

/** A new SQLite store with buckets of a quarter of an hour, which is gone after the test. */
async function quarterStore(): Promise<Store> {
  const { path, dispose } = await tempPath();
  const store = await openSqliteStore({ path, bucketMs: QUARTER_HOUR });
  onTestFinished(async () => {
    await store.close();
    await dispose();
  });
  return store;
}

/** Runs the same tests on both stores with buckets of a quarter of an hour, so that minutes cut them. */
export function onQuarterStores(name: string, body: (make: () => Promise<Store>) => void): void {
  describe(`${name}, in memory`, () => {
    body(async () => memoryStore({ bucketMs: QUARTER_HOUR }));
  });
  describe(`${name}, in SQLite`, () => {
    body(quarterStore);
  });
}
