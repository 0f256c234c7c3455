-- +goose Up
-- +goose NO TRANSACTION
-- What is to be done in a shop: its outbound queue. state is open, done or parked; next_at is far away unless open.
CREATE TABLE IF NOT EXISTS shop_tasks (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(32) NOT NULL,
  task_key VARCHAR(128) NOT NULL,
  state VARCHAR(16) NOT NULL DEFAULT '',
  generation BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  queued_at BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  done VARCHAR(1000) NOT NULL DEFAULT '',
  mend VARCHAR(1000) NOT NULL DEFAULT '',
  error VARCHAR(1000) NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, kind, task_key),
  KEY shop_tasks_shop_id_next_at (shop_id, next_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
