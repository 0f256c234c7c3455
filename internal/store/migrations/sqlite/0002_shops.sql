-- +goose Up
-- Who controls the data, which shops they have, and how far each stream of each shop has been read.
CREATE TABLE IF NOT EXISTS audiences (
  id INTEGER NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS audiences_name ON audiences (name);
CREATE TABLE IF NOT EXISTS shops (
  id INTEGER NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  audience_id INTEGER NOT NULL DEFAULT 0,
  platform TEXT NOT NULL DEFAULT '',
  title TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  zone TEXT NOT NULL DEFAULT '',
  own_zone TEXT NOT NULL DEFAULT '',
  basis TEXT NOT NULL DEFAULT '',
  currency TEXT NOT NULL DEFAULT '',
  locale TEXT NOT NULL DEFAULT '',
  skew_ms INTEGER NOT NULL DEFAULT 0,
  backfilled_at INTEGER NOT NULL DEFAULT 0,
  fault TEXT NOT NULL DEFAULT '',
  fault_class TEXT NOT NULL DEFAULT '',
  fault_at INTEGER NOT NULL DEFAULT 0,
  probed TEXT NOT NULL DEFAULT '',
  rules TEXT NOT NULL DEFAULT '',
  busy_ppm INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS shops_name ON shops (name);
CREATE TABLE IF NOT EXISTS streams (
  shop_id INTEGER NOT NULL,
  stream TEXT NOT NULL,
  kind TEXT NOT NULL DEFAULT '',
  mode TEXT NOT NULL DEFAULT '',
  part INTEGER NOT NULL DEFAULT 0,
  cursor_at BLOB NULL,
  backfilled_at INTEGER NOT NULL DEFAULT 0,
  run_started_at INTEGER NOT NULL DEFAULT 0,
  run_done_at INTEGER NOT NULL DEFAULT 0,
  read_at INTEGER NOT NULL DEFAULT 0,
  wanted_at INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  source_count INTEGER NOT NULL DEFAULT 0,
  counted_at INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observations (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source_records (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  hash BLOB NULL,
  norm_version INTEGER NOT NULL DEFAULT 0,
  read_at INTEGER NOT NULL DEFAULT 0,
  raw BLOB NULL,
  PRIMARY KEY (shop_id, kind, id)
);
CREATE TABLE IF NOT EXISTS quarantine (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  raw BLOB NULL,
  first_at INTEGER NOT NULL DEFAULT 0,
  last_at INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
);
CREATE TABLE IF NOT EXISTS inbox (
  id INTEGER NOT NULL,
  shop_id INTEGER NOT NULL DEFAULT 0,
  kind TEXT NOT NULL DEFAULT '',
  record_id TEXT NOT NULL DEFAULT '',
  topic TEXT NOT NULL DEFAULT '',
  received_at INTEGER NOT NULL DEFAULT 0,
  body BLOB NULL,
  PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS inbox_shop_id_id ON inbox (shop_id, id);
CREATE TABLE IF NOT EXISTS hints (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0,
  wanted_at INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  cause TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hints_shop_id_next_at ON hints (shop_id, next_at);
