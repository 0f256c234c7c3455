-- +goose Up
-- +goose NO TRANSACTION
-- The public schema (docs/mirror.md): live rows with readable UTC times and decimal amounts. Columns are only ever added.
CREATE OR REPLACE VIEW mirror_v1_contacts AS SELECT
  c.id,
  a.name AS audience,
  c.email,
  c.first_name,
  c.last_name,
  COALESCE(NULLIF(c.locale,''), s.locale, '') AS locale,
  c.country,
  c.region,
  c.city,
  COALESCE(NULLIF(c.zone,''), NULLIF(s.zone,''), 'UTC') AS zone,
  COALESCE(s.name,'') AS home_shop,
  c.birthday,
  CASE WHEN c.registered_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, c.registered_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS registered_at,
  CASE WHEN c.created_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, c.created_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS created_at
FROM contacts c LEFT JOIN audiences a ON a.id=c.audience_id LEFT JOIN shops s ON s.id=c.home_shop_id WHERE c.live=1;
CREATE OR REPLACE VIEW mirror_v1_customers AS SELECT
  s.name AS shop,
  c.id,
  c.contact_id,
  c.email,
  c.first_name,
  c.last_name,
  c.company,
  c.phone,
  c.role,
  c.locale,
  c.birthday,
  COALESCE(d.line1,'') AS line1,
  COALESCE(d.line2,'') AS line2,
  COALESCE(d.city,'') AS city,
  COALESCE(d.region,'') AS region,
  COALESCE(d.postcode,'') AS postcode,
  COALESCE(d.country,'') AS country,
  CASE WHEN c.registered_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, c.registered_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS registered_at,
  CASE WHEN c.modified_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, c.modified_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS modified_at,
  c.attributes
FROM customers c JOIN shops s ON s.id=c.shop_id LEFT JOIN addresses d ON d.shop_id=c.shop_id AND d.kind='customer' AND d.id=c.id AND d.gone_at=0 WHERE c.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_orders AS SELECT
  s.name AS shop,
  o.id,
  o.contact_id,
  o.number,
  o.customer_id,
  o.email,
  o.first_name,
  o.last_name,
  o.status,
  o.state,
  o.counts_as_sale,
  o.currency,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.goods WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.goods)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.goods)/10000 ELSE (o.goods)/100 END AS DECIMAL(24,4)) AS goods,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.shipping WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.shipping)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.shipping)/10000 ELSE (o.shipping)/100 END AS DECIMAL(24,4)) AS shipping,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.tax WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.tax)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.tax)/10000 ELSE (o.tax)/100 END AS DECIMAL(24,4)) AS tax,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.discount WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.discount)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.discount)/10000 ELSE (o.discount)/100 END AS DECIMAL(24,4)) AS discount,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.total WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.total)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.total)/10000 ELSE (o.total)/100 END AS DECIMAL(24,4)) AS total,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.refunded WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.refunded)/1000 WHEN o.currency IN ('CLF','UYW') THEN (o.refunded)/10000 ELSE (o.refunded)/100 END AS DECIMAL(24,4)) AS refunded,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN (o.total-o.refunded) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN ((o.total-o.refunded))/1000 WHEN o.currency IN ('CLF','UYW') THEN ((o.total-o.refunded))/10000 ELSE ((o.total-o.refunded))/100 END AS DECIMAL(24,4)) AS revenue,
  CASE WHEN o.placed_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, o.placed_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS placed_at,
  CASE WHEN o.paid_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, o.paid_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS paid_at,
  CASE WHEN o.completed_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, o.completed_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS completed_at,
  CASE WHEN o.cancelled_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, o.cancelled_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS cancelled_at,
  CASE WHEN o.modified_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, o.modified_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS modified_at,
  o.country,
  o.region,
  o.city,
  o.via,
  o.coupons,
  o.attribution,
  o.base_currency,
  CASE WHEN o.base_currency='' THEN NULL ELSE CAST(CASE WHEN o.base_currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN o.base_total WHEN o.base_currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (o.base_total)/1000 WHEN o.base_currency IN ('CLF','UYW') THEN (o.base_total)/10000 ELSE (o.base_total)/100 END AS DECIMAL(24,4)) END AS base_total,
  CASE WHEN o.purchase='' THEN o.id ELSE o.purchase END AS purchase,
  o.cart_id
FROM orders o JOIN shops s ON s.id=o.shop_id WHERE o.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_order_lines AS SELECT
  s.name AS shop,
  l.order_id,
  l.line_id,
  o.contact_id,
  l.product_id,
  l.variation_id,
  l.sku,
  l.name,
  l.quantity,
  o.currency,
  CAST(CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN l.total WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (l.total)/1000 WHEN o.currency IN ('CLF','UYW') THEN (l.total)/10000 ELSE (l.total)/100 END AS DECIMAL(24,4)) AS total,
  l.image_url
