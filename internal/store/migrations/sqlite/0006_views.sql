-- +goose Up
-- The public schema (docs/mirror.md): live rows with readable UTC times and decimal amounts. Columns are only ever added.
-- Amounts are texts with the currency's own decimals: SQLite has no exact decimal numbers.
CREATE VIEW IF NOT EXISTS mirror_v1_contacts AS SELECT
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
  CASE WHEN c.registered_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', c.registered_at/1000.0, 'unixepoch') END AS registered_at,
  CASE WHEN c.created_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', c.created_at/1000.0, 'unixepoch') END AS created_at
FROM contacts c LEFT JOIN audiences a ON a.id=c.audience_id LEFT JOIN shops s ON s.id=c.home_shop_id WHERE c.live=1;
CREATE VIEW IF NOT EXISTS mirror_v1_customers AS SELECT
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
  CASE WHEN c.registered_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', c.registered_at/1000.0, 'unixepoch') END AS registered_at,
  CASE WHEN c.modified_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', c.modified_at/1000.0, 'unixepoch') END AS modified_at,
  c.attributes
FROM customers c JOIN shops s ON s.id=c.shop_id LEFT JOIN addresses d ON d.shop_id=c.shop_id AND d.kind='customer' AND d.id=c.id AND d.gone_at=0 WHERE c.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_orders AS SELECT
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
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.goods) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.goods<0 THEN '-' ELSE '' END, abs(o.goods)/1000, abs(o.goods)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.goods<0 THEN '-' ELSE '' END, abs(o.goods)/10000, abs(o.goods)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.goods<0 THEN '-' ELSE '' END, abs(o.goods)/100, abs(o.goods)%100) END AS goods,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.shipping) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.shipping<0 THEN '-' ELSE '' END, abs(o.shipping)/1000, abs(o.shipping)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.shipping<0 THEN '-' ELSE '' END, abs(o.shipping)/10000, abs(o.shipping)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.shipping<0 THEN '-' ELSE '' END, abs(o.shipping)/100, abs(o.shipping)%100) END AS shipping,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.tax) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.tax<0 THEN '-' ELSE '' END, abs(o.tax)/1000, abs(o.tax)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.tax<0 THEN '-' ELSE '' END, abs(o.tax)/10000, abs(o.tax)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.tax<0 THEN '-' ELSE '' END, abs(o.tax)/100, abs(o.tax)%100) END AS tax,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.discount) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.discount<0 THEN '-' ELSE '' END, abs(o.discount)/1000, abs(o.discount)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.discount<0 THEN '-' ELSE '' END, abs(o.discount)/10000, abs(o.discount)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.discount<0 THEN '-' ELSE '' END, abs(o.discount)/100, abs(o.discount)%100) END AS discount,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.total) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.total<0 THEN '-' ELSE '' END, abs(o.total)/1000, abs(o.total)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.total<0 THEN '-' ELSE '' END, abs(o.total)/10000, abs(o.total)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.total<0 THEN '-' ELSE '' END, abs(o.total)/100, abs(o.total)%100) END AS total,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.refunded) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.refunded<0 THEN '-' ELSE '' END, abs(o.refunded)/1000, abs(o.refunded)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.refunded<0 THEN '-' ELSE '' END, abs(o.refunded)/10000, abs(o.refunded)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.refunded<0 THEN '-' ELSE '' END, abs(o.refunded)/100, abs(o.refunded)%100) END AS refunded,
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', (o.total-o.refunded)) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN (o.total-o.refunded)<0 THEN '-' ELSE '' END, abs((o.total-o.refunded))/1000, abs((o.total-o.refunded))%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN (o.total-o.refunded)<0 THEN '-' ELSE '' END, abs((o.total-o.refunded))/10000, abs((o.total-o.refunded))%10000) ELSE printf('%s%d.%02d', CASE WHEN (o.total-o.refunded)<0 THEN '-' ELSE '' END, abs((o.total-o.refunded))/100, abs((o.total-o.refunded))%100) END AS revenue,
  CASE WHEN o.placed_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', o.placed_at/1000.0, 'unixepoch') END AS placed_at,
  CASE WHEN o.paid_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', o.paid_at/1000.0, 'unixepoch') END AS paid_at,
  CASE WHEN o.completed_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', o.completed_at/1000.0, 'unixepoch') END AS completed_at,
  CASE WHEN o.cancelled_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', o.cancelled_at/1000.0, 'unixepoch') END AS cancelled_at,
  CASE WHEN o.modified_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', o.modified_at/1000.0, 'unixepoch') END AS modified_at,
  o.country,
  o.region,
  o.city,
  o.via,
  o.coupons,
  o.attribution,
  o.base_currency,
  CASE WHEN o.base_currency='' THEN NULL ELSE CASE WHEN o.base_currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', o.base_total) WHEN o.base_currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN o.base_total<0 THEN '-' ELSE '' END, abs(o.base_total)/1000, abs(o.base_total)%1000) WHEN o.base_currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN o.base_total<0 THEN '-' ELSE '' END, abs(o.base_total)/10000, abs(o.base_total)%10000) ELSE printf('%s%d.%02d', CASE WHEN o.base_total<0 THEN '-' ELSE '' END, abs(o.base_total)/100, abs(o.base_total)%100) END END AS base_total,
  CASE WHEN o.purchase='' THEN o.id ELSE o.purchase END AS purchase,
  o.cart_id
