import { MeterbookError } from "../core/errors.ts";
import { COMPANY_LAYOUT } from "./company-runs.ts";
import { CORRECTION_LAYOUT } from "./correction-layout.ts";
import type { SqliteDatabase } from "./driver.ts";
import { REGISTER_LAYOUT } from "./register-layout.ts";
import { REPORTER_LAYOUT } from "./reporter-layout.ts";
import { ROLLUP_LAYOUT } from "./rollup-layout.ts";

/** Marks the file as meterbook's ("mtrb"), so that nobody's other database is touched. */
const APPLICATION_ID = 0x6d747262;

/** Each migration once, in order, for ever; TABLES.md describes the result. A change is a new entry. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE names (code INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

  CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    source INTEGER NOT NULL,
    type INTEGER NOT NULL,
    time INTEGER NOT NULL,
    recorded_at INTEGER,
    company INTEGER,
    user INTEGER,
    method INTEGER,
    path TEXT,
    route INTEGER,
    status INTEGER,
    duration_ms REAL,
    aborted INTEGER,
    shape INTEGER NOT NULL,
    rest TEXT
  ) STRICT;
  CREATE UNIQUE INDEX events_identity ON events (id, source);
  CREATE INDEX events_company ON events (company);
  CREATE INDEX events_time ON events (time);
  CREATE TRIGGER events_immutable BEFORE UPDATE ON events BEGIN SELECT raise(ABORT, 'events are immutable'); END;

  CREATE TABLE amendments (
    number INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    fact TEXT NOT NULL,
    amendment TEXT NOT NULL,
    counted TEXT NOT NULL,
    UNIQUE (seq, fact)
  ) STRICT;
  CREATE TABLE assigned (seq INTEGER PRIMARY KEY REFERENCES events ON DELETE CASCADE, company INTEGER NOT NULL) STRICT;
  CREATE INDEX assigned_company ON assigned (company);

  CREATE TABLE holds (
    seq INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    place INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    amount TEXT,
    member TEXT,
    PRIMARY KEY (seq, place)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE conflicts (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    source INTEGER NOT NULL,
    refused TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (id, source, refused)
  ) STRICT;

  CREATE TABLE buckets (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, start INTEGER NOT NULL, labels INTEGER NOT NULL,
    aggregate TEXT NOT NULL, events INTEGER NOT NULL, value TEXT, time INTEGER NOT NULL, arrival INTEGER NOT NULL,
    PRIMARY KEY (meter, company, start, labels)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE members (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, start INTEGER NOT NULL, labels INTEGER NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (meter, company, start, labels, member)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE archive (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, start INTEGER NOT NULL, labels INTEGER NOT NULL,
    aggregate TEXT NOT NULL, events INTEGER NOT NULL, value TEXT, time INTEGER NOT NULL, arrival INTEGER NOT NULL,
    PRIMARY KEY (meter, company, start, labels)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE archive_members (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, start INTEGER NOT NULL, labels INTEGER NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (meter, company, start, labels, member)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dirty (
    start INTEGER NOT NULL, meter INTEGER NOT NULL, company INTEGER NOT NULL,
    PRIMARY KEY (start, meter, company)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE meter_versions (
    number INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,
    version INTEGER NOT NULL,
    effective_from INTEGER NOT NULL,
    definition TEXT NOT NULL,
    fields TEXT,
    unknown_identity TEXT,
    ended INTEGER NOT NULL,
    UNIQUE (meter, version)
  ) STRICT;

  CREATE TABLE outbox (
    row_id INTEGER PRIMARY KEY,
    meter INTEGER NOT NULL,
    report_as INTEGER NOT NULL,
    company INTEGER NOT NULL,
    customer INTEGER,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    raw TEXT NOT NULL,
    value TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    identifier TEXT,
    state TEXT NOT NULL CHECK (state IN ('held', 'pending', 'sending', 'accepted', 'dead', 'conflict')),
    reason TEXT,
    created_at INTEGER NOT NULL,
    first_attempt_at INTEGER,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    accepted_at INTEGER,
    token TEXT,
    lease_until INTEGER,
    attempt INTEGER REFERENCES outbox_attempts,
    epoch INTEGER NOT NULL,
    UNIQUE (meter, company, window_start, sequence)
  ) STRICT;
  CREATE INDEX outbox_state ON outbox (state, window_start, sequence) WHERE state <> 'accepted';
  CREATE INDEX outbox_queue ON outbox (window_start, sequence) WHERE state IN ('pending', 'sending');
  CREATE INDEX outbox_pending ON outbox (customer, meter, window_start, sequence) WHERE state = 'pending';
  CREATE INDEX outbox_sending ON outbox (customer, meter) WHERE state = 'sending';
  CREATE TRIGGER outbox_report_immutable
    BEFORE UPDATE OF meter, report_as, company, customer, window_start, window_end, sequence, raw, value, timestamp, identifier ON outbox
    WHEN old.state <> 'held'
    BEGIN SELECT raise(ABORT, 'a usage record is immutable'); END;
  CREATE TABLE outbox_attempts (
    number INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL REFERENCES outbox,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT,
    settled_at INTEGER,
    request_id TEXT,
    reason TEXT
  ) STRICT;
  CREATE INDEX outbox_attempts_row ON outbox_attempts (row_id);
  CREATE INDEX outbox_held ON outbox (company, report_as, window_start, sequence, reason, state) WHERE state = 'held'
    AND reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits';
  CREATE INDEX outbox_held_age ON outbox (timestamp) WHERE state = 'held'
    AND reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits';
  CREATE TABLE skipped (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, window_start INTEGER NOT NULL, raw TEXT NOT NULL,
    PRIMARY KEY (meter, company, window_start)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE running (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, raw TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (meter, company)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE customers (
    company TEXT PRIMARY KEY, state TEXT NOT NULL, customers TEXT NOT NULL, checked_at INTEGER NOT NULL,
    misses INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
  INSERT INTO notes VALUES ('store.id', lower(hex(randomblob(16))));
  `,
  [REPORTER_LAYOUT, CORRECTION_LAYOUT].join("\n"),
  [REGISTER_LAYOUT, ROLLUP_LAYOUT, COMPANY_LAYOUT].join("\n"),
];

/** The layout that this release reads and writes; kept in the file as user_version. */
const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the layout up to date in one transaction. METER_STORE_VERSION when a newer release made it. */
export function migrate(db: SqliteDatabase, path: string): void {
  if (versionOf(db, path) === SCHEMA_VERSION) return;
  // A table that others refer to can be made anew only without foreign keys, and these only be switched outside a transaction.
  db.pragma("foreign_keys = OFF");
  db.transaction(() => {
    // Another process may have migrated while this one waited for the lock.
    const found = versionOf(db, path);
    if (found === 0) db.pragma(`application_id = ${APPLICATION_ID}`);
    for (const migration of MIGRATIONS.slice(found)) db.exec(migration);
    assertReferences(db, path);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

/** METER_STORE_UNREADABLE when a row refers to one that is not there; the migration is then undone. */
function assertReferences(db: SqliteDatabase, path: string): void {
  const broken = db.prepare<[], { table: string; parent: string }>("PRAGMA foreign_key_check").get();
  if (broken === undefined) return;
  throw new MeterbookError(
    "METER_STORE_UNREADABLE",
    `A row of ${broken.table} in ${path} refers to a row of ${broken.parent} that is not there.`,
    { remedy: "Restore the file from a backup; nothing was changed in it." },
  );
}

/** METER_STORE_VERSION unless the file has exactly this release's layout: a reader cannot migrate. */
export function assertLayout(db: SqliteDatabase, path: string): void {
  const found = versionOf(db, path);
  if (found === SCHEMA_VERSION) return;
  throw new MeterbookError(
    "METER_STORE_VERSION",
    `${path} has layout ${found}, this release reads ${SCHEMA_VERSION}.`,
    {
      remedy: "Run the app or a writing command of this release once: it brings the layout up to date.",
    },
  );
}

/** The layout's number; 0 for an empty file. Throws for a newer layout and for another program's database. */
export function versionOf(db: SqliteDatabase, path: string): number {
  const version = Number(db.pragma("user_version", { simple: true }));
  const application = Number(db.pragma("application_id", { simple: true }));
  const isEmpty = db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0;
  if (application !== APPLICATION_ID && !isEmpty) {
    throw Object.assign(new Error("another program's database"), { code: "FOREIGN_DATABASE" });
  }
  if (version > SCHEMA_VERSION) {
    throw new MeterbookError(
      "METER_STORE_VERSION",
      `${path} has layout ${version}, this release knows ${SCHEMA_VERSION}.`,
      {
        remedy: "Use the newer meterbook that made it; an older one never writes into it.",
      },
    );
  }
  return version;
}
