CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX sources_name ON sources (tenant, name);
