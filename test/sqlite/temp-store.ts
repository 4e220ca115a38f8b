import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Store } from "../../src/engine/ports.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { STORE_SUITE_BUCKET_MS } from "../../src/testing/store-suite.ts";

/** A folder of one test, with the path of a database that does not exist yet. */
export async function tempPath(): Promise<{
  readonly folder: string;
  readonly path: string;
  readonly dispose: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), "meterbook-sqlite-"));
  return { folder, path: join(folder, "meterbook.db"), dispose: () => rm(folder, { recursive: true, force: true }) };
}

/** A new SQLite store in a folder of its own, as the suite wants it. */
export async function tempStore(): Promise<{
  readonly store: Store;
  readonly path: string;
  readonly reopen: () => Promise<Store>;
  readonly dispose: () => Promise<void>;
}> {
  const { path, dispose } = await tempPath();
  const open = (): Promise<Store> => openSqliteStore({ path, bucketMs: STORE_SUITE_BUCKET_MS });
  const store = await open();
  return {
    store,
    path,
    reopen: open,
    dispose: async () => {
      await store.close();
      await dispose();
    },
  };
}
