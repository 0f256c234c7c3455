-- +goose Up
-- +goose NO TRANSACTION
-- What providers and our own pages said of mails, as it came: stored before it is answered, digested by the owner of the
-- lane (the contact's; before that is known, one by the id's hash), and removed after a while.
CREATE TABLE IF NOT EXISTS provider_events (
  audience_id BIGINT NOT NULL,
  source VARCHAR(16) NOT NULL,
  id VARCHAR(128) NOT NULL,
  state VARCHAR(16) NOT NULL DEFAULT '',
  lane BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  received_at BIGINT NOT NULL DEFAULT 0,
  happened_at BIGINT NOT NULL DEFAULT 0,
  kind VARCHAR(16) NOT NULL DEFAULT '',
  send_id BIGINT NOT NULL DEFAULT 0,
  contact_id BIGINT NOT NULL DEFAULT 0,
  message_id VARCHAR(255) NOT NULL DEFAULT '',
  email VARCHAR(320) NOT NULL DEFAULT '',
  url VARCHAR(2000) NOT NULL DEFAULT '',
  user_agent VARCHAR(500) NOT NULL DEFAULT '',
  hard BIGINT NOT NULL DEFAULT 0,
  machine BIGINT NOT NULL DEFAULT 0,
  reason VARCHAR(500) NOT NULL DEFAULT '',
  PRIMARY KEY (audience_id, source, id),
  KEY provider_events_state_lane_due_at (state, lane, due_at),
  KEY provider_events_received_at (received_at),
  KEY provider_events_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- What became of mails: each delivery, opening, click… machine and why are the verdict on whether a person did it.
CREATE TABLE IF NOT EXISTS mail_events (
  id BIGINT NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  send_id BIGINT NOT NULL DEFAULT 0,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  step VARCHAR(64) NOT NULL DEFAULT '',
  kind VARCHAR(16) NOT NULL DEFAULT '',
  happened_at BIGINT NOT NULL DEFAULT 0,
  recorded_at BIGINT NOT NULL DEFAULT 0,
  machine BIGINT NOT NULL DEFAULT 0,
  why VARCHAR(32) NOT NULL DEFAULT '',
  hard BIGINT NOT NULL DEFAULT 0,
  url VARCHAR(2000) NOT NULL DEFAULT '',
  source VARCHAR(16) NOT NULL DEFAULT '',
  reason VARCHAR(500) NOT NULL DEFAULT '',
  PRIMARY KEY (id),
  KEY mail_events_contact_id_happened_at (contact_id, happened_at),
  KEY mail_events_send_id (send_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- When events came in, by hour, and the newest mail that they spoke of: tells whether a mail without any was never sent.
CREATE TABLE IF NOT EXISTS event_flow (
  audience_id BIGINT NOT NULL,
  source VARCHAR(16) NOT NULL,
  hour_at BIGINT NOT NULL,
  shard BIGINT NOT NULL,
  newest_handed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, source, hour_at, shard)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
