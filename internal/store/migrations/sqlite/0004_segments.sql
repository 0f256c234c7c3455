-- +goose Up
CREATE TABLE IF NOT EXISTS segment_defs (
  segment TEXT NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT '',
  hash TEXT NOT NULL DEFAULT '',
  spec TEXT NOT NULL DEFAULT '',
  build_position INTEGER NOT NULL DEFAULT 0,
  build_total INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL DEFAULT 0,
  built_at INTEGER NOT NULL DEFAULT 0,
  build_began INTEGER NOT NULL DEFAULT 0,
  build_seen INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment_builds (
  segment TEXT NOT NULL,
  generation INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  position INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation, lane)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memberships (
  contact_id INTEGER NOT NULL,
  segment TEXT NOT NULL,
  generation INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, segment, generation)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memberships_segment_generation_contact_id ON memberships (segment, generation, contact_id);
CREATE TABLE IF NOT EXISTS segment_due (
  contact_id INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS segment_due_lane_due_at ON segment_due (lane, due_at);
CREATE TABLE IF NOT EXISTS segment_changes (
  id INTEGER NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  segment TEXT NOT NULL DEFAULT '',
  entered INTEGER NOT NULL DEFAULT 0,
  effective_at INTEGER NOT NULL DEFAULT 0,
  recorded_at INTEGER NOT NULL DEFAULT 0,
  cause TEXT NOT NULL DEFAULT '',
  pending INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS segment_changes_pending_lane_id ON segment_changes (pending, lane, id);
CREATE INDEX IF NOT EXISTS segment_changes_segment_effective_at ON segment_changes (segment, effective_at);
CREATE INDEX IF NOT EXISTS segment_changes_contact_id ON segment_changes (contact_id);
