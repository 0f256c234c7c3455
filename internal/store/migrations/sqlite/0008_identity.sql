-- +goose Up
-- Merges and splits of contacts, erasures, and the news of both to the mailer.
CREATE TABLE IF NOT EXISTS contact_merges (
  id INTEGER NOT NULL,
  audience_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  from_id INTEGER NOT NULL DEFAULT 0,
  to_id INTEGER NOT NULL DEFAULT 0,
  from_email TEXT NOT NULL DEFAULT '',
  to_email TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  merged_by TEXT NOT NULL DEFAULT '',
  merged_at INTEGER NOT NULL DEFAULT 0,
  undone_by TEXT NOT NULL DEFAULT '',
  undone_at INTEGER NOT NULL DEFAULT 0,
  done_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS contact_merges_to_id ON contact_merges (to_id);
CREATE INDEX IF NOT EXISTS contact_merges_from_id ON contact_merges (from_id);
CREATE INDEX IF NOT EXISTS contact_merges_state_lane ON contact_merges (state, lane);
CREATE TABLE IF NOT EXISTS contact_erasures (
  contact_id INTEGER NOT NULL,
  audience_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  phase INTEGER NOT NULL DEFAULT 0,
  position TEXT NOT NULL DEFAULT '',
  asked_at INTEGER NOT NULL DEFAULT 0,
  done_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS contact_erasures_state_lane ON contact_erasures (state, lane);
CREATE TABLE IF NOT EXISTS tombstones (
  audience_id INTEGER NOT NULL,
  hash BLOB NOT NULL,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS departures (
  contact_id INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT '',
  at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS departures_lane ON departures (lane);
