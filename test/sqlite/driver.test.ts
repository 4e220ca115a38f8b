import { expect, it } from "vitest";

import { networkFileSystem } from "../../src/sqlite/database-file.ts";
import { assertDriverFits, assertSqliteSafe, loadDriver } from "../../src/sqlite/driver.ts";

it.each([
  ["13.0.0", "20.20.2"],
  ["13.2.0", "21.7.3"],
  ["14.0.0-beta.1", "18.0.0"],
])("refuses better-sqlite3 %s on Node %s before it is loaded", (driver, node) => {
  expect(() => assertDriverFits(driver, node)).toThrow(expect.objectContaining({ code: "METER_DRIVER_UNSUPPORTED" }));
});

it.each([
  ["12.11.1", "20.20.2"],
  ["13.2.0", "22.0.0"],
  ["12.11.1", "26.1.0"],
])("takes better-sqlite3 %s on Node %s", (driver, node) => {
  expect(assertDriverFits(driver, node)).toBeUndefined();
});

it.each(["3.51.2", "3.50.7", "3.9.0", "2.99.99"])("refuses SQLite %s", (version) => {
  expect(() => assertSqliteSafe(version)).toThrow(expect.objectContaining({ code: "METER_SQLITE_UNSAFE" }));
});

it.each(["3.51.3", "3.53.2", "3.100.0", "4.0.0"])("takes SQLite %s", (version) => {
  expect(assertSqliteSafe(version)).toBeUndefined();
});

it("reads 64-bit integers whole where they can be that large, and keeps numeric texts as texts", async () => {
  const driver = await loadDriver();
  const db = new driver(":memory:");
  expect(db.prepare("SELECT 9007199254740993").pluck().safeIntegers().get()).toBe(9_007_199_254_740_993n);
  db.exec("CREATE TABLE t (value TEXT) STRICT");
  const texts = ["0012", "1e3", "9007199254740993.5"];
  for (const text of texts) db.prepare("INSERT INTO t VALUES (?)").run(text);
  expect(db.prepare("SELECT value FROM t ORDER BY rowid").pluck().all()).toEqual(texts);
  db.close();
});

it("knows network file systems by their number, as statfs gives it with or without a sign", () => {
  expect(networkFileSystem("/x/y", () => ({ type: 0x6969 }))).toBe("NFS");
  expect(networkFileSystem("/x/y", () => ({ type: 0xff534d42 - 2 ** 32 }))).toBe("CIFS");
  expect(networkFileSystem("/x/y", () => ({ type: 0x65735546 }))).toBe("FUSE");
  expect(networkFileSystem("/x/y", () => ({ type: 0xef53 }))).toBeNull();
  expect(networkFileSystem("/nowhere/at/all")).toBeNull();
});
