import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { Connection } from "../../src/sqlite/connection.ts";
import { loadDriver, type SqliteDatabase } from "../../src/sqlite/driver.ts";
import { NOT_FINAL } from "../../src/sqlite/held-rows.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { counted, HOUR } from "../../src/testing/store-suite/store-case.ts";
import { tempPath } from "./temp-store.ts";

const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;

async function place(): Promise<{ readonly folder: string; readonly path: string }> {
  const made = await tempPath();
  onTestFinished(made.dispose);
  return made;
}

async function raw(path: string): Promise<SqliteDatabase> {
  const driver = await loadDriver();
  const db = new driver(path);
  onTestFinished(() => void db.close());
  return db;
}

const open = (path: string): Promise<unknown> => openSqliteStore({ path, bucketMs: MINUTE_MS });

const failure = (code: string, text: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

it("makes folders and file for the owner only", async () => {
  const { folder } = await place();
  const path = join(folder, "a", "b", "meter.db");
  const store = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  await store.ingest([counted({ id: "1" }, 1)], HOUR);
  const modes = await Promise.all(
    [join(folder, "a"), join(folder, "a", "b"), path, `${path}-wal`].map(
      async (name) => (await stat(name)).mode & 0o777,
    ),
  );
  expect(modes).toEqual([0o700, 0o700, 0o600, 0o600]);
  await store.close();
});

it("runs every connection with WAL, synchronous=FULL and foreign keys, also one that opened itself anew", async () => {
  const { path } = await place();
  const connection = new Connection(await loadDriver(), path, false);
  const settings = (): unknown[] =>
    ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"].map((name) =>
      connection.db.pragma(name, { simple: true }),
    );
  expect(settings()).toEqual(["wal", 2, 1, 10_000]);
  connection.close();
  const second = new Connection(await loadDriver(), path, false);
  expect(second.db.pragma("synchronous", { simple: true })).toBe(2);
  second.close();
});

