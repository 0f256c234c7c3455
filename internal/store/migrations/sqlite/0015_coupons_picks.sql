-- +goose Up
-- What goes with a product ("product:<id>"), a brand, a category, or sells best ("all"): JSON, the best first.
CREATE TABLE IF NOT EXISTS pick_lists (
  shop_id INTEGER NOT NULL,
  scope TEXT NOT NULL,
  size INTEGER NOT NULL DEFAULT 0,
  picks TEXT NOT NULL,
  computed_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, scope)
) WITHOUT ROWID;
-- When a shop's lists were last computed, and from how much.
CREATE TABLE IF NOT EXISTS pick_runs (
  shop_id INTEGER NOT NULL,
  computed_at INTEGER NOT NULL DEFAULT 0,
  buyers INTEGER NOT NULL DEFAULT 0,
  products INTEGER NOT NULL DEFAULT 0,
  pairs INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id)
);
-- Codes, each for one run of one campaign. state is asked (the shop is being told to make it), free or given; lane
-- spreads them over processes; code_key is the code in small letters.
CREATE TABLE IF NOT EXISTS coupons (
  audience_id INTEGER NOT NULL,
  code_key TEXT NOT NULL,
  code TEXT NOT NULL DEFAULT '',
  list TEXT NOT NULL DEFAULT '',
  lane INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  worth TEXT NOT NULL DEFAULT '',
  shop_id INTEGER NOT NULL DEFAULT 0,
  added_at INTEGER NOT NULL DEFAULT 0,
  campaign TEXT NOT NULL DEFAULT '',
  contact_id INTEGER NOT NULL DEFAULT 0,
  occurrence TEXT NOT NULL DEFAULT '',
  given_at INTEGER NOT NULL DEFAULT 0,
  expires TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (audience_id, code_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS coupons_audience_id_list_state_lane ON coupons (audience_id, list, state, lane);
CREATE INDEX IF NOT EXISTS coupons_contact_id ON coupons (contact_id);
-- Codes that orders used, in small letters.
CREATE TABLE IF NOT EXISTS order_coupons (
  shop_id INTEGER NOT NULL,
  order_id TEXT NOT NULL,
  code_key TEXT NOT NULL,
  PRIMARY KEY (shop_id, order_id, code_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS order_coupons_code_key ON order_coupons (code_key);
