-- +goose Up
-- +goose NO TRANSACTION
-- Merges and splits of contacts, erasures, and the news of both to the mailer.
CREATE TABLE IF NOT EXISTS contact_merges (
  id BIGINT NOT NULL,
  audience_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  from_id BIGINT NOT NULL DEFAULT 0,
  to_id BIGINT NOT NULL DEFAULT 0,
  from_email VARCHAR(320) NOT NULL DEFAULT '',
  to_email VARCHAR(320) NOT NULL DEFAULT '',
  state VARCHAR(16) NOT NULL DEFAULT '',
  merged_by VARCHAR(255) NOT NULL DEFAULT '',
  merged_at BIGINT NOT NULL DEFAULT 0,
  undone_by VARCHAR(255) NOT NULL DEFAULT '',
  undone_at BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  KEY contact_merges_to_id (to_id),
  KEY contact_merges_from_id (from_id),
  KEY contact_merges_state_lane (state, lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS contact_erasures (
  contact_id BIGINT NOT NULL,
  audience_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  state VARCHAR(16) NOT NULL DEFAULT '',
  phase BIGINT NOT NULL DEFAULT 0,
  position VARCHAR(255) NOT NULL DEFAULT '',
  asked_at BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id),
  KEY contact_erasures_state_lane (state, lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS tombstones (
  audience_id BIGINT NOT NULL,
  hash BINARY(32) NOT NULL,
  erased_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, hash)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS departures (
  contact_id BIGINT NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  why VARCHAR(16) NOT NULL DEFAULT '',
  at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id),
  KEY departures_lane (lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
