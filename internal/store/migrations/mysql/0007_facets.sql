-- +goose Up
-- +goose NO TRANSACTION
-- Stock where a shop keeps it apart from the product.
CREATE TABLE IF NOT EXISTS stocks (
  shop_id BIGINT NOT NULL,
  id VARCHAR(64) NOT NULL,
  in_stock BIGINT NOT NULL DEFAULT 0,
  stock BIGINT NULL,
  hash BINARY(16) NULL,
  observed_at BIGINT NOT NULL DEFAULT 0,
  gone_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- What somebody did: written once, never changed.
CREATE TABLE IF NOT EXISTS events (
  shop_id BIGINT NOT NULL,
  id VARCHAR(128) NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  name VARCHAR(64) NOT NULL DEFAULT '',
  customer_id VARCHAR(64) NOT NULL DEFAULT '',
  email VARCHAR(320) NOT NULL DEFAULT '',
  email_norm VARCHAR(320) NOT NULL DEFAULT '',
  happened_at BIGINT NOT NULL DEFAULT 0,
  properties MEDIUMTEXT NOT NULL,
  product_id VARCHAR(64) NOT NULL DEFAULT '',
  hash BINARY(16) NULL,
  observed_at BIGINT NOT NULL DEFAULT 0,
  gone_at BIGINT NOT NULL DEFAULT 0,
  erased_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id),
  KEY events_contact_id_happened_at (contact_id, happened_at),
  KEY events_shop_id_customer_id (shop_id, customer_id),
  KEY events_shop_id_product_id_name_id (shop_id, product_id, name, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- What a person said of mail to them, with its proof: written once, never changed.
CREATE TABLE IF NOT EXISTS statements (
  shop_id BIGINT NOT NULL,
  id VARCHAR(128) NOT NULL,
  contact_id BIGINT NOT NULL DEFAULT 0,
  customer_id VARCHAR(64) NOT NULL DEFAULT '',
  email VARCHAR(320) NOT NULL DEFAULT '',
  email_norm VARCHAR(320) NOT NULL DEFAULT '',
  topic VARCHAR(64) NOT NULL DEFAULT '',
  channel VARCHAR(16) NOT NULL DEFAULT '',
  state VARCHAR(16) NOT NULL DEFAULT '',
  basis VARCHAR(16) NOT NULL DEFAULT '',
  stated_at BIGINT NOT NULL DEFAULT 0,
  text_shown MEDIUMTEXT NOT NULL,
  source VARCHAR(255) NOT NULL DEFAULT '',
  ip VARCHAR(64) NOT NULL DEFAULT '',
  hash BINARY(16) NULL,
  observed_at BIGINT NOT NULL DEFAULT 0,
  gone_at BIGINT NOT NULL DEFAULT 0,
  erased_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id),
  KEY statements_contact_id (contact_id),
  KEY statements_shop_id_customer_id (shop_id, customer_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Carts that became an order: such a cart never opens again. Rows are only ever added.
CREATE TABLE IF NOT EXISTS ordered_carts (
  shop_id BIGINT NOT NULL,
  id VARCHAR(64) NOT NULL,
  ordered_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- Contacts still to be marked because the catalogue or their shop was defined anew.
CREATE TABLE IF NOT EXISTS fanouts (
  shop_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  id VARCHAR(64) NOT NULL,
  generation BIGINT NOT NULL DEFAULT 0,
  part BIGINT NOT NULL DEFAULT 0,
  after_id VARCHAR(255) NOT NULL DEFAULT '',
  source_at BIGINT NOT NULL DEFAULT 0,
  since BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, kind, id),
  KEY fanouts_since (since)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE OR REPLACE VIEW mirror_v1_products AS SELECT
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
  CAST(CASE WHEN p.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN p.price WHEN p.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (p.price)/1000 WHEN p.currency IN ('CLF','UYW') THEN (p.price)/10000 ELSE (p.price)/100 END AS DECIMAL(24,4)) AS price,
  COALESCE(k.in_stock, p.in_stock) AS in_stock,
  CASE WHEN k.id IS NULL THEN p.stock ELSE k.stock END AS stock,
  p.brand,
  CASE WHEN p.modified_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, p.modified_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS modified_at
FROM products p JOIN shops s ON s.id=p.shop_id LEFT JOIN stocks k ON k.shop_id=p.shop_id AND k.id=p.id AND k.gone_at=0 WHERE p.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_stocks AS SELECT
  s.name AS shop,
  k.id AS product_id,
  k.in_stock,
  k.stock
FROM stocks k JOIN shops s ON s.id=k.shop_id WHERE k.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_events AS SELECT
  s.name AS shop,
  e.id,
  e.contact_id,
  e.customer_id,
  e.email,
  e.name,
  CASE WHEN e.happened_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, e.happened_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS happened_at,
  e.properties
FROM events e JOIN shops s ON s.id=e.shop_id WHERE e.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_statements AS SELECT
  s.name AS shop,
  x.id,
  x.contact_id,
  x.customer_id,
  x.email,
  x.topic,
  x.channel,
  x.state,
  x.basis,
  CASE WHEN x.stated_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, x.stated_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS stated_at,
  x.text_shown,
  x.source,
  x.ip
FROM statements x JOIN shops s ON s.id=x.shop_id WHERE x.gone_at=0;
