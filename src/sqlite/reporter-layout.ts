/**
 * Layout 2, the finished reporter's part: states, kinds, modes and histories of reports, and what is known of the
 * biller's books. A CHECK cannot be changed in place, so `outbox` is made anew and its rows are copied.
 */
export const REPORTER_LAYOUT = `
  CREATE TABLE outbox_2 (
    row_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('usage', 'cancel', 'adjust')),
    cancels INTEGER REFERENCES outbox,
    meter INTEGER NOT NULL,
    report_as INTEGER NOT NULL,
    company INTEGER NOT NULL,
    customer INTEGER,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    raw TEXT NOT NULL,
    value TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('delta', 'set')),
    reported TEXT NOT NULL,
    late TEXT CHECK (late IN ('carry', 'hold', 'write_off')),
    timestamp INTEGER NOT NULL,
    identifier TEXT,
    state TEXT NOT NULL CHECK (state IN ('held', 'pending', 'sending', 'accepted', 'settled', 'dead', 'conflict')),
    reason TEXT,
    created_at INTEGER NOT NULL,
    first_attempt_at INTEGER,
    last_attempt_at INTEGER,
    resent_at INTEGER,
    absent_since INTEGER,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    accepted_at INTEGER,
    settled_at INTEGER,
    token TEXT,
    lease_until INTEGER,
    attempt INTEGER REFERENCES outbox_attempts,
    epoch INTEGER NOT NULL,
    UNIQUE (meter, company, window_start, sequence),
    CHECK ((kind = 'cancel') = (cancels IS NOT NULL))
  ) STRICT;
  INSERT INTO outbox_2
    SELECT row_id, 'usage', NULL, meter, report_as, company, customer, window_start, window_end, sequence, raw, value,
      'delta', value, NULL, timestamp, identifier, state, reason, created_at, first_attempt_at,
      CASE WHEN first_attempt_at IS NOT NULL THEN max(first_attempt_at, ifnull(
        (SELECT max(at) FROM outbox_attempts WHERE outbox_attempts.row_id = outbox.row_id AND outcome IS NOT 'stopped'),
        first_attempt_at)) END,
      NULL, NULL, attempts, next_attempt_at, accepted_at, NULL, token, lease_until, attempt, epoch
    FROM outbox;
  DROP TABLE outbox;
  ALTER TABLE outbox_2 RENAME TO outbox;

  CREATE INDEX outbox_state ON outbox (state, window_start, sequence) WHERE state <> 'accepted' AND state <> 'settled';
  CREATE INDEX outbox_queue ON outbox (window_start, sequence) WHERE state IN ('pending', 'sending');
  CREATE INDEX outbox_pending ON outbox (customer, meter, window_start, sequence) WHERE state = 'pending';
  CREATE INDEX outbox_sending ON outbox (customer, meter) WHERE state = 'sending';
  CREATE INDEX outbox_held ON outbox (company, report_as, window_start, sequence, reason, state) WHERE state = 'held'
    AND reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits' AND reason IS NOT 'late_usage';
  CREATE INDEX outbox_held_age ON outbox (timestamp) WHERE state = 'held'
    AND reason IS NOT 'too_old' AND reason IS NOT 'too_many_digits' AND reason IS NOT 'late_usage';
  CREATE INDEX outbox_identifier ON outbox (identifier) WHERE identifier IS NOT NULL;
  CREATE INDEX outbox_stated ON outbox (customer, report_as, timestamp) WHERE customer IS NOT NULL;
  -- A deleted attempt is looked for here; only a row that is being sent has one.
  CREATE INDEX outbox_attempt ON outbox (attempt) WHERE attempt IS NOT NULL;
  CREATE UNIQUE INDEX outbox_cancels ON outbox (cancels) WHERE cancels IS NOT NULL;
  CREATE TRIGGER outbox_report_immutable
    BEFORE UPDATE OF kind, cancels, meter, report_as, company, customer, window_start, window_end, sequence, raw, value,
      mode, reported, late, timestamp, identifier ON outbox
    WHEN old.state <> 'held'
    BEGIN SELECT raise(ABORT, 'a usage record is immutable'); END;

  -- What the row had before the attempt, for an attempt that is taken back.
  ALTER TABLE outbox_attempts ADD COLUMN last_attempt_before INTEGER;
  ALTER TABLE outbox_attempts ADD COLUMN resent_before INTEGER;
  ALTER TABLE outbox_attempts ADD COLUMN absent_before INTEGER;

  CREATE TABLE outbox_changes (
    number INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL REFERENCES outbox,
    after_attempt INTEGER,
    at INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    author TEXT NOT NULL
  ) STRICT;
  CREATE INDEX outbox_changes_row ON outbox_changes (row_id);
  CREATE TRIGGER outbox_changes_immutable BEFORE UPDATE ON outbox_changes
    BEGIN SELECT raise(ABORT, 'history is immutable'); END;

  CREATE TABLE drifts (
    number INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL, report_as INTEGER NOT NULL,
    from_time INTEGER NOT NULL, to_time INTEGER NOT NULL,
    ours TEXT NOT NULL, theirs TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('missing', 'surplus', 'inexact')),
    row_ids TEXT NOT NULL,
    found_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX drifts_lane ON drifts (customer, report_as, from_time);
  CREATE TABLE reconciliations (
    customer INTEGER NOT NULL, report_as INTEGER NOT NULL, checked_at INTEGER NOT NULL, agreed_until INTEGER NOT NULL,
    PRIMARY KEY (customer, report_as)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE periods (
    customer INTEGER NOT NULL, report_as INTEGER NOT NULL, item TEXT NOT NULL, from_time INTEGER NOT NULL,
    to_time INTEGER NOT NULL, renews INTEGER NOT NULL,
    PRIMARY KEY (customer, report_as, item, from_time)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE seen_once (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX seen_once_at ON seen_once (at);
`;
