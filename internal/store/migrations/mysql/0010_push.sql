-- +goose Up
-- +goose NO TRANSACTION
-- What systems send by themselves: the newest version of each record taken (the sender's sequence number), and the
-- lists of contacts that were imported, so that one that was cut off goes on where it was.
CREATE TABLE IF NOT EXISTS push_versions (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  id VARCHAR(64) NOT NULL,
  version BIGINT NOT NULL DEFAULT 0,
  taken_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS imports (
  shop_id BIGINT NOT NULL,
  content VARCHAR(64) NOT NULL,
  file VARCHAR(255) NOT NULL DEFAULT '',
  row_count BIGINT NOT NULL DEFAULT 0,
  rows_done BIGINT NOT NULL DEFAULT 0,
  started_at BIGINT NOT NULL DEFAULT 0,
  finished_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, content)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
