-- +goose Up
-- What is to be done in a shop: its outbound queue. state is open, done or parked; next_at is far away unless open.
CREATE TABLE IF NOT EXISTS shop_tasks (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  task_key TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  queued_at INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  done_at INTEGER NOT NULL DEFAULT 0,
  done TEXT NOT NULL DEFAULT '',
  mend TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, kind, task_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shop_tasks_shop_id_next_at ON shop_tasks (shop_id, next_at);
