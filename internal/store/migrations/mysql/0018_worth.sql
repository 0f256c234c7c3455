-- +goose Up
-- Contacts whose orders are to be looked at again: which mail brought them, and what they are worth now.
CREATE TABLE IF NOT EXISTS worth_marks (
  contact_id BIGINT NOT NULL,
  lane BIGINT NOT NULL DEFAULT 0,
  generation BIGINT NOT NULL DEFAULT 0,
  due_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id),
  KEY worth_marks_lane_due_at (lane, due_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Orders that a mail brought. how is code or click; counted is 1 for the first order of a purchase, 0 for its others;
-- revenue is total less refunds, as last seen, in minor units of currency. contact_id is 0 once the person is erased.
CREATE TABLE IF NOT EXISTS attributed_orders (
  shop_id BIGINT NOT NULL,
  order_id VARCHAR(64) NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  send_id BIGINT NOT NULL DEFAULT 0,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  step VARCHAR(64) NOT NULL DEFAULT '',
  variants VARCHAR(500) NOT NULL DEFAULT '',
  how VARCHAR(16) NOT NULL DEFAULT '',
  placed_at BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(8) NOT NULL DEFAULT '',
  revenue BIGINT NOT NULL DEFAULT 0,
  counted BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, order_id),
  KEY attributed_orders_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Carts that were ordered after a mail about them; revenue is what was in the cart, placed_at when it was ordered.
CREATE TABLE IF NOT EXISTS recovered_carts (
  shop_id BIGINT NOT NULL,
  cart_id VARCHAR(64) NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  lane BIGINT NOT NULL DEFAULT 0,
  send_id BIGINT NOT NULL DEFAULT 0,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  step VARCHAR(64) NOT NULL DEFAULT '',
  variants VARCHAR(500) NOT NULL DEFAULT '',
  how VARCHAR(16) NOT NULL DEFAULT '',
  placed_at BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(8) NOT NULL DEFAULT '',
  revenue BIGINT NOT NULL DEFAULT 0,
  counted BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, cart_id),
  KEY recovered_carts_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- The same added up, by campaign, step, variants and currency; what is order or cart.
CREATE TABLE IF NOT EXISTS attributed_counts (
  campaign VARCHAR(64) NOT NULL,
  step VARCHAR(64) NOT NULL,
  variants VARCHAR(500) NOT NULL,
  what VARCHAR(16) NOT NULL,
  currency VARCHAR(8) NOT NULL,
  shard BIGINT NOT NULL,
  number BIGINT NOT NULL DEFAULT 0,
  amount BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign, step, variants, what, currency, shard)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- The last comparison of who was mailed with who was held out; span is how long after it a purchase counts.
CREATE TABLE IF NOT EXISTS campaign_lifts (
  campaign VARCHAR(64) NOT NULL,
  computed_at BIGINT NOT NULL DEFAULT 0,
  span BIGINT NOT NULL DEFAULT 0,
  from_at BIGINT NOT NULL DEFAULT 0,
  until_at BIGINT NOT NULL DEFAULT 0,
  currency VARCHAR(8) NOT NULL DEFAULT '',
  mailed BIGINT NOT NULL DEFAULT 0,
  mailed_buyers BIGINT NOT NULL DEFAULT 0,
  mailed_revenue BIGINT NOT NULL DEFAULT 0,
  held BIGINT NOT NULL DEFAULT 0,
  held_buyers BIGINT NOT NULL DEFAULT 0,
  held_revenue BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (campaign)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
