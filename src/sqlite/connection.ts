import type BetterSqlite3 from "better-sqlite3";

import { isMeterbookError, MeterbookError } from "../core/errors.ts";
import { makeDatabaseFile, unreadable } from "./database-file.ts";
import { assertSqliteSafe, type SqliteDatabase, type SqliteDriver } from "./driver.ts";
import { assertNotRemote } from "./file-system-kind.ts";
import { Names } from "./names.ts";
import { assertLayout, migrate, versionOf } from "./schema.ts";

/** How long a transaction waits for another process's, milliseconds. */
const BUSY_TIMEOUT_MS = 10_000;
/**
 * Pages in the log before they are copied into the file: 32 MiB. Who commits then waits for the copying, so the more
 * seldom the better; pages that were written again and again are copied once.
 */
const CHECKPOINT_PAGES = 8_000;
const WAL_BYTES_MAX = 64 * 1024 * 1024;

type Statement<Row> = BetterSqlite3.Statement<unknown[], Row>;

/** One open file with its prepared statements and its dictionary; after a failure of the disk it opens itself anew. */
export class Connection {
  readonly path: string;
  private readonly driver: SqliteDriver;
  private readonly isReadOnly: boolean;
  private database: SqliteDatabase | null = null;
  private readonly statements = new Map<string, Statement<never>>();
  private isClosed = false;
  private isPinned = false;
  readonly names: Names;

  constructor(driver: SqliteDriver, path: string, isReadOnly: boolean) {
    this.driver = driver;
    this.path = path;
    this.isReadOnly = isReadOnly;
    this.names = new Names(this);
  }

  /** The open database; opened anew when the last use of it failed in a way that leaves doubt about the file. */
  get db(): SqliteDatabase {
    if (this.isClosed) throw new MeterbookError("METER_STORE_FAILED", `The database ${this.path} was closed.`);
    if (this.isPinned && this.database === null)
      throw new MeterbookError("METER_STORE_FAILED", `The snapshot of ${this.path} was lost.`);
    this.database ??= openDatabase(this.driver, this.path, this.isReadOnly);
    return this.database;
  }

  /** The statement of this text, prepared once. `Row` is what it answers, as the layout in schema.ts has it. */
  sql<Row = unknown>(text: string): Statement<Row> {
    let statement = this.statements.get(text);
    if (statement === undefined) {
      statement = this.db.prepare<unknown[], never>(text);
      this.statements.set(text, statement);
    }
    return statement;
  }

  /** Runs `work` in a transaction that holds the write lock from its start: wholly done or not at all. */
  write<Result>(work: () => Result): Result {
    return this.transaction("BEGIN IMMEDIATE", work);
  }

  /** Runs `work` on one snapshot of the file. */
  read<Result>(work: () => Result): Result {
    if (!this.isPinned) return this.transaction("BEGIN", work);
    try {
      return work();
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** A second connection that only reads, and sees the file as it is now until it is closed. */
  snapshot(): Connection {
    const other = new Connection(this.driver, this.path, true);
    try {
      other.read(() => undefined);
      other.sql("BEGIN").run();
      // A transaction sees the file as it is at its first read.
      other.sql("SELECT count(*) FROM meta").get();
      other.isPinned = true;
      return other;
    } catch (error) {
      other.close();
      throw error;
    }
  }

  close(): void {
    this.drop();
    this.isClosed = true;
  }

  private transaction<Result>(begin: string, work: () => Result): Result {
    try {
      this.sql(begin).run();
      const result = work();
      this.sql("COMMIT").run();
      return result;
    } catch (error) {
      this.rollback();
      throw this.failure(error);
    }
  }

  private rollback(): void {
    // Codes that the transaction gave out are gone with it.
    this.names.forget();
    if (this.database?.inTransaction !== true) return;
    try {
      this.database.exec("ROLLBACK");
    } catch {
      this.drop();
    }
  }

  private failure(error: unknown): unknown {
    if (isMeterbookError(error)) return error;
    const code = error instanceof this.driver.SqliteError ? error.code : null;
    if (code === null) return error;
    // After such an error the operating system may have forgotten pages: what this connection believes is in doubt. And SQLite
    // opens a file that it may not write for reading, without a word; only another opening can end that.
    if (/IOERR|CORRUPT|FULL|NOTADB|CANTOPEN|READONLY/.test(code)) this.drop();
    const message = error instanceof Error ? error.message : code;
    return new MeterbookError("METER_STORE_FAILED", `The database ${this.path} failed (${code}): ${message}.`, {
      cause: error,
      remedy: remedyOf(code),
    });
  }

  private drop(): void {
    this.statements.clear();
    this.names.forget();
    const database = this.database;
    this.database = null;
    try {
      database?.close();
    } catch {
      // A file that cannot be closed in order is replayed from its log when it is opened.
    }
  }
}

function remedyOf(code: string): string {
  if (code.includes("FULL")) return "Free disk space; the journal keeps events until then.";
  if (code.includes("BUSY") || code.includes("LOCKED"))
    return "Another program holds the database's lock for long; close it.";
  if (code.includes("READONLY")) return "The database was opened for reading, or its disk became read-only.";
  return "Check the disk; the journal keeps events until the database can be written.";
}

/** Opens a file with every setting that durability rests on, and proves them. METER_STORE_UNREADABLE, _VERSION, METER_SQLITE_UNSAFE, METER_DB_ON_NETWORK_DISK. */
function openDatabase(driver: SqliteDriver, path: string, isReadOnly: boolean): SqliteDatabase {
  assertNotRemote(path);
  if (!isReadOnly) makeDatabaseFile(path);
  let db: SqliteDatabase | null = null;
  try {
    db = new driver(path, { readonly: isReadOnly, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    assertSqliteSafe(String(db.prepare("SELECT sqlite_version()").pluck().get()));
    if (isReadOnly) assertLayout(db, path);
    else prepareForWriting(db, path);
    db.aggregate<bigint | string>("sum_scaled", {
      start: 0n,
      step: (total, value) => BigInt(total) + BigInt(value),
      result: (total) => total.toString(),
      deterministic: true,
    });
    db.function("add_scaled", { deterministic: true }, (a, b) =>
      (BigInt(String(a ?? 0)) + BigInt(String(b ?? 0))).toString(),
    );
    return db;
  } catch (error) {
    db?.close();
    throw isMeterbookError(error) ? error : unreadable(path, error);
  }
}

function prepareForWriting(db: SqliteDatabase, path: string): void {
  // Proves that the file is ours before anything is changed in it.
  versionOf(db, path);
  const mode = db.pragma("journal_mode = WAL", { simple: true });
  db.pragma("fullfsync = ON");
  db.pragma("synchronous = FULL");
  migrate(db, path);
  db.pragma("foreign_keys = ON");
  // The driver's build lowers `synchronous` when it first touches a WAL file, so it is set and read after the schema exists.
  db.pragma("synchronous = FULL");
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);
  // What a statement of many rows would undo is kept in memory: in a file it would be written for nearly every statement.
  db.pragma("temp_store = MEMORY");
  db.prepare("SELECT count(*) FROM meta").get();
  const synchronous = db.pragma("synchronous", { simple: true });
  const foreignKeys = db.pragma("foreign_keys", { simple: true });
  if (mode === "wal" && synchronous === 2 && foreignKeys === 1) return;
  throw new MeterbookError(
    "METER_SQLITE_UNSAFE",
    `The database ${path} did not take its settings: journal_mode ${String(mode)}, synchronous ${String(synchronous)}, foreign_keys ${String(foreignKeys)}.`,
    { remedy: "Put the database on a local disk." },
  );
}
