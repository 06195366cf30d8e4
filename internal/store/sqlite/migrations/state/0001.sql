-- One row: the lease's epoch, the follower's position, and the last numbers given.
CREATE TABLE shard (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL,
  position INTEGER NOT NULL,
  last_attempt INTEGER NOT NULL,
  last_tenant INTEGER NOT NULL
);
INSERT INTO shard VALUES (1, 0, 0, 0, 0);

-- An attempt at several versions has a row in attempt_blocks for each block of 256 versions that it touches.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX attempts_version ON attempts (tenant, version);
CREATE INDEX attempts_endpoint ON attempts (endpoint);
CREATE TABLE attempt_blocks (
  tenant INTEGER NOT NULL,
  block INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  PRIMARY KEY (tenant, block, attempt)
) WITHOUT ROWID;

CREATE TABLE lanes (
  endpoint INTEGER NOT NULL,
  replay INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (endpoint, replay)
) WITHOUT ROWID;

CREATE TABLE retries (
  endpoint INTEGER NOT NULL,
  replay INTEGER NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (endpoint, replay, version)
) WITHOUT ROWID;

CREATE TABLE dead (
  endpoint INTEGER NOT NULL,
  version INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (endpoint, version)
) WITHOUT ROWID;
CREATE INDEX dead_at ON dead (at);

CREATE TABLE tenants (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  endpoints INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE deleted_tenants (id INTEGER PRIMARY KEY);

CREATE TABLE endpoints (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX endpoints_tenant ON endpoints (tenant, id);
CREATE TABLE deleted_endpoints (id INTEGER PRIMARY KEY);

CREATE TABLE types (
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE TABLE apikeys (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  tenant INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX apikeys_tenant ON apikeys (tenant);

CREATE TABLE answers (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  at INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);

-- Written and emptied again to learn whether there is space.
CREATE TABLE probe (filler BLOB NOT NULL);
