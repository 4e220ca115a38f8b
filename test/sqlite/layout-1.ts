import Driver from "better-sqlite3";

import { ownMembers } from "../../src/core/own-member.ts";
import { HOUR, HOUR_MS } from "../../src/testing/store-suite/store-case.ts";

/** The layout of the first release, word for word: files with it are out there. */
const LAYOUT_1 = `
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
  `;

const columns = [
  "row_id",
  "meter",
  "report_as",
  "company",
  "customer",
  "window_start",
  "window_end",
  "sequence",
  "raw",
  "value",
  "timestamp",
  "identifier",
  "state",
  "reason",
  "created_at",
  "first_attempt_at",
  "attempts",
  "next_attempt_at",
  "accepted_at",
  "token",
  "lease_until",
  "attempt",
  "epoch",
] as const;

/** When the lease of the row that is being sent ends, and its token. */
export const LEASE_UNTIL = HOUR + 50_000;
export const TOKEN = "old#7";

interface OldRow {
  readonly state: string;
  readonly reason?: string;
  readonly attempts?: readonly { readonly at: number; readonly outcome: string | null; readonly requestId?: string }[];
  readonly counted?: number;
}

/** One row per hour, in this order: row numbers from 1. */
const OLD_ROWS: readonly OldRow[] = [
  { state: "held", reason: "no_customer" },
  { state: "held", reason: "too_old" },
  { state: "pending" },
  { state: "pending", reason: "503", counted: 2, attempts: [at(1, "retry", "req_1"), at(5, "retry", "req_2")] },
  { state: "pending", reason: "401", counted: 1, attempts: [at(1, "retry"), at(9, "stopped")] },
  { state: "pending", reason: "put back", counted: 0, attempts: [at(3, "stopped")] },
  { state: "sending", counted: 1, attempts: [at(4, null)] },
  { state: "accepted", counted: 1, attempts: [at(2, "accepted", "req_3")] },
  { state: "accepted", reason: "nothing to send" },
  { state: "dead", reason: "no such customer", counted: 1, attempts: [at(2, "dead", "req_4")] },
  { state: "conflict", reason: "unknown for 23 h", counted: 1, attempts: [at(2, "retry"), at(8, "conflict")] },
];

function at(second: number, outcome: string | null, requestId?: string): NonNullable<OldRow["attempts"]>[number] {
  return { at: HOUR + second * 1_000, outcome, ...(requestId === undefined ? {} : { requestId }) };
}

/** Makes a file as the first release left it, with a report in every state. */
export function writeLayout1(path: string): void {
  const db = new Driver(path);
  db.pragma("journal_mode = WAL");
  db.pragma("application_id = 1836348002");
  db.exec(LAYOUT_1);
  db.pragma("user_version = 1");
  db.exec("INSERT INTO meta VALUES ('bucket_ms', 60000)");
  for (const text of ["tokens", "acme", "cus_acme"]) db.prepare("INSERT INTO names (text) VALUES (?)").run(text);
  const insert = db.prepare(`INSERT INTO outbox (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`);
  for (const [place, row] of OLD_ROWS.entries()) {
    const rowId = place + 1;
    const start = HOUR + place * HOUR_MS;
    const isAddressed = row.state !== "held" && row.reason !== "nothing to send";
    const counted = row.counted ?? 0;
    const address = [isAddressed ? 3 : null, start, start + HOUR_MS, 0, "5700000000000", "5000000000000", start];
    const times = [
      HOUR,
      counted > 0 ? row.attempts?.[0]?.at : null,
      counted,
      0,
      row.state === "accepted" ? HOUR + 2_500 : null,
    ];
    const lease = row.state === "sending" ? [TOKEN, LEASE_UNTIL, null] : [null, null, null];
    const identifier = isAddressed ? `mb_${rowId}` : null;
    insert.run(
      rowId,
      1,
      1,
      2,
      ...address,
      identifier,
      row.state,
      ownMembers(row).reason ?? null,
      ...times,
      ...lease,
      counted,
    );
    for (const [number, attempt] of (row.attempts ?? []).entries()) {
      const { lastInsertRowid } = db
        .prepare("INSERT INTO outbox_attempts (row_id, attempt, at, outcome, request_id) VALUES (?, ?, ?, ?, ?)")
        .run(rowId, number + 1, attempt.at, attempt.outcome, attempt.requestId ?? null);
      if (row.state === "sending")
        db.prepare("UPDATE outbox SET attempt = ? WHERE row_id = ?").run(lastInsertRowid, rowId);
    }
  }
  db.prepare("INSERT INTO running VALUES (1, 2, ?, ?)").run("62700000000000", "55000000000000");
  db.close();
}
