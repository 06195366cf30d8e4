CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  tenant INTEGER NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX queues_name ON queues (tenant, name);
CREATE TABLE deleted_queues (id INTEGER PRIMARY KEY);

-- floor is the seq up to which the queue needs no event; dead counts its dead letters.
CREATE TABLE queue_states (
  queue INTEGER PRIMARY KEY,
  floor INTEGER NOT NULL,
  low INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX queue_states_floor ON queue_states (floor);

CREATE TABLE queue_items (
  queue INTEGER NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (queue, version)
) WITHOUT ROWID;

CREATE TABLE queue_dead (
  queue INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (queue, version)
) WITHOUT ROWID;
CREATE INDEX queue_dead_at ON queue_dead (at);