FROM orders o JOIN shops s ON s.id=o.shop_id WHERE o.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_order_lines AS SELECT
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
  CASE WHEN o.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', l.total) WHEN o.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/1000, abs(l.total)%1000) WHEN o.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/10000, abs(l.total)%10000) ELSE printf('%s%d.%02d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/100, abs(l.total)%100) END AS total,
  l.image_url
FROM order_lines l JOIN orders o ON o.shop_id=l.shop_id AND o.id=l.order_id JOIN shops s ON s.id=l.shop_id WHERE o.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_refunds AS SELECT
  s.name AS shop,
  r.id,
  r.order_id,
  COALESCE(o.contact_id,0) AS contact_id,
  r.currency,
  CASE WHEN r.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', r.amount) WHEN r.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN r.amount<0 THEN '-' ELSE '' END, abs(r.amount)/1000, abs(r.amount)%1000) WHEN r.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN r.amount<0 THEN '-' ELSE '' END, abs(r.amount)/10000, abs(r.amount)%10000) ELSE printf('%s%d.%02d', CASE WHEN r.amount<0 THEN '-' ELSE '' END, abs(r.amount)/100, abs(r.amount)%100) END AS amount,
  r.reason,
  CASE WHEN r.refunded_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', r.refunded_at/1000.0, 'unixepoch') END AS refunded_at
FROM refunds r JOIN shops s ON s.id=r.shop_id LEFT JOIN orders o ON o.shop_id=r.shop_id AND o.id=r.order_id WHERE r.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_carts AS SELECT
  s.name AS shop,
  k.id,
  k.contact_id,
  k.customer_id,
  k.email,
  k.first_name,
  k.last_name,
  k.currency,
  CASE WHEN k.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', k.total) WHEN k.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN k.total<0 THEN '-' ELSE '' END, abs(k.total)/1000, abs(k.total)%1000) WHEN k.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN k.total<0 THEN '-' ELSE '' END, abs(k.total)/10000, abs(k.total)%10000) ELSE printf('%s%d.%02d', CASE WHEN k.total<0 THEN '-' ELSE '' END, abs(k.total)/100, abs(k.total)%100) END AS total,
  CASE WHEN k.created_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', k.created_at/1000.0, 'unixepoch') END AS created_at,
  CASE WHEN k.active_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', k.active_at/1000.0, 'unixepoch') END AS active_at,
  CASE WHEN k.closed_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', k.closed_at/1000.0, 'unixepoch') END AS closed_at,
  k.closed_by,
  k.recover_url,
  k.country
