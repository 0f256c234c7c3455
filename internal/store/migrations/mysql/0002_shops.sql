-- +goose Up
-- +goose NO TRANSACTION
-- Who controls the data, which shops they have, and how far each stream of each shop has been read.
CREATE TABLE IF NOT EXISTS audiences (
  id BIGINT NOT NULL,
  name VARCHAR(64) NOT NULL DEFAULT '',
  title VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY audiences_name (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS shops (
  id BIGINT NOT NULL,
  name VARCHAR(64) NOT NULL DEFAULT '',
  audience_id BIGINT NOT NULL DEFAULT 0,
  platform VARCHAR(32) NOT NULL DEFAULT '',
  title VARCHAR(255) NOT NULL DEFAULT '',
  address VARCHAR(1000) NOT NULL DEFAULT '',
  zone VARCHAR(64) NOT NULL DEFAULT '',
  own_zone VARCHAR(64) NOT NULL DEFAULT '',
  basis VARCHAR(16) NOT NULL DEFAULT '',
  currency VARCHAR(8) NOT NULL DEFAULT '',
  locale VARCHAR(16) NOT NULL DEFAULT '',
  skew_ms BIGINT NOT NULL DEFAULT 0,
  backfilled_at BIGINT NOT NULL DEFAULT 0,
  fault VARCHAR(1000) NOT NULL DEFAULT '',
  fault_class VARCHAR(16) NOT NULL DEFAULT '',
  fault_at BIGINT NOT NULL DEFAULT 0,
  probed MEDIUMTEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY shops_name (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS streams (
  shop_id BIGINT NOT NULL,
  stream VARCHAR(64) NOT NULL,
  kind VARCHAR(16) NOT NULL DEFAULT '',
  mode VARCHAR(16) NOT NULL DEFAULT '',
  cursor_at LONGBLOB NULL,
  backfilled_at BIGINT NOT NULL DEFAULT 0,
  run_started_at BIGINT NOT NULL DEFAULT 0,
  run_done_at BIGINT NOT NULL DEFAULT 0,
  read_at BIGINT NOT NULL DEFAULT 0,
  wanted_at BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  source_count BIGINT NOT NULL DEFAULT 0,
  counted_at BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  error VARCHAR(1000) NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, stream)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS observations (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  observed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS source_records (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  id VARCHAR(128) NOT NULL,
  hash BINARY(16) NULL,
  norm_version BIGINT NOT NULL DEFAULT 0,
  read_at BIGINT NOT NULL DEFAULT 0,
  raw LONGBLOB NULL,
  PRIMARY KEY (shop_id, kind, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS quarantine (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  id VARCHAR(128) NOT NULL,
  reason VARCHAR(1000) NOT NULL DEFAULT '',
  raw LONGBLOB NULL,
  first_at BIGINT NOT NULL DEFAULT 0,
  last_at BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS inbox (
  id BIGINT NOT NULL,
  shop_id BIGINT NOT NULL DEFAULT 0,
  kind VARCHAR(16) NOT NULL DEFAULT '',
  record_id VARCHAR(128) NOT NULL DEFAULT '',
  topic VARCHAR(64) NOT NULL DEFAULT '',
  received_at BIGINT NOT NULL DEFAULT 0,
  body LONGBLOB NULL,
  PRIMARY KEY (id),
  KEY inbox_shop_id_id (shop_id, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS hints (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  id VARCHAR(128) NOT NULL,
  generation BIGINT NOT NULL DEFAULT 0,
  wanted_at BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  error VARCHAR(1000) NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, kind, id),
  KEY hints_shop_id_next_at (shop_id, next_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
