-- +goose Up
-- +goose NO TRANSACTION
-- Cut points of a whole audience, as published: what population conditions compare a contact with.
CREATE TABLE IF NOT EXISTS thresholds (
  audience_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  published_at BIGINT NOT NULL DEFAULT 0,
  body MEDIUMTEXT NOT NULL,
  PRIMARY KEY (audience_id, version)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
