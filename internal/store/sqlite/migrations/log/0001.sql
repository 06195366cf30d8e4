-- One row: the last seq ever given, how many events the log holds and their bytes.
CREATE TABLE totals (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  last_seq INTEGER NOT NULL,
  events INTEGER NOT NULL,
  bytes INTEGER NOT NULL
);
INSERT INTO totals VALUES (1, 0, 0, 0);

CREATE TABLE heads (
  tenant INTEGER PRIMARY KEY,
  oldest INTEGER NOT NULL,
  head INTEGER NOT NULL
);

-- An id that is a UUID in the canonical form is a blob of 16 bytes, any other one text.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  version INTEGER NOT NULL,
  received INTEGER NOT NULL,
  id NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX events_version ON events (tenant, version);
CREATE UNIQUE INDEX events_id ON events (tenant, id);

-- Answers to publishes that named an idempotency key.
CREATE TABLE publishes (
  tenant INTEGER NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  at INTEGER NOT NULL,
  receipts BLOB NOT NULL,
  PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX publishes_at ON publishes (at);

-- Written and emptied again to learn whether there is space.
CREATE TABLE probe (filler BLOB NOT NULL);
