import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type BetterSqlite3 from "better-sqlite3";

import { MeterbookError } from "../core/errors.ts";

export type SqliteDriver = typeof BetterSqlite3;
export type SqliteDatabase = BetterSqlite3.Database;

/** The first SQLite without the WAL-reset race, which loses committed transactions (https://sqlite.org/wal.html#walresetbug). */
const SQLITE_VERSION_MIN = "3.51.3";

/** Loads better-sqlite3, after its version was found fit for this Node: a wrong pair ends the process without a word. */
export async function loadDriver(): Promise<SqliteDriver> {
  assertDriverFits(installedVersion(), process.versions.node);
  try {
    const Driver = lasting((await import("better-sqlite3")).default);
    // The native part is loaded with the first database, not with the module.
    new Driver(":memory:").close();
    return Driver;
  } catch (cause) {
    throw new MeterbookError(
      "METER_DRIVER_UNSUPPORTED",
      "better-sqlite3's native part could not be loaded: its install script did not run, or ran with another Node.",
      {
        cause,
        remedy:
          "Run `npm rebuild better-sqlite3` (npm 12: approve its install script first) with the Node that runs the app.",
      },
    );
  }
}

/** Everything native that this process opened: see `lasting`. */
const alive: object[] = [];

/**
 * The driver, whose databases and statements are never garbage: some releases of Node 24 end the process with
 * `Assertion failed: (env) != nullptr` when better-sqlite3 12 destroys one. A closed one keeps only a small shell, and
 * statements are prepared once each, so that little stays. Transactions keep theirs for as long as the database.
 */
function lasting(Driver: SqliteDriver): SqliteDriver {
  return new Proxy(Driver, {
    construct(target, given: ConstructorParameters<SqliteDriver>) {
      const db = new target(...given);
      const prepare = db.prepare.bind(db);
      const kept = {
        prepare(text: string): BetterSqlite3.Statement {
          const statement = prepare(text);
          alive.push(statement);
          return statement;
        },
        // The driver's own pragma() makes a statement that nobody can hold.
        pragma(text: string, { simple = false }: BetterSqlite3.PragmaOptions = {}): unknown {
          const statement = kept.prepare(`PRAGMA ${text}`);
          if (!statement.reader) return void statement.run();
          return simple ? statement.pluck().get() : statement.all();
        },
      };
      alive.push(db);
      return Object.assign(db, kept);
    },
  });
}

/** METER_DRIVER_UNSUPPORTED for better-sqlite3 13 or newer on a Node before 22. Both are version texts such as `12.11.1`. */
export function assertDriverFits(driverVersion: string, nodeVersion: string): void {
  if (!isBefore(nodeVersion, "22.0.0") || isBefore(driverVersion, "13.0.0")) return;
  throw new MeterbookError(
    "METER_DRIVER_UNSUPPORTED",
    `better-sqlite3 ${driverVersion} crashes on Node ${nodeVersion}: it needs Node 22 or newer.`,
    { remedy: "Install better-sqlite3 12.11.1, or run a newer Node." },
  );
}

/** METER_SQLITE_UNSAFE for an SQLite that can lose committed transactions in WAL mode. */
export function assertSqliteSafe(sqliteVersion: string): void {
  if (!isBefore(sqliteVersion, SQLITE_VERSION_MIN)) return;
  throw new MeterbookError(
    "METER_SQLITE_UNSAFE",
    `SQLite ${sqliteVersion} can lose committed transactions; ${SQLITE_VERSION_MIN} is the first safe version.`,
    { remedy: "Install better-sqlite3 12.11.1." },
  );
}

/** Whether one dotted version text comes before another; what follows a hyphen is ignored. */
function isBefore(version: string, other: string): boolean {
  const [left, right] = [version, other].map((text) => text.split("-")[0]?.split(".").map(Number) ?? []);
  for (let place = 0; place < 3; place += 1) {
    const difference = (left?.[place] ?? 0) - (right?.[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function installedVersion(): string {
  try {
    const path = createRequire(import.meta.url).resolve("better-sqlite3/package.json");
    const { version }: { version: string } = JSON.parse(readFileSync(path, "utf8"));
    return version;
  } catch (cause) {
    throw new MeterbookError("METER_DRIVER_UNSUPPORTED", "better-sqlite3 is not installed.", {
      cause,
      remedy: "Run `npm install better-sqlite3@12.11.1`.",
    });
  }
}