FROM carts k JOIN shops s ON s.id=k.shop_id WHERE k.gone_at=0 AND k.closed_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_cart_lines AS SELECT
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
  CASE WHEN k.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', l.total) WHEN k.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/1000, abs(l.total)%1000) WHEN k.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/10000, abs(l.total)%10000) ELSE printf('%s%d.%02d', CASE WHEN l.total<0 THEN '-' ELSE '' END, abs(l.total)/100, abs(l.total)%100) END AS total,
  l.image_url
FROM cart_lines l JOIN carts k ON k.shop_id=l.shop_id AND k.id=l.cart_id JOIN shops s ON s.id=l.shop_id WHERE k.gone_at=0 AND k.closed_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_product_categories AS SELECT
  s.name AS shop,
  g.product_id,
  g.category_id,
  COALESCE(y.name,'') AS name,
  COALESCE(y.slug,'') AS slug,
  COALESCE(y.parent_id,'') AS parent_id
FROM product_categories g JOIN products p ON p.shop_id=g.shop_id AND p.id=g.product_id JOIN shops s ON s.id=g.shop_id LEFT JOIN categories y ON y.shop_id=g.shop_id AND y.id=g.category_id WHERE p.gone_at=0;
CREATE VIEW IF NOT EXISTS mirror_v1_consents AS SELECT
  n.contact_id,
  n.topic,
  n.channel,
  n.state,
  n.basis,
  n.source,
  CASE WHEN n.source_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', n.source_at/1000.0, 'unixepoch') END AS source_at,
  CASE WHEN n.seen_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', n.seen_at/1000.0, 'unixepoch') END AS seen_at,
  CASE WHEN n.expires_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', n.expires_at/1000.0, 'unixepoch') END AS expires_at
FROM consent_state n JOIN contacts c ON c.id=n.contact_id;
CREATE VIEW IF NOT EXISTS mirror_v1_contact_stats AS SELECT
  x.contact_id,
  s.name AS shop,
  x.currency,
  x.orders,
  x.sales,
  CASE WHEN x.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', x.revenue) WHEN x.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN x.revenue<0 THEN '-' ELSE '' END, abs(x.revenue)/1000, abs(x.revenue)%1000) WHEN x.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN x.revenue<0 THEN '-' ELSE '' END, abs(x.revenue)/10000, abs(x.revenue)%10000) ELSE printf('%s%d.%02d', CASE WHEN x.revenue<0 THEN '-' ELSE '' END, abs(x.revenue)/100, abs(x.revenue)%100) END AS revenue,
  CASE WHEN x.currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN printf('%d', x.refunded) WHEN x.currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN printf('%s%d.%03d', CASE WHEN x.refunded<0 THEN '-' ELSE '' END, abs(x.refunded)/1000, abs(x.refunded)%1000) WHEN x.currency IN ('CLF','UYW') THEN printf('%s%d.%04d', CASE WHEN x.refunded<0 THEN '-' ELSE '' END, abs(x.refunded)/10000, abs(x.refunded)%10000) ELSE printf('%s%d.%02d', CASE WHEN x.refunded<0 THEN '-' ELSE '' END, abs(x.refunded)/100, abs(x.refunded)%100) END AS refunded,
  CASE WHEN x.first_placed_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', x.first_placed_at/1000.0, 'unixepoch') END AS first_placed_at,
  CASE WHEN x.last_placed_at=0 THEN NULL ELSE strftime('%Y-%m-%d %H:%M:%f', x.last_placed_at/1000.0, 'unixepoch') END AS last_placed_at,
  x.open_carts,
  x.left_out
FROM contact_stats x JOIN shops s ON s.id=x.shop_id JOIN contacts c ON c.id=x.contact_id WHERE c.live=1;
