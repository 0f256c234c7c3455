-- +goose Up
-- +goose NO TRANSACTION
-- What keeping each segment true took, by UTC day, and the segments in the public schema.
CREATE TABLE IF NOT EXISTS segment_costs (
  segment VARCHAR(80) NOT NULL,
  cost_day BIGINT NOT NULL,
  evaluations BIGINT NOT NULL DEFAULT 0,
  micros BIGINT NOT NULL DEFAULT 0,
  rows_read BIGINT NOT NULL DEFAULT 0,
  rows_written BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, cost_day)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- How many members a generation has, as the sum over the processes that count: each under the first lane it owns.
CREATE TABLE IF NOT EXISTS segment_sizes (
  segment VARCHAR(80) NOT NULL,
  generation BIGINT NOT NULL,
  lane BIGINT NOT NULL,
  members BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation, lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE OR REPLACE VIEW mirror_v1_segment_members AS SELECT
  m.segment,
  m.contact_id,
  c.email,
  TIMESTAMPADD(MICROSECOND, m.since*1000, TIMESTAMP'1970-01-01 00:00:00') AS entered_at
FROM segment_defs d JOIN memberships m ON m.segment=d.segment AND m.generation=d.generation JOIN contacts c ON c.id=m.contact_id
WHERE d.state='live' AND c.live=1;
CREATE OR REPLACE VIEW mirror_v1_segment_changes AS SELECT
  h.segment,
  h.contact_id,
  h.entered,
  h.cause,
  TIMESTAMPADD(MICROSECOND, h.effective_at*1000, TIMESTAMP'1970-01-01 00:00:00') AS effective_at,
  TIMESTAMPADD(MICROSECOND, h.recorded_at*1000, TIMESTAMP'1970-01-01 00:00:00') AS recorded_at
FROM segment_changes h;
