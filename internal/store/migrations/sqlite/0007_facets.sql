-- +goose Up
-- Stock where a shop keeps it apart from the product.
CREATE TABLE IF NOT EXISTS stocks (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  in_stock INTEGER NOT NULL DEFAULT 0,
  stock INTEGER NULL,
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
-- What somebody did: written once, never changed.
CREATE TABLE IF NOT EXISTS events (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  name TEXT NOT NULL DEFAULT '',
  customer_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  happened_at INTEGER NOT NULL DEFAULT 0,
  properties TEXT NOT NULL DEFAULT '',
  product_id TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_contact_id_happened_at ON events (contact_id, happened_at);
CREATE INDEX IF NOT EXISTS events_shop_id_customer_id ON events (shop_id, customer_id);
CREATE INDEX IF NOT EXISTS events_shop_id_product_id_name_id ON events (shop_id, product_id, name, id);
-- What a person said of mail to them, with its proof: written once, never changed.
CREATE TABLE IF NOT EXISTS statements (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  contact_id INTEGER NOT NULL DEFAULT 0,
  customer_id TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  email_norm TEXT NOT NULL DEFAULT '',
  topic TEXT NOT NULL DEFAULT '',
  channel TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  basis TEXT NOT NULL DEFAULT '',
  stated_at INTEGER NOT NULL DEFAULT 0,
  text_shown TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  ip TEXT NOT NULL DEFAULT '',
  hash BLOB NULL,
  observed_at INTEGER NOT NULL DEFAULT 0,
  gone_at INTEGER NOT NULL DEFAULT 0,
  erased_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS statements_contact_id ON statements (contact_id);
CREATE INDEX IF NOT EXISTS statements_shop_id_customer_id ON statements (shop_id, customer_id);
-- Carts that became an order: such a cart never opens again. Rows are only ever added.
CREATE TABLE IF NOT EXISTS ordered_carts (
  shop_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  ordered_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) WITHOUT ROWID;
-- Contacts still to be marked because the catalogue or their shop was defined anew.
CREATE TABLE IF NOT EXISTS fanouts (
  shop_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0,
  part INTEGER NOT NULL DEFAULT 0,
  after_id TEXT NOT NULL DEFAULT '',
  source_at INTEGER NOT NULL DEFAULT 0,
  since INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fanouts_since ON fanouts (since);
CREATE VIEW IF NOT EXISTS mirror_v1_products AS SELECT
  s.name AS shop,
  p.id,
  p.parent_id,
  p.name,
  p.sku,
  p.type,
  p.status,
  p.url,
  p.image_url,
  p.currency,
  CASE WHEN p.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', p.price) WHEN p.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN p.price<0 THEN '-' ELSE '' END, abs(p.price)/1000, abs(p.price)%1000) WHEN p.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN p.price<0 THEN '-' ELSE '' END, abs(p.price)/10000, abs(p.price)%10000) ELSE printf('%s%d.%02d', CASE WHEN p.price<0 THEN '-' ELSE '' END, abs(p.price)/100, abs(p.price)%100) END AS price,
  COALESCE(k.in_stock, p.in_stock) AS in_stock,
  CASE WHEN k.id IS NULL THEN p.stock ELSE k.stock END AS stock,
  p.brand,
  CASE WHEN p.modified_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', p.modified_at/1000.0, 'unixepoch') END AS modified_at
FROM products p JOIN shops s ON s.id=p.shop_id LEFT JOIN stocks k ON k.shop_id=p.shop_id AND k.id=p.id AND k.gone_at=0 WHERE p.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_stocks AS SELECT
  s.name AS shop,
  k.id AS product_id,
  k.in_stock,
  k.stock
FROM stocks k JOIN shops s ON s.id=k.shop_id WHERE k.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_events AS SELECT
  s.name AS shop,
  e.id,
  e.contact_id,
  e.customer_id,
  e.email,
  e.name,
  CASE WHEN e.happened_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', e.happened_at/1000.0, 'unixepoch') END AS happened_at,
  e.properties
FROM events e JOIN shops s ON s.id=e.shop_id WHERE e.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_statements AS SELECT
  s.name AS shop,
  x.id,
  x.contact_id,
  x.customer_id,
  x.email,
  x.topic,
  x.channel,
  x.state,
  x.basis,
  CASE WHEN x.stated_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', x.stated_at/1000.0, 'unixepoch') END AS stated_at,
  x.text_shown,
  x.source,
  x.ip
FROM statements x JOIN shops s ON s.id=x.shop_id WHERE x.gone_at=0;
