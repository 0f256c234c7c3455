-- +goose Up
-- +goose NO TRANSACTION
-- Contacts whose facts changed, for campaigns that do not wait for a segment.
CREATE TABLE IF NOT EXISTS touches (
  contact_id BIGINT NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  generation BIGINT NOT NULL DEFAULT 0,
  source_at BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id),
  KEY touches_lane_due_at (lane, due_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- How far each lane of a broadcast is.
CREATE TABLE IF NOT EXISTS broadcasts (
  campaign VARCHAR(64) NOT NULL,
  run VARCHAR(64) NOT NULL,
  lane BIGINT NOT NULL,
  done_to BIGINT NOT NULL DEFAULT 0,
  walk_to BIGINT NOT NULL DEFAULT 0,
  position BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, run, lane)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Facts that were looked at and started nothing: each is judged once.
CREATE TABLE IF NOT EXISTS trigger_facts (
  contact_id BIGINT NOT NULL,
  campaign VARCHAR(64) NOT NULL,
  fact VARCHAR(160) NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  at BIGINT NOT NULL DEFAULT 0,
  outcome VARCHAR(32) NOT NULL DEFAULT '',
  PRIMARY KEY (contact_id, campaign, fact),
  KEY trigger_facts_at (at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- When products ran out and were there again; back_at is 0 while one is out.
CREATE TABLE IF NOT EXISTS stock_turns (
  shop_id BIGINT NOT NULL,
  product_id VARCHAR(64) NOT NULL,
  out_at BIGINT NOT NULL,
  back_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, product_id, out_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Web services to be called: at least once, in order per contact.
CREATE TABLE IF NOT EXISTS calls (
  id BIGINT NOT NULL,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  step VARCHAR(64) NOT NULL DEFAULT '',
  contact_id BIGINT NOT NULL DEFAULT 0,
  occurrence VARCHAR(128) NOT NULL DEFAULT '',
  lane BIGINT NOT NULL DEFAULT 0,
  enrolment_id BIGINT NOT NULL DEFAULT 0,
  audience_id BIGINT NOT NULL DEFAULT 0,
  generation BIGINT NOT NULL DEFAULT 0,
  state VARCHAR(16) NOT NULL DEFAULT '',
  attempts BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT NOT NULL DEFAULT 0,
  done_at BIGINT NOT NULL DEFAULT 0,
  error VARCHAR(1000) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  UNIQUE KEY calls_campaign_step_contact_id_occurrence (campaign, step, contact_id, occurrence),
  KEY calls_lane_next_at (lane, next_at),
  KEY calls_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- What Relance itself knows of a contact, as attributes relance.<name>.
CREATE TABLE IF NOT EXISTS contact_attributes (
  contact_id BIGINT NOT NULL,
  name VARCHAR(64) NOT NULL,
  value VARCHAR(500) NOT NULL DEFAULT '',
  set_by VARCHAR(128) NOT NULL DEFAULT '',
  set_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- What became of a campaign's mails, by day (UTC): handed, delivered, bounced, complained, clicked, goal…
CREATE TABLE IF NOT EXISTS campaign_days (
  campaign VARCHAR(64) NOT NULL,
  day VARCHAR(10) NOT NULL,
  name VARCHAR(128) NOT NULL,
  shard BIGINT NOT NULL,
  total BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, day, name, shard)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Splits that are to have a winner; variant is '' until it is known.
CREATE TABLE IF NOT EXISTS split_winners (
  campaign VARCHAR(64) NOT NULL,
  step VARCHAR(64) NOT NULL,
  variant VARCHAR(64) NOT NULL DEFAULT '',
  since_at BIGINT NOT NULL DEFAULT 0,
  looks BIGINT NOT NULL DEFAULT 0,
  decided_at BIGINT NOT NULL DEFAULT 0,
  why VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (campaign, step)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
