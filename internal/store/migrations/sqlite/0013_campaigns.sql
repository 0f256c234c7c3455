-- +goose Up
-- Contacts whose facts changed, for campaigns that do not wait for a segment.
CREATE TABLE IF NOT EXISTS touches (
  contact_id INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  source_at INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS touches_lane_due_at ON touches (lane, due_at);
-- How far each lane of a broadcast is.
CREATE TABLE IF NOT EXISTS broadcasts (
  campaign TEXT NOT NULL,
  run TEXT NOT NULL,
  lane INTEGER NOT NULL,
  done_to INTEGER NOT NULL DEFAULT 0,
  walk_to INTEGER NOT NULL DEFAULT 0,
  position INTEGER NOT NULL DEFAULT 0,
  done_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, run, lane)
) WITHOUT ROWID;
-- Facts that were looked at and started nothing: each is judged once.
CREATE TABLE IF NOT EXISTS trigger_facts (
  contact_id INTEGER NOT NULL,
  campaign TEXT NOT NULL,
  fact TEXT NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  at INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (contact_id, campaign, fact)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trigger_facts_at ON trigger_facts (at);
-- When products ran out and were there again; back_at is 0 while one is out.
CREATE TABLE IF NOT EXISTS stock_turns (
  shop_id INTEGER NOT NULL,
  product_id TEXT NOT NULL,
  out_at INTEGER NOT NULL,
  back_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, product_id, out_at)
) WITHOUT ROWID;
-- Web services to be called: at least once, in order per contact.
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER NOT NULL,
  campaign TEXT NOT NULL DEFAULT '',
  step TEXT NOT NULL DEFAULT '',
  contact_id INTEGER NOT NULL DEFAULT 0,
  occurrence TEXT NOT NULL DEFAULT '',
  lane INTEGER NOT NULL DEFAULT 0,
  enrolment_id INTEGER NOT NULL DEFAULT 0,
  audience_id INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL DEFAULT 0,
  next_at INTEGER NOT NULL DEFAULT 0,
  done_at INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS calls_campaign_step_contact_id_occurrence ON calls (campaign, step, contact_id, occurrence);
CREATE INDEX IF NOT EXISTS calls_lane_next_at ON calls (lane, next_at);
CREATE INDEX IF NOT EXISTS calls_contact_id ON calls (contact_id);
-- What Relance itself knows of a contact, as attributes relance.<name>.
CREATE TABLE IF NOT EXISTS contact_attributes (
  contact_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL DEFAULT '',
  set_by TEXT NOT NULL DEFAULT '',
  set_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, name)
) WITHOUT ROWID;
-- What became of a campaign's mails, by day (UTC): handed, delivered, bounced, complained, clicked, goal…
CREATE TABLE IF NOT EXISTS campaign_days (
  campaign TEXT NOT NULL,
  day TEXT NOT NULL,
  name TEXT NOT NULL,
  shard INTEGER NOT NULL,
  total INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, day, name, shard)
) WITHOUT ROWID;
-- Splits that are to have a winner; variant is '' until it is known.
CREATE TABLE IF NOT EXISTS split_winners (
  campaign TEXT NOT NULL,
  step TEXT NOT NULL,
  variant TEXT NOT NULL DEFAULT '',
  since_at INTEGER NOT NULL DEFAULT 0,
  looks INTEGER NOT NULL DEFAULT 0,
  decided_at INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (campaign, step)
) WITHOUT ROWID;
