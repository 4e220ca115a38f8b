/**
 * Layout 3, the other part: usage by UTC day beside the narrow buckets, for questions over long spans. Buckets that a
 * file has already are added up when it is opened for writing (rollUp); until then `days_stale` says that they are not.
 */
export const ROLLUP_LAYOUT = `
  CREATE TABLE days (
    meter INTEGER NOT NULL, company INTEGER NOT NULL, start INTEGER NOT NULL, labels INTEGER NOT NULL,
    aggregate TEXT NOT NULL, events INTEGER NOT NULL, value TEXT, time INTEGER NOT NULL, arrival INTEGER NOT NULL,
    PRIMARY KEY (meter, company, start, labels)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO meta SELECT 'days_stale', 1 WHERE EXISTS (SELECT 1 FROM buckets);
`;
