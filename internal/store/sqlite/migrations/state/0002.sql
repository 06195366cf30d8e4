-- Keys that sign tokens; retired is 0 for one in use.
CREATE TABLE token_keys (
  tenant INTEGER NOT NULL,
  id TEXT NOT NULL,
  created INTEGER NOT NULL,
  retired INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX token_keys_retired ON token_keys (retired) WHERE retired <> 0;
