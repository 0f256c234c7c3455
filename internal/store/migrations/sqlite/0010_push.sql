-- +goose Up
-- What systems send by themselves: the newest version of each record taken (the sender's sequence number), and the
-- lists of contacts that were imported, so that one that was cut off goes on where it was.
CREATE TABLE IF NOT EXISTS push_versions (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 0,
  taken_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS imports (
  shop_id INTEGER NOT NULL,
  content TEXT NOT NULL,
  file TEXT NOT NULL DEFAULT '',
  row_count INTEGER NOT NULL DEFAULT 0,
  rows_done INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER NOT NULL DEFAULT 0,
  finished_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, content)
) WITHOUT ROWID;
