-- +goose Up
-- People, what they bought, what they were about to buy, and the catalogue. Every table of a facet carries
-- hash, observed_at (order of facts) and gone_at (0 = there).
CREATE TABLE IF NOT EXISTS contacts (
  id INTEGER NOT NULL,
  audience_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  first_name TEXT NOT NULL DEFAULT '',
  last_name TEXT NOT NULL DEFAULT '',
  locale TEXT NOT NULL DEFAULT '',
  country TEXT NOT NULL DEFAULT '',
  region TEXT NOT NULL DEFAULT '',
  city TEXT NOT NULL DEFAULT '',
  zone TEXT NOT NULL DEFAULT '',
  home_shop_id INTEGER NOT NULL DEFAULT 0,
  birthday TEXT NOT NULL DEFAULT '',
  registered_at INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL DEFAULT 0,
  live INTEGER NOT NULL DEFAULT 0,
  merged_into INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS contacts_audience_id_email_norm ON contacts (audience_id, email_norm);
CREATE INDEX IF NOT EXISTS contacts_lane_id ON contacts (lane, id);
CREATE INDEX IF NOT EXISTS contacts_zone ON contacts (zone);
CREATE TABLE IF NOT EXISTS customers (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  first_name TEXT NOT NULL DEFAULT '',
  last_name TEXT NOT NULL DEFAULT '',
  company TEXT NOT NULL DEFAULT '',
  phone TEXT NOT NULL DEFAULT '',
  role TEXT NOT NULL DEFAULT '',
  locale TEXT NOT NULL DEFAULT '',
  birthday TEXT NOT NULL DEFAULT '',
  registered_at INTEGER NOT NULL DEFAULT 0,
  modified_at INTEGER NOT NULL DEFAULT 0,
  attributes TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS customers_contact_id ON customers (contact_id);
CREATE TABLE IF NOT EXISTS addresses (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  line1 TEXT NOT NULL DEFAULT '',
  line2 TEXT NOT NULL DEFAULT '',
  city TEXT NOT NULL DEFAULT '',
  region TEXT NOT NULL DEFAULT '',
  postcode TEXT NOT NULL DEFAULT '',
  country TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS optins (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  topic TEXT NOT NULL,
  channel TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  value TEXT NOT NULL DEFAULT '',
  no_means TEXT NOT NULL DEFAULT '',
  source_at INTEGER NOT NULL DEFAULT 0,
  email_norm TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id, topic, channel)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS optins_contact_id ON optins (contact_id);
CREATE TABLE IF NOT EXISTS orders (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  number TEXT NOT NULL DEFAULT '',
  customer_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  first_name TEXT NOT NULL DEFAULT '',
  last_name TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  counts_as_sale INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  goods INTEGER NOT NULL DEFAULT 0,
  shipping INTEGER NOT NULL DEFAULT 0,
  tax INTEGER NOT NULL DEFAULT 0,
  discount INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  total_raw TEXT NOT NULL DEFAULT '',
  refunded INTEGER NOT NULL DEFAULT 0,
  base_currency TEXT NOT NULL DEFAULT '',
  base_total INTEGER NOT NULL DEFAULT 0,
  purchase TEXT NOT NULL DEFAULT '',
  cart_id TEXT NOT NULL DEFAULT '',
  placed_at INTEGER NOT NULL DEFAULT 0,
  paid_at INTEGER NOT NULL DEFAULT 0,
  completed_at INTEGER NOT NULL DEFAULT 0,
  cancelled_at INTEGER NOT NULL DEFAULT 0,
  modified_at INTEGER NOT NULL DEFAULT 0,
  became_paid_at INTEGER NOT NULL DEFAULT 0,
  became_shipped_at INTEGER NOT NULL DEFAULT 0,
  became_cancelled_at INTEGER NOT NULL DEFAULT 0,
  became_refunded_at INTEGER NOT NULL DEFAULT 0,
  country TEXT NOT NULL DEFAULT '',
  region TEXT NOT NULL DEFAULT '',
  city TEXT NOT NULL DEFAULT '',
  via TEXT NOT NULL DEFAULT '',
  coupons TEXT NOT NULL DEFAULT '',
  attribution TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_contact_id_placed_at ON orders (contact_id, placed_at);
CREATE INDEX IF NOT EXISTS orders_shop_id_customer_id ON orders (shop_id, customer_id);
CREATE TABLE IF NOT EXISTS order_lines (
  shop_id INTEGER NOT NULL,
  order_id TEXT NOT NULL,
  line_id TEXT NOT NULL,
  product_id TEXT NOT NULL DEFAULT '',
  variation_id TEXT NOT NULL DEFAULT '',
  sku TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  quantity INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  image_url TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, order_id, line_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS order_lines_shop_id_product_id ON order_lines (shop_id, product_id);
CREATE TABLE IF NOT EXISTS refunds (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  order_id TEXT NOT NULL DEFAULT '',
  amount INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  refunded_at INTEGER NOT NULL DEFAULT 0,
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refunds_shop_id_order_id ON refunds (shop_id, order_id);
CREATE TABLE IF NOT EXISTS refund_lines (
  shop_id INTEGER NOT NULL,
  refund_id TEXT NOT NULL,
  line_id TEXT NOT NULL,
  product_id TEXT NOT NULL DEFAULT '',
  variation_id TEXT NOT NULL DEFAULT '',
  sku TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  quantity INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  image_url TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, refund_id, line_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS carts (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  customer_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  first_name TEXT NOT NULL DEFAULT '',
  last_name TEXT NOT NULL DEFAULT '',
  currency TEXT NOT NULL DEFAULT '',
  total INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL DEFAULT 0,
  active_at INTEGER NOT NULL DEFAULT 0,
  closed_at INTEGER NOT NULL DEFAULT 0,
  closed_by TEXT NOT NULL DEFAULT '',
  recover_url TEXT NOT NULL DEFAULT '',
  country TEXT NOT NULL DEFAULT '',
  content TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS carts_contact_id_active_at ON carts (contact_id, active_at);
CREATE INDEX IF NOT EXISTS carts_shop_id_customer_id ON carts (shop_id, customer_id);
CREATE TABLE IF NOT EXISTS cart_lines (
  shop_id INTEGER NOT NULL,
  cart_id TEXT NOT NULL,
  line_id TEXT NOT NULL,
  product_id TEXT NOT NULL DEFAULT '',
  variation_id TEXT NOT NULL DEFAULT '',
  sku TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  quantity INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  image_url TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (shop_id, cart_id, line_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cart_lines_shop_id_product_id ON cart_lines (shop_id, product_id);
CREATE TABLE IF NOT EXISTS cart_versions (
  shop_id INTEGER NOT NULL,
  cart_id TEXT NOT NULL,
  hash BLOB NOT NULL,
  total INTEGER NOT NULL DEFAULT 0,
  items INTEGER NOT NULL DEFAULT 0,
  first_at INTEGER NOT NULL DEFAULT 0,
  last_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, cart_id, hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS products (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  sku TEXT NOT NULL DEFAULT '',
  type TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '',
  url TEXT NOT NULL DEFAULT '',
  image_url TEXT NOT NULL DEFAULT '',
  price INTEGER NOT NULL DEFAULT 0,
  currency TEXT NOT NULL DEFAULT '',
  in_stock INTEGER NOT NULL DEFAULT 0,
  stock INTEGER NULL,
  brand TEXT NOT NULL DEFAULT '',
  modified_at INTEGER NOT NULL DEFAULT 0,
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS products_shop_id_parent_id ON products (shop_id, parent_id);
CREATE TABLE IF NOT EXISTS product_categories (
  shop_id INTEGER NOT NULL,
  product_id TEXT NOT NULL,
  category_id TEXT NOT NULL,
  PRIMARY KEY (shop_id, product_id, category_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS product_categories_shop_id_category_id ON product_categories (shop_id, category_id);
CREATE TABLE IF NOT EXISTS categories (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  slug TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contact_stats (
  contact_id INTEGER NOT NULL,
  shop_id INTEGER NOT NULL,
  currency TEXT NOT NULL DEFAULT '',
  orders INTEGER NOT NULL DEFAULT 0,
  sales INTEGER NOT NULL DEFAULT 0,
  revenue INTEGER NOT NULL DEFAULT 0,
  refunded INTEGER NOT NULL DEFAULT 0,
  first_placed_at INTEGER NOT NULL DEFAULT 0,
  last_placed_at INTEGER NOT NULL DEFAULT 0,
  open_carts INTEGER NOT NULL DEFAULT 0,
  left_out INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, shop_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consents (
  id INTEGER NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  lane INTEGER NOT NULL DEFAULT 0,
  topic TEXT NOT NULL DEFAULT '',
  channel TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  basis TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  source_at INTEGER NOT NULL DEFAULT 0,
  seen_at INTEGER NOT NULL DEFAULT 0,
  text_shown TEXT NOT NULL DEFAULT '',
  ip TEXT NOT NULL DEFAULT '',
  expires_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS consents_contact_id ON consents (contact_id);
CREATE TABLE IF NOT EXISTS consent_state (
  contact_id INTEGER NOT NULL,
  topic TEXT NOT NULL,
  channel TEXT NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT '',
  basis TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  source_at INTEGER NOT NULL DEFAULT 0,
  seen_at INTEGER NOT NULL DEFAULT 0,
  expires_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (contact_id, topic, channel)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dirty (
  contact_id INTEGER NOT NULL,
  lane INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  source_at INTEGER NOT NULL DEFAULT 0,
  marked_at INTEGER NOT NULL DEFAULT 0,
  cause TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (contact_id)
);
CREATE INDEX IF NOT EXISTS dirty_lane_marked_at ON dirty (lane, marked_at);
CREATE INDEX IF NOT EXISTS dirty_lane_cause_marked_at ON dirty (lane, cause, marked_at);
