-- +goose Up
CREATE TABLE IF NOT EXISTS campaigns (
  campaign TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0,
  hash TEXT NOT NULL DEFAULT '',
  armed_at INTEGER NOT NULL DEFAULT 0,
  listens INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  updated_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign)
);
CREATE TABLE IF NOT EXISTS campaign_defs (
  campaign TEXT NOT NULL,
  generation INTEGER NOT NULL,
  hash TEXT NOT NULL DEFAULT '',
  spec TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, generation)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS campaign_shops (
  campaign TEXT NOT NULL,
  shop_id INTEGER NOT NULL,
  armed_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, shop_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS enrolments (
  id INTEGER NOT NULL,
  campaign TEXT NOT NULL DEFAULT '',
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  occurrence TEXT NOT NULL DEFAULT '',
  audience_id INTEGER NOT NULL DEFAULT 0,
  shop_id INTEGER NOT NULL DEFAULT 0,
  step TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  triggered_at INTEGER NOT NULL DEFAULT 0,
  entered_at INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  exit_reason TEXT NOT NULL DEFAULT '',
  about TEXT NOT NULL DEFAULT '',
  variants TEXT NOT NULL DEFAULT '',
  goal_at INTEGER NOT NULL DEFAULT 0,
  begun_at INTEGER NOT NULL DEFAULT 0,
  clicked_at INTEGER NOT NULL DEFAULT 0,
  ordered_at INTEGER NOT NULL DEFAULT 0,
  split_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS enrolments_campaign_contact_id_occurrence ON enrolments (campaign, contact_id, occurrence);
CREATE INDEX IF NOT EXISTS enrolments_lane_state_due_at ON enrolments (lane, state, due_at);
CREATE INDEX IF NOT EXISTS enrolments_contact_id ON enrolments (contact_id);
CREATE TABLE IF NOT EXISTS sends (
  id INTEGER NOT NULL,
  campaign TEXT NOT NULL DEFAULT '',
  step TEXT NOT NULL DEFAULT '',
  contact_id INTEGER NOT NULL DEFAULT 0,
  occurrence TEXT NOT NULL DEFAULT '',
  lane INTEGER NOT NULL DEFAULT 0,
  enrolment_id INTEGER NOT NULL DEFAULT 0,
  audience_id INTEGER NOT NULL DEFAULT 0,
  shop_id INTEGER NOT NULL DEFAULT 0,
  kind TEXT NOT NULL DEFAULT '',
  provider TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  subject TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  until_at INTEGER NOT NULL DEFAULT 0,
  retry_at INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  moves INTEGER NOT NULL DEFAULT 0,
  not_after INTEGER NOT NULL DEFAULT 0,
  hand_before INTEGER NOT NULL DEFAULT 0,
  handed_at INTEGER NOT NULL DEFAULT 0,
  settled_at INTEGER NOT NULL DEFAULT 0,
  message_id TEXT NOT NULL DEFAULT '',
  about TEXT NOT NULL DEFAULT '',
  variants TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  triggered_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS sends_campaign_step_contact_id_occurrence ON sends (campaign, step, contact_id, occurrence);
CREATE INDEX IF NOT EXISTS sends_state_until_at ON sends (state, until_at, id, lane);
CREATE INDEX IF NOT EXISTS sends_contact_id_handed_at ON sends (contact_id, handed_at);
CREATE INDEX IF NOT EXISTS sends_message_id ON sends (message_id) WHERE message_id<>'';
CREATE TABLE IF NOT EXISTS send_log (
  send_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (send_id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suppressions (
  audience_id INTEGER NOT NULL,
  email_hash BLOB NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, email_hash, scope)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holdouts (
  campaign TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, contact_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS campaign_counts (
  campaign TEXT NOT NULL,
  name TEXT NOT NULL,
  shard INTEGER NOT NULL,
  total INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, name, shard)
) WITHOUT ROWID;
