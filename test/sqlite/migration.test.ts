import Driver from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";

import { fromInteger } from "../../src/core/decimal.ts";
import type { OutboxRow, Store } from "../../src/engine/ports.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { HOUR, HOUR_MS } from "../../src/testing/store-suite/store-case.ts";
import { LEASE_UNTIL, TOKEN, writeLayout1 } from "./layout-1.ts";
import { tempPath } from "./temp-store.ts";

const MINUTE_MS = 60_000;
const seconds = (count: number): number => HOUR + count * 1_000;

async function oldFile(): Promise<string> {
  const { path, dispose } = await tempPath();
  onTestFinished(dispose);
  writeLayout1(path);
  return path;
}

async function opened(path: string): Promise<Store> {
  const store = await openSqliteStore({ path, bucketMs: MINUTE_MS });
  onTestFinished(() => store.close());
  return store;
}

async function rowOf(store: Store, rowId: number): Promise<OutboxRow> {
  const [row] = await store.outbox({ rowId, limit: 1 });
  if (row === undefined) throw new Error(`no row ${rowId}`);
  return row;
}

it("keeps every report of a file of the first release, as it was", async () => {
  const store = await opened(await oldFile());
  const rows = await store.outbox({ limit: 100 });
  expect(rows.map(({ rowId }) => rowId)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const common = { kind: "usage", cancels: null, mode: "delta", late: null, resentAt: null, absentSince: null };
  for (const row of rows) {
    const value = fromInteger(5);
    expect(row).toMatchObject({ ...common, settledAt: null, raw: 5_700_000_000_000n, value, reported: value });
  }
  expect(rows[7]).toEqual({
    ...common,
    rowId: 8,
    meter: "tokens",
    reportAs: "tokens",
    company: "acme",
    customer: "cus_acme",
    windowStart: HOUR + 7 * HOUR_MS,
    windowEnd: HOUR + 8 * HOUR_MS,
    sequence: 0,
    raw: 5_700_000_000_000n,
    value: fromInteger(5),
    reported: fromInteger(5),
    timestamp: HOUR + 7 * HOUR_MS,
    identifier: "mb_8",
    state: "accepted",
    reason: null,
    createdAt: HOUR,
    firstAttemptAt: seconds(2),
    lastAttemptAt: seconds(2),
    attempts: 1,
    nextAttemptAt: 0,
    acceptedAt: HOUR + 2_500,
    settledAt: null,
    requestIds: ["req_3"],
  });
  const attempted = rows.map(({ firstAttemptAt, lastAttemptAt }) => [firstAttemptAt, lastAttemptAt]);
  const none = [null, null];
  expect(attempted).toEqual([
    none,
    none,
    none,
    [seconds(1), seconds(5)],
    [seconds(1), seconds(1)],
    none,
    [seconds(4), seconds(4)],
    [seconds(2), seconds(2)],
    none,
    [seconds(2), seconds(2)],
    [seconds(2), seconds(8)],
  ]);
  expect(await store.laneTotals()).toEqual([
    {
      meter: "tokens",
      company: "acme",
      raw: 62_700_000_000_000n,
      value: fromInteger(55),
      cancels: 0,
      runningRaw: 62_700_000_000_000n,
      runningValue: fromInteger(55),
    },
  ]);
  expect((await store.rowHistory(4)).map(({ to, requestId }) => [to, requestId])).toEqual([
    ["retry", "req_1"],
    ["retry", "req_2"],
  ]);
});

it("goes on with the reports of a file of the first release", async () => {
  const store = await opened(await oldFile());
  expect(await store.heldLanes()).toEqual([{ company: "acme", reportAs: "tokens", rows: 1, reason: "no_customer" }]);
  expect(await store.claim({ now: seconds(10), leaseMs: MINUTE_MS, holder: "h", limit: 9 })).toEqual([]);
  expect(await store.settle(7, TOKEN, { kind: "accepted", requestId: "req_9" }, LEASE_UNTIL - 1)).toBe(true);
  expect(await rowOf(store, 7)).toMatchObject({ state: "accepted", attempts: 1, requestIds: ["req_9"] });
  const [claim] = await store.claim({ now: seconds(60), leaseMs: MINUTE_MS, holder: "h", limit: 9 });
  expect([claim?.row.rowId, claim?.epoch]).toEqual([3, 0]);
  expect(await store.settleRows([7, 8], seconds(70))).toBe(2);
  const change = { rowId: 11, from: "conflict", to: "pending", reason: "r", author: "a", resend: true } as const;
  expect(await store.changeRow(change, seconds(80))).toBe(true);
  const row = await rowOf(store, 8);
  const cancel = { ...row, kind: "cancel", cancels: 8, raw: -row.raw, value: -row.value, state: "pending" } as const;
  expect(await store.addRow(cancel, "operator:ada", "why", seconds(90))).toMatchObject({ rowId: 12, sequence: 1 });
});

it("leaves a file of this layout sound: references, indexes, triggers", async () => {
  const path = await oldFile();
  await opened(path);
  const db = new Driver(path);
  onTestFinished(() => void db.close());
  expect(db.pragma("foreign_key_check")).toEqual([]);
  expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
  expect(db.pragma("user_version", { simple: true })).toBe(3);
  const { path: freshPath, dispose } = await tempPath();
  onTestFinished(dispose);
  await opened(freshPath);
  const fresh = new Driver(freshPath);
  onTestFinished(() => void fresh.close());
  const layout = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
  expect(db.prepare(layout).all()).toEqual(fresh.prepare(layout).all());
  const parents = (table: string): unknown =>
    db.prepare('SELECT "from", "table" FROM pragma_foreign_key_list(?) ORDER BY 1').raw().all(table);
  expect(parents("outbox")).toEqual([
    ["attempt", "outbox_attempts"],
    ["cancels", "outbox"],
  ]);
  expect([parents("outbox_attempts"), parents("outbox_changes")]).toEqual([
    [["row_id", "outbox"]],
    [["row_id", "outbox"]],
  ]);
  for (const [column, value] of [
    ["kind", "'adjust'"],
    ["cancels", "1"],
    ["mode", "'set'"],
    ["reported", "'1'"],
    ["late", "'carry'"],
    ["raw", "'1'"],
    ["identifier", "'x'"],
  ])
    expect(() => db.exec(`UPDATE outbox SET ${column} = ${value} WHERE row_id = 8`)).toThrow(
      "a usage record is immutable",
    );
  db.exec("UPDATE outbox SET late = 'carry', mode = 'set', reported = '1' WHERE row_id = 1");
  expect(() => db.exec("UPDATE outbox SET state = 'lost' WHERE row_id = 1")).toThrow("CHECK");
});

it("changes nothing of a file whose rows refer to what is not there, and says so", async () => {
  const path = await oldFile();
  const db = new Driver(path);
  onTestFinished(() => void db.close());
  db.pragma("foreign_keys = OFF");
  db.exec("INSERT INTO outbox_attempts (row_id, attempt, at) VALUES (99, 1, 0)");
  await expect(openSqliteStore({ path, bucketMs: MINUTE_MS })).rejects.toMatchObject({
    code: "METER_STORE_UNREADABLE",
    message: expect.stringMatching(/outbox_attempts .* refers to a row of outbox/),
  });
  expect(db.pragma("user_version", { simple: true })).toBe(1);
  expect(db.prepare("SELECT count(*) FROM outbox").pluck().get()).toBe(11);
  expect(db.prepare("SELECT count(*) FROM pragma_table_info('outbox') WHERE name = 'kind'").pluck().get()).toBe(0);
});

it("reads no file of the first release without leave to change it", async () => {
  const path = await oldFile();
  await expect(openSqliteStore({ path, bucketMs: MINUTE_MS, readOnly: true })).rejects.toMatchObject({
    code: "METER_STORE_VERSION",
    message: expect.stringMatching(/layout 1, this release reads 3/),
  });
});
