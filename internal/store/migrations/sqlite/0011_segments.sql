-- +goose Up
-- Cut points of a whole audience, as published: what population conditions compare a contact with.
CREATE TABLE IF NOT EXISTS thresholds (
  audience_id INTEGER NOT NULL,
  version INTEGER NOT NULL,
  published_at INTEGER NOT NULL DEFAULT 0,
  body TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (audience_id, version)
) WITHOUT ROWID;
