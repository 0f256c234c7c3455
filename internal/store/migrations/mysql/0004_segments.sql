-- +goose Up
-- +goose NO TRANSACTION
CREATE TABLE IF NOT EXISTS segment_defs (
  segment VARCHAR(80) NOT NULL,
  generation BIGINT NOT NULL,
  state VARCHAR(16) NOT NULL DEFAULT '',
  hash VARCHAR(64) NOT NULL DEFAULT '',
  spec MEDIUMTEXT NOT NULL,
  build_position BIGINT NOT NULL DEFAULT 0,
  build_total BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL DEFAULT 0,
  built_at BIGINT NOT NULL DEFAULT 0,
  build_began BIGINT NOT NULL DEFAULT 0,
  build_seen BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS segment_builds (
  segment VARCHAR(80) NOT NULL,
  generation BIGINT NOT NULL,
  lane BIGINT NOT NULL,
  position BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (segment, generation, lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS memberships (
  contact_id BIGINT NOT NULL,
  segment VARCHAR(80) NOT NULL,
  generation BIGINT NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  since BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, segment, generation),
  KEY memberships_segment_generation_contact_id (segment, generation, contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS segment_due (
  contact_id BIGINT NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id),
  KEY segment_due_lane_due_at (lane, due_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS segment_changes (
  id BIGINT NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  segment VARCHAR(80) NOT NULL DEFAULT '',
  entered BIGINT NOT NULL DEFAULT 0,
  effective_at BIGINT NOT NULL DEFAULT 0,
  recorded_at BIGINT NOT NULL DEFAULT 0,
  cause VARCHAR(16) NOT NULL DEFAULT '',
  pending BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  KEY segment_changes_pending_lane_id (pending, lane, id),
  KEY segment_changes_segment_effective_at (segment, effective_at),
  KEY segment_changes_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
