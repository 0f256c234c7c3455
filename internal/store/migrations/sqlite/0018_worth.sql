-- +goose Up
-- Contacts whose orders are to be looked at again: which mail brought them, and what they are worth now.
CREATE TABLE IF NOT EXISTS worth_marks (
  contact_id INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS worth_marks_lane_due_at ON worth_marks (lane, due_at);
-- Orders that a mail brought. how is code or click; counted is 1 for the first order of a purchase, 0 for its others;
-- revenue is total less refunds, as last seen, in minor units of currency. contact_id is 0 once the person is erased.
CREATE TABLE IF NOT EXISTS attributed_orders (
  shop_id INTEGER NOT NULL,
  order_id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  send_id INTEGER NOT NULL DEFAULT 0,
  campaign TEXT NOT NULL DEFAULT '',
  step TEXT NOT NULL DEFAULT '',
  variants TEXT NOT NULL DEFAULT '',
  how TEXT NOT NULL DEFAULT '',
  placed_at INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  revenue INTEGER NOT NULL DEFAULT 0,
  counted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, order_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attributed_orders_contact_id ON attributed_orders (contact_id);
-- Carts that were ordered after a mail about them; revenue is what was in the cart, placed_at when it was ordered.
CREATE TABLE IF NOT EXISTS recovered_carts (
  shop_id INTEGER NOT NULL,
  cart_id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  send_id INTEGER NOT NULL DEFAULT 0,
  campaign TEXT NOT NULL DEFAULT '',
  step TEXT NOT NULL DEFAULT '',
  variants TEXT NOT NULL DEFAULT '',
  how TEXT NOT NULL DEFAULT '',
  placed_at INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  revenue INTEGER NOT NULL DEFAULT 0,
  counted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, cart_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recovered_carts_contact_id ON recovered_carts (contact_id);
-- The same added up, by campaign, step, variants and currency; what is order or cart.
CREATE TABLE IF NOT EXISTS attributed_counts (
  campaign TEXT NOT NULL,
  step TEXT NOT NULL,
  variants TEXT NOT NULL,
  what TEXT NOT NULL,
  currency TEXT NOT NULL,
  shard INTEGER NOT NULL,
  number INTEGER NOT NULL DEFAULT 0,
  amount INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, step, variants, what, currency, shard)
) WITHOUT ROWID;
-- The last comparison of who was mailed with who was held out; span is how long after it a purchase counts.
CREATE TABLE IF NOT EXISTS campaign_lifts (
  campaign TEXT NOT NULL,
  computed_at INTEGER NOT NULL DEFAULT 0,
  span INTEGER NOT NULL DEFAULT 0,
  from_at INTEGER NOT NULL DEFAULT 0,
  until_at INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  mailed INTEGER NOT NULL DEFAULT 0,
  mailed_buyers INTEGER NOT NULL DEFAULT 0,
  mailed_revenue INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  held_buyers INTEGER NOT NULL DEFAULT 0,
  held_revenue INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign)
);
