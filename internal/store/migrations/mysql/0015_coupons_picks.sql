-- +goose Up
-- +goose NO TRANSACTION
-- What goes with a product ("product:<id>"), a brand, a category, or sells best ("all"): JSON, the best first.
CREATE TABLE IF NOT EXISTS pick_lists (
  shop_id BIGINT NOT NULL,
  scope VARCHAR(300) NOT NULL,
  size BIGINT NOT NULL DEFAULT 0,
  picks MEDIUMTEXT NOT NULL,
  computed_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, scope)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- When a shop's lists were last computed, and from how much.
CREATE TABLE IF NOT EXISTS pick_runs (
  shop_id BIGINT NOT NULL,
  computed_at BIGINT NOT NULL DEFAULT 0,
  buyers BIGINT NOT NULL DEFAULT 0,
  products BIGINT NOT NULL DEFAULT 0,
  pairs BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Codes, each for one run of one campaign. state is asked (the shop is being told to make it), free or given; lane
-- spreads them over processes; code_key is the code in small letters.
CREATE TABLE IF NOT EXISTS coupons (
  audience_id BIGINT NOT NULL,
  code_key VARCHAR(64) NOT NULL,
  code VARCHAR(64) NOT NULL DEFAULT '',
  list VARCHAR(150) NOT NULL DEFAULT '',
  lane BIGINT NOT NULL DEFAULT 0,
  state VARCHAR(16) NOT NULL DEFAULT '',
  worth VARCHAR(64) NOT NULL DEFAULT '',
  shop_id BIGINT NOT NULL DEFAULT 0,
  added_at BIGINT NOT NULL DEFAULT 0,
  campaign VARCHAR(64) NOT NULL DEFAULT '',
  contact_id BIGINT NOT NULL DEFAULT 0,
  occurrence VARCHAR(128) NOT NULL DEFAULT '',
  given_at BIGINT NOT NULL DEFAULT 0,
  expires VARCHAR(10) NOT NULL DEFAULT '',
  PRIMARY KEY (audience_id, code_key),
  KEY coupons_audience_id_list_state_lane (audience_id, list, state, lane),
  KEY coupons_contact_id (contact_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Codes that orders used, in small letters.
CREATE TABLE IF NOT EXISTS order_coupons (
  shop_id BIGINT NOT NULL,
  order_id VARCHAR(64) NOT NULL,
  code_key VARCHAR(64) NOT NULL,
  PRIMARY KEY (shop_id, order_id, code_key),
  KEY order_coupons_code_key (code_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