it("keeps only typed tables", async () => {
  const { path } = await place();
  await (await openSqliteStore({ path, bucketMs: MINUTE_MS })).close();
  const db = await raw(path);
  const loose = db
    .prepare("SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all();
  expect(loose).toEqual([]);
});

it("never changes an event or an attempted record in place", async () => {
  const { path } = await place();
  const store = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  await store.ingest([counted({ id: "1" }, 1)], HOUR);
  await store.close();
  const db = await raw(path);
  expect(() => db.exec("UPDATE events SET time = 0")).toThrow("events are immutable");
  db.exec(`INSERT INTO outbox (kind, meter, report_as, company, window_start, window_end, sequence, raw, value, mode, reported, timestamp, state, created_at, attempts, next_attempt_at, epoch)
    VALUES ('usage', 1, 1, 1, 0, 1, 0, '1', '1', 'delta', '1', 0, 'pending', 0, 0, 0, 0)`);
  expect(() => db.exec("UPDATE outbox SET value = '2'")).toThrow("a usage record is immutable");
  db.exec(
    "INSERT INTO outbox_changes (row_id, at, from_state, to_state, reason, author) VALUES (1, 0, 'a', 'b', 'r', 'a')",
  );
  expect(() => db.exec("UPDATE outbox_changes SET author = 'nobody'")).toThrow("history is immutable");
});

it("refuses a directory, a file that is no database, and a path through a file", async () => {
  const { folder } = await place();
  const text = join(folder, "notes.txt");
  await mkdir(join(folder, "folder.db"));
  await writeFile(text, "these are notes, and no database at all; ".repeat(100));
  await expect(open(join(folder, "folder.db"))).rejects.toEqual(failure("METER_STORE_UNREADABLE", /is a directory/));
  await expect(open(text)).rejects.toEqual(failure("METER_STORE_UNREADABLE", /not an SQLite database/));
  await expect(open(join(text, "x.db"))).rejects.toEqual(
    failure("METER_STORE_UNREADABLE", /a part of its path is a file/),
  );
  expect(await readFile(text, "utf8")).toMatch(/^these are notes/);
});

it("refuses another program's database and leaves it as it was", async () => {
  const { path } = await place();
  const db = await raw(path);
  db.exec("CREATE TABLE theirs (x)");
  await expect(openSqliteStore({ path, bucketMs: MINUTE_MS })).rejects.toEqual(
    failure("METER_STORE_UNREADABLE", /another program/),
  );
  expect(db.prepare("SELECT name FROM sqlite_schema").pluck().all()).toEqual(["theirs"]);
  expect(db.pragma("journal_mode", { simple: true })).toBe("delete");
});

it("refuses a newer layout", async () => {
  const { path } = await place();
  await (await openSqliteStore({ path, bucketMs: MINUTE_MS })).close();
  (await raw(path)).pragma("user_version = 99");
  await expect(openSqliteStore({ path, bucketMs: MINUTE_MS })).rejects.toEqual(
    failure("METER_STORE_VERSION", /layout 99/),
  );
});

it("reads without making or changing anything", async () => {
  const { path } = await place();
  const reading = { path, bucketMs: MINUTE_MS, readOnly: true } as const;
  await expect(openSqliteStore(reading)).rejects.toEqual(failure("METER_STORE_UNREADABLE", /there is no such file/));
  const store = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  await store.ingest([counted({ id: "1" }, 1)], HOUR);
  const reader = await openSqliteStore(reading);
  expect((await reader.findEvents("1")).length).toBe(1);
  await expect(reader.ingest([counted({ id: "2" }, 1)], HOUR)).rejects.toEqual(
    failure("METER_STORE_FAILED", /READONLY/),
  );
  await store.ingest([counted({ id: "3" }, 1)], HOUR);
  expect((await reader.counts()).events).toBe(2);
  await Promise.all([reader.close(), store.close()]);
});

it("keeps the bucket width that a file has usage in", async () => {
  const { path } = await place();
  const openWith = (bucketMs: number): ReturnType<typeof openSqliteStore> => openSqliteStore({ path, bucketMs });
  const wide = await openWith(QUARTER_MS);
  expect(wide.bucketMs).toBe(QUARTER_MS);
  await wide.close();
  const fine = await openWith(MINUTE_MS);
  expect(fine.bucketMs).toBe(MINUTE_MS);
  await fine.ingest([counted({ id: "1" }, 1)], HOUR);
  await fine.close();
  const coarser = await openWith(QUARTER_MS);
  expect(coarser.bucketMs).toBe(MINUTE_MS);
  await coarser.close();
  await expect(openWith(MINUTE_MS / 2)).rejects.toEqual(failure("METER_STORE_BUCKETS", /60000 ms/));
  await expect(openWith(MINUTE_MS * 1.5)).rejects.toEqual(failure("METER_STORE_BUCKETS", /60000 ms/));
});

it("takes no usage for buckets that another process made narrower", async () => {
  const { path } = await place();
  const wide = await openSqliteStore({ path, bucketMs: QUARTER_MS });
  const fine = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  await expect(wide.ingest([counted({ id: "1" }, 1)], HOUR)).rejects.toEqual(
    failure("METER_STORE_BUCKETS", /other usage buckets/),
  );
  expect(await fine.ingest([counted({ id: "1" }, 1)], HOUR)).toEqual(["stored"]);
  await Promise.all([wide.close(), fine.close()]);
});

it("rejects calls after it was closed", async () => {
  const { path } = await place();
  const store = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  await store.close();
  await store.close();
  await expect(store.counts()).rejects.toEqual(failure("METER_STORE_FAILED", /was closed/));
});

it("gives each file a name of its own, which a reader sees too", async () => {
  const { path } = await place();
  const { path: other } = await place();
  const first = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  const second = await openSqliteStore({ path: other, bucketMs: MINUTE_MS });
  const reader = await openSqliteStore({ path, bucketMs: MINUTE_MS, readOnly: true });
  expect([first.id, reader.id]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), first.id]);
  expect(second.id).not.toBe(first.id);
  for (const store of [first, second, reader]) await store.close();
});

it("finds held rows by their own index, whatever else was reported", async () => {
  const { path } = await place();
  const connection = new Connection(await loadDriver(), path, false);
  const plans = [
    `SELECT company, report_as, count(*), min(reason) FROM outbox WHERE state = 'held' AND ${NOT_FINAL} GROUP BY company, report_as`,
    `UPDATE outbox SET reason = 'too_old' WHERE state = 'held' AND ${NOT_FINAL} AND timestamp < 5`,
    `SELECT * FROM outbox WHERE company = 1 AND report_as = 2 AND state = 'held' AND ${NOT_FINAL} ORDER BY window_start`,
  ].map((text) => JSON.stringify(connection.sql(`EXPLAIN QUERY PLAN ${text}`).all()));
  expect(plans[0]).toMatch(/COVERING INDEX outbox_held"/);
  expect(plans[1]).toContain("outbox_held_age");
  expect(plans[2]).toMatch(/INDEX outbox_held \(company=\? AND report_as=\?\)/);
  connection.close();
});
