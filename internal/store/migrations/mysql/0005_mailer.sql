-- +goose Up
-- +goose NO TRANSACTION
CREATE TABLE IF NOT EXISTS campaigns (
  campaign VARCHAR(64) NOT NULL,
  state VARCHAR(16) NOT NULL DEFAULT '',
  generation BIGINT NOT NULL DEFAULT 0,
  hash VARCHAR(64) NOT NULL DEFAULT '',
  armed_at BIGINT NOT NULL DEFAULT 0,
  listens BIGINT NOT NULL DEFAULT 0,
  reason VARCHAR(1000) NOT NULL DEFAULT '',
  updated_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS campaign_defs (
  campaign VARCHAR(64) NOT NULL,
  generation BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL DEFAULT '',
  spec MEDIUMTEXT NOT NULL,
  created_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, generation)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS campaign_shops (
  campaign VARCHAR(64) NOT NULL,
  shop_id BIGINT NOT NULL,
  armed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, shop_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS enrolments (
  id BIGINT NOT NULL,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  contact_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  occurrence VARCHAR(128) NOT NULL DEFAULT '',
  audience_id BIGINT NOT NULL DEFAULT 0,
  shop_id BIGINT NOT NULL DEFAULT 0,
  step VARCHAR(64) NOT NULL DEFAULT '',
  generation BIGINT NOT NULL DEFAULT 0,
  state VARCHAR(16) NOT NULL DEFAULT '',
  triggered_at BIGINT NOT NULL DEFAULT 0,
  entered_at BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  exit_reason VARCHAR(255) NOT NULL DEFAULT '',
  about VARCHAR(160) NOT NULL DEFAULT '',
  variants VARCHAR(500) NOT NULL DEFAULT '',
  goal_at BIGINT NOT NULL DEFAULT 0,
  begun_at BIGINT NOT NULL DEFAULT 0,
  clicked_at BIGINT NOT NULL DEFAULT 0,
  ordered_at BIGINT NOT NULL DEFAULT 0,
  split_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY enrolments_campaign_contact_id_occurrence (campaign, contact_id, occurrence),
  KEY enrolments_lane_state_due_at (lane, state, due_at),
  KEY enrolments_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS sends (
  id BIGINT NOT NULL,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  step VARCHAR(64) NOT NULL DEFAULT '',
  contact_id BIGINT NOT NULL DEFAULT 0,
  occurrence VARCHAR(128) NOT NULL DEFAULT '',
  lane BIGINT NOT NULL DEFAULT 0,
  enrolment_id BIGINT NOT NULL DEFAULT 0,
  audience_id BIGINT NOT NULL DEFAULT 0,
  shop_id BIGINT NOT NULL DEFAULT 0,
  kind VARCHAR(16) NOT NULL DEFAULT '',
  provider VARCHAR(32) NOT NULL DEFAULT '',
  state VARCHAR(16) NOT NULL DEFAULT '',
  reason VARCHAR(255) NOT NULL DEFAULT '',
  subject VARCHAR(500) NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  until_at BIGINT NOT NULL DEFAULT 0,
  retry_at BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  moves BIGINT NOT NULL DEFAULT 0,
  not_after BIGINT NOT NULL DEFAULT 0,
  hand_before BIGINT NOT NULL DEFAULT 0,
  handed_at BIGINT NOT NULL DEFAULT 0,
  settled_at BIGINT NOT NULL DEFAULT 0,
  message_id VARCHAR(255) NOT NULL DEFAULT '',
  about VARCHAR(160) NOT NULL DEFAULT '',
  variants VARCHAR(500) NOT NULL DEFAULT '',
  priority BIGINT NOT NULL DEFAULT 0,
  triggered_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY sends_campaign_step_contact_id_occurrence (campaign, step, contact_id, occurrence),
  KEY sends_state_until_at (state, until_at, id, lane),
  KEY sends_contact_id_handed_at (contact_id, handed_at),
  KEY sends_message_id (message_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS send_log (
  send_id BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL DEFAULT 0,
  state VARCHAR(16) NOT NULL DEFAULT '',
  reason VARCHAR(255) NOT NULL DEFAULT '',
  detail VARCHAR(1000) NOT NULL DEFAULT '',
  PRIMARY KEY (send_id, seq)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS suppressions (
  audience_id BIGINT NOT NULL,
  email_hash BINARY(32) NOT NULL,
  scope VARCHAR(16) NOT NULL,
  reason VARCHAR(64) NOT NULL DEFAULT '',
  source VARCHAR(255) NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, email_hash, scope)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS holdouts (
  campaign VARCHAR(64) NOT NULL,
  contact_id BIGINT NOT NULL,
  at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS campaign_counts (
  campaign VARCHAR(64) NOT NULL,
  name VARCHAR(191) NOT NULL,
  shard BIGINT NOT NULL,
  total BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, name, shard)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
