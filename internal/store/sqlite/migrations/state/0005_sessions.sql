-- Browsers that are signed in; token is a hash.
CREATE TABLE sessions (
  token TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_id ON sessions (id);
CREATE INDEX sessions_owner ON sessions (owner, created);
CREATE INDEX sessions_expires ON sessions (expires);
