-- +goose Up
-- What providers and our own pages said of mails, as it came: stored before it is answered, digested by the owner of the
-- lane (the contact's; before that is known, one by the id's hash), and removed after a while.
CREATE TABLE IF NOT EXISTS provider_events (
  audience_id INTEGER NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT '',
  lane INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  received_at INTEGER NOT NULL DEFAULT 0,
  happened_at INTEGER NOT NULL DEFAULT 0,
  kind TEXT NOT NULL DEFAULT '',
  send_id INTEGER NOT NULL DEFAULT 0,
  contact_id INTEGER NOT NULL DEFAULT 0,
  message_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  url TEXT NOT NULL DEFAULT '',
  user_agent TEXT NOT NULL DEFAULT '',
  hard INTEGER NOT NULL DEFAULT 0,
  machine INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (audience_id, source, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS provider_events_state_lane_due_at ON provider_events (state, lane, due_at);
CREATE INDEX IF NOT EXISTS provider_events_received_at ON provider_events (received_at);
CREATE INDEX IF NOT EXISTS provider_events_contact_id ON provider_events (contact_id);
-- What became of mails: each delivery, opening, click… machine and why are the verdict on whether a person did it.
CREATE TABLE IF NOT EXISTS mail_events (
  id INTEGER NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  send_id INTEGER NOT NULL DEFAULT 0,
  campaign TEXT NOT NULL DEFAULT '',
  step TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL DEFAULT '',
  happened_at INTEGER NOT NULL DEFAULT 0,
  recorded_at INTEGER NOT NULL DEFAULT 0,
  machine INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT '',
  hard INTEGER NOT NULL DEFAULT 0,
  url TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS mail_events_contact_id_happened_at ON mail_events (contact_id, happened_at);
CREATE INDEX IF NOT EXISTS mail_events_send_id ON mail_events (send_id);
-- When events came in, by hour, and the newest mail that they spoke of: tells whether a mail without any was never sent.
CREATE TABLE IF NOT EXISTS event_flow (
  audience_id INTEGER NOT NULL,
  source TEXT NOT NULL,
  hour_at INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  newest_handed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (audience_id, source, hour_at, shard)
) WITHOUT ROWID;
