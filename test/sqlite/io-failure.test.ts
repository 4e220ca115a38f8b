import { expect, it, onTestFinished } from "vitest";

import { fromInteger } from "../../src/core/decimal.ts";
import type { IngestEntry, Store } from "../../src/engine/ports.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { loadDriver } from "../../src/sqlite/driver.ts";
import { openSqliteStore, sqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { aCount, anEvent, counted, HOUR } from "../../src/testing/store-suite/store-case.ts";
import { tempPath } from "./temp-store.ts";

const MINUTE_MS = 60_000;

/** A store whose connection the test can reach, and which has taken one event. */
async function reachable(): Promise<{ readonly store: Store; readonly connection: Connection; readonly path: string }> {
  const { path, dispose } = await tempPath();
  await (await openSqliteStore({ path, bucketMs: MINUTE_MS })).close();
  const connection = new Connection(await loadDriver(), path, false);
  const store = sqliteStore(connection, "store", MINUTE_MS);
  onTestFinished(async () => {
    await store.close();
    await dispose();
  });
  await store.ingest([counted({ id: "first" }, 1)], HOUR);
  return { store, connection, path };
}

function batch(name: string, size: number): readonly IngestEntry[] {
  return Array.from({ length: size }, (_, place) => {
    const event = anEvent({
      id: `${name}-${place}`,
      user: `user of ${name} ${place}`,
      metadata: { text: "x".repeat(500) },
    });
    return { event, counts: [aCount(event)], holds: [] };
  });
}

async function usage(store: Store): Promise<unknown> {
  return [(await store.counts()).events, (await store.buckets({})).map(({ state }) => state.value)];
}

it("keeps nothing of a batch that does not fit on the disk, and goes on when there is room", async () => {
  const { store, connection } = await reachable();
  const pages = Number(connection.db.pragma("page_count", { simple: true }));
  connection.db.pragma(`max_page_count = ${pages + 20}`);
  await expect(store.ingest(batch("big", 2_000), HOUR)).rejects.toMatchObject({
    code: "METER_STORE_FAILED",
    message: expect.stringContaining("SQLITE_FULL"),
  });
  // The limit belonged to the connection that was dropped: the next call opens the file anew, like after a disk was cleared.
  expect(await usage(store)).toEqual([1, [fromInteger(1)]]);
  expect(new Set(await store.ingest(batch("big", 2_000), HOUR))).toEqual(new Set(["stored"]));
  expect(await usage(store)).toEqual([2_001, [fromInteger(2_001)]]);
  // The names of the refused batch were given out once more, to the same texts.
  expect((await store.findEvents("big-7"))[0]?.event.user).toBe("user of big 7");
});

it("keeps nothing of a batch in which one value cannot be counted", async () => {
  const { store, path } = await reachable();
  const event = anEvent({ id: "wrong" });
  const wrong = { event, counts: [aCount(event, { value: "text" })], holds: [] };
  await expect(store.ingest([...batch("a", 3), wrong], HOUR)).rejects.toThrow(TypeError);
  expect(await usage(store)).toEqual([1, [fromInteger(1)]]);
  expect(await store.ingest(batch("a", 3), HOUR)).toEqual(["stored", "stored", "stored"]);
  // Another connection knows only the names that are in the file, not those of the refused batch.
  const other = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  expect((await other.findEvents("a-2"))[0]?.event.user).toBe("user of a 2");
  await other.close();
});

it("says which program's lock it waited for in vain, and works when the lock is gone", async () => {
  const { store, connection, path } = await reachable();
  connection.db.pragma("busy_timeout = 50");
  const driver = await loadDriver();
  const other = new driver(path);
  other.exec("BEGIN IMMEDIATE");
  await expect(store.ingest(batch("a", 2), HOUR)).rejects.toMatchObject({
    code: "METER_STORE_FAILED",
    message: expect.stringContaining("SQLITE_BUSY"),
  });
  expect(await usage(store)).toEqual([1, [fromInteger(1)]]);
  other.exec("ROLLBACK");
  other.close();
  expect(await store.ingest(batch("a", 2), HOUR)).toEqual(["stored", "stored"]);
});

it("reports a damaged file instead of answering from it", async () => {
  const { store, connection, path } = await reachable();
  await store.ingest(batch("a", 500), HOUR);
  connection.db.pragma("wal_checkpoint(TRUNCATE)");
  await store.close();
  const { open } = await import("node:fs/promises");
  const file = await open(path, "r+");
  const { size } = await file.stat();
  // Page 1 stays whole, so that the file opens.
  await file.write(Buffer.alloc(size - 8_192, 0x5a), 0, size - 8_192, 8_192);
  await file.close();
  const failing = (async () => {
    const damaged = await openSqliteStore({ path, bucketMs: MINUTE_MS });
    onTestFinished(() => damaged.close());
    return damaged.ingest(batch("b", 500), HOUR);
  })();
  await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/^METER_STORE_/) });
});
