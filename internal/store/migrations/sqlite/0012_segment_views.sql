-- +goose Up
-- What keeping each segment true took, by UTC day, and the segments in the public schema.
CREATE TABLE IF NOT EXISTS segment_costs (
  segment TEXT NOT NULL,
  cost_day INTEGER NOT NULL,
  evaluations INTEGER NOT NULL DEFAULT 0,
  micros INTEGER NOT NULL DEFAULT 0,
  rows_read INTEGER NOT NULL DEFAULT 0,
  rows_written INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, cost_day)
) WITHOUT ROWID;
-- How many members a generation has, as the sum over the processes that count: each under the first lane it owns.
CREATE TABLE IF NOT EXISTS segment_sizes (
  segment TEXT NOT NULL,
  generation INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  members INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation, lane)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS mirror_v1_segment_members AS SELECT
  m.segment,
  m.contact_id,
  c.email,
  strftime('%Y-%m-%d %H:%M:%f', m.since/1000.0, 'unixepoch') AS entered_at
FROM segment_defs d JOIN memberships m ON m.segment=d.segment AND m.generation=d.generation JOIN contacts c ON c.id=m.contact_id
WHERE d.state='live' AND c.live=1;
CREATE VIEW IF NOT EXISTS mirror_v1_segment_changes AS SELECT
  h.segment,
  h.contact_id,
  h.entered,
  h.cause,
  strftime('%Y-%m-%d %H:%M:%f', h.effective_at/1000.0, 'unixepoch') AS effective_at,
  strftime('%Y-%m-%d %H:%M:%f', h.recorded_at/1000.0, 'unixepoch') AS recorded_at
FROM segment_changes h;
