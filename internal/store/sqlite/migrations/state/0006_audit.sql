-- The hash of the key from before a rotation, which goes on working for a while.
ALTER TABLE apikeys ADD COLUMN previous BLOB;
CREATE UNIQUE INDEX apikeys_previous ON apikeys (previous) WHERE previous IS NOT NULL;

-- AUTOINCREMENT: an entry's id is never given again, whatever was trimmed.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  tenant_name TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, id);
CREATE INDEX audit_at ON audit (at);
