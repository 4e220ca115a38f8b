/** Layout 3: what is made over the API or the file beside events and usage, with names and history. */
export const REGISTER_LAYOUT = `
  CREATE TABLE entries (
    kind TEXT NOT NULL, id TEXT NOT NULL, names TEXT NOT NULL, body TEXT NOT NULL, revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, deleted_at INTEGER, changed INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  -- What changed since a revision of its kind is read again.
  CREATE INDEX entries_changed ON entries (kind, changed);
  -- Living entries alone have names: who deletes one gives them up.
  CREATE TABLE entry_names (
    kind TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, name),
    FOREIGN KEY (kind, id) REFERENCES entries
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entry_names_entry ON entry_names (kind, id);
  CREATE TABLE entry_history (
    kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
    at INTEGER NOT NULL, author TEXT NOT NULL, body TEXT,
    PRIMARY KEY (kind, id, revision)
  ) STRICT, WITHOUT ROWID;
  CREATE TRIGGER entry_history_immutable BEFORE UPDATE ON entry_history
    BEGIN SELECT raise(ABORT, 'history is immutable'); END;
  CREATE TABLE register_revisions (kind TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- Where a version of a meter came from: null = the configuration file.
  ALTER TABLE meter_versions ADD COLUMN origin TEXT;
`;