FROM order_lines l JOIN orders o ON o.shop_id=l.shop_id AND o.id=l.order_id JOIN shops s ON s.id=l.shop_id WHERE o.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_refunds AS SELECT
  s.name AS shop,
  r.id,
  r.order_id,
  COALESCE(o.contact_id,0) AS contact_id,
  r.currency,
  CAST(CASE WHEN r.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN r.amount WHEN r.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (r.amount)/1000 WHEN r.currency IN ('CLF','UYW') THEN (r.amount)/10000 ELSE (r.amount)/100 END AS DECIMAL(24,4)) AS amount,
  r.reason,
  CASE WHEN r.refunded_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, r.refunded_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS refunded_at
FROM refunds r JOIN shops s ON s.id=r.shop_id LEFT JOIN orders o ON o.shop_id=r.shop_id AND o.id=r.order_id WHERE r.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_carts AS SELECT
  s.name AS shop,
  k.id,
  k.contact_id,
  k.customer_id,
  k.email,
  k.first_name,
  k.last_name,
  k.currency,
  CAST(CASE WHEN k.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN k.total WHEN k.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (k.total)/1000 WHEN k.currency IN ('CLF','UYW') THEN (k.total)/10000 ELSE (k.total)/100 END AS DECIMAL(24,4)) AS total,
  CASE WHEN k.created_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, k.created_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS created_at,
  CASE WHEN k.active_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, k.active_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS active_at,
  CASE WHEN k.closed_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, k.closed_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS closed_at,
  k.closed_by,
  k.recover_url,
  k.country
FROM carts k JOIN shops s ON s.id=k.shop_id WHERE k.gone_at=0 AND k.closed_at=0;
CREATE OR REPLACE VIEW mirror_v1_cart_lines AS SELECT
  s.name AS shop,
  l.cart_id,
  l.line_id,
  k.contact_id,
  l.product_id,
  l.variation_id,
  l.sku,
  l.name,
  l.quantity,
  k.currency,
  CAST(CASE WHEN k.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN l.total WHEN k.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (l.total)/1000 WHEN k.currency IN ('CLF','UYW') THEN (l.total)/10000 ELSE (l.total)/100 END AS DECIMAL(24,4)) AS total,
  l.image_url
FROM cart_lines l JOIN carts k ON k.shop_id=l.shop_id AND k.id=l.cart_id JOIN shops s ON s.id=l.shop_id WHERE k.gone_at=0 AND k.closed_at=0;
CREATE OR REPLACE VIEW mirror_v1_product_categories AS SELECT
  s.name AS shop,
  g.product_id,
  g.category_id,
  COALESCE(y.name,'') AS name,
  COALESCE(y.slug,'') AS slug,
  COALESCE(y.parent_id,'') AS parent_id
FROM product_categories g JOIN products p ON p.shop_id=g.shop_id AND p.id=g.product_id JOIN shops s ON s.id=g.shop_id LEFT JOIN categories y ON y.shop_id=g.shop_id AND y.id=g.category_id WHERE p.gone_at=0;
CREATE OR REPLACE VIEW mirror_v1_consents AS SELECT
  n.contact_id,
  n.topic,
  n.channel,
  n.state,
  n.basis,
  n.source,
  CASE WHEN n.source_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, n.source_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS source_at,
  CASE WHEN n.seen_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, n.seen_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS seen_at,
  CASE WHEN n.expires_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, n.expires_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS expires_at
FROM consent_state n JOIN contacts c ON c.id=n.contact_id;
CREATE OR REPLACE VIEW mirror_v1_contact_stats AS SELECT
  x.contact_id,
  s.name AS shop,
  x.currency,
  x.orders,
  x.sales,
  CAST(CASE WHEN x.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN x.revenue WHEN x.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (x.revenue)/1000 WHEN x.currency IN ('CLF','UYW') THEN (x.revenue)/10000 ELSE (x.revenue)/100 END AS DECIMAL(24,4)) AS revenue,
  CAST(CASE WHEN x.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN x.refunded WHEN x.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN (x.refunded)/1000 WHEN x.currency IN ('CLF','UYW') THEN (x.refunded)/10000 ELSE (x.refunded)/100 END AS DECIMAL(24,4)) AS refunded,
  CASE WHEN x.first_placed_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, x.first_placed_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS first_placed_at,
  CASE WHEN x.last_placed_at=0 THEN NULL ELSE TIMESTAMPADD(MICROSECOND, x.last_placed_at*1000, TIMESTAMP'1970-01-01 00:00:00') END AS last_placed_at,
  x.open_carts,
  x.left_out
FROM contact_stats x JOIN shops s ON s.id=x.shop_id JOIN contacts c ON c.id=x.contact_id WHERE c.live=1;
