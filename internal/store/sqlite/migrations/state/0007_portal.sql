CREATE TABLE portals (
  tenant INTEGER PRIMARY KEY,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
