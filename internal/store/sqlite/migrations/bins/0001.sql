-- The pages of captures that were deleted are used again for later ones, so the file stays about as large as the most
-- that was ever kept, which retention bounds; giving them back would cost a map of all pages and a write for each.

-- One row: the last number given to a bin, how many captures there are and their bytes, those of deleted bins too.
CREATE TABLE totals (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  last_bin INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  bytes INTEGER NOT NULL
);
INSERT INTO totals VALUES (1, 0, 0, 0);

-- n is a bin's number in this file, never given again; expires is 0 for one that stays.
CREATE TABLE bins (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  tenant INTEGER NOT NULL,
  alias TEXT NOT NULL,
  expires INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX bins_id ON bins (id);
CREATE UNIQUE INDEX bins_alias ON bins (alias) WHERE alias <> '';
CREATE INDEX bins_tenant ON bins (tenant, id, expires);
CREATE INDEX bins_expires ON bins (expires) WHERE expires <> 0;

-- A bin's figures, apart from it so that a capture writes few bytes. newest is the time of the capture numbered last.
CREATE TABLE figures (
  bin INTEGER PRIMARY KEY,
  last INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  newest INTEGER NOT NULL
);

-- Numbers of deleted bins that have captures still.
CREATE TABLE deleted_bins (n INTEGER PRIMARY KEY);

-- bytes is what the capture counts for, without what marks adds. The large columns are the last ones, so that the others
-- are read without them.
CREATE TABLE captures (
  n INTEGER PRIMARY KEY,
  bin INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  id NOT NULL,
  bytes INTEGER NOT NULL,
  record BLOB NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX captures_seq ON captures (bin, seq);
CREATE UNIQUE INDEX captures_id ON captures (bin, id);
CREATE INDEX captures_at ON captures (at);

-- Notes and answers that came after their capture, so that its body is not written again. bytes is by how much the
-- capture counts for more.
CREATE TABLE marks (
  n INTEGER PRIMARY KEY,
  bytes INTEGER NOT NULL,
  body BLOB NOT NULL
);

CREATE TABLE cursors (
  bin INTEGER NOT NULL,
  tunnel TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (bin, tunnel)
) WITHOUT ROWID;

-- Written and emptied again to learn whether there is space.
CREATE TABLE probe (filler BLOB NOT NULL);
