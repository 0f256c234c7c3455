package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// RecordKey names a record of a shop: a product, an event.
type RecordKey struct {
	ShopID int64
	ID     string
}

// Offer is a product as the current catalogue has it. A variation without a picture, an address or a brand has its
// parent's; a product without a price has the lowest of its variations that can be bought.
type Offer struct {
	RecordKey

	ParentID string // of a variation; "" for others
	Name     string
	Brand    string
	URL      string
	ImageURL string
	Currency string
	Price    int64 // minor units of Currency; 0 = the shop says none
	InStock  bool
	Listed   bool // shown in the shop: published, and not deleted
}

// Family is the product that a variation belongs to, else the product itself: what counts as one for a buyer.
func (o Offer) Family() string { return cmp.Or(o.ParentID, o.ID) }

// Sold tells whether it can be bought now.
func (o Offer) Sold() bool { return o.Listed && o.InStock && o.Price > 0 && o.Name != "" }

const selectOffers = `SELECT p.shop_id, p.id, p.parent_id, p.name, p.brand, p.url, p.image_url, p.currency, p.price, COALESCE(k.in_stock, p.in_stock), p.status, p.gone_at
 FROM products p LEFT JOIN stocks k ON k.shop_id=p.shop_id AND k.id=p.id AND k.gone_at=0 WHERE p.shop_id IN (?) AND `

// listed tells the platforms' words for a product that customers see.
func listed(status string) bool {
	switch status {
	case "publish", "active", "enabled": // WooCommerce and pushed, PrestaShop, Magento
		return true
	}
	return false
}

// Offers gives the products of the keys that the catalogue knows, also deleted ones as last known, in at most three
// queries whatever their number.
func (m *Mirror) Offers(ctx context.Context, q store.Queryer, keys []RecordKey) (map[RecordKey]Offer, error) {
	out := map[RecordKey]Offer{}
	if len(keys) == 0 {
		return out, nil
	}
	if err := offersBy(ctx, q, "p.id", keys, func(o Offer) { out[o.RecordKey] = o }); err != nil {
		return nil, err
	}
	var parents, priceless []RecordKey
	for _, o := range out {
		switch {
		case o.ParentID != "" && (o.URL == "" || o.ImageURL == "" || o.Brand == ""):
			parents = append(parents, RecordKey{o.ShopID, o.ParentID})
		case o.ParentID == "" && o.Price == 0:
			priceless = append(priceless, o.RecordKey)
		}
	}
	families := map[RecordKey]Offer{}
	if err := offersBy(ctx, q, "p.id", parents, func(o Offer) { families[o.RecordKey] = o }); err != nil {
		return nil, err
	}
	for key, o := range out {
		if parent, ok := families[RecordKey{o.ShopID, o.ParentID}]; ok && o.ParentID != "" {
			o.URL, o.ImageURL, o.Brand = cmp.Or(o.URL, parent.URL), cmp.Or(o.ImageURL, parent.ImageURL), cmp.Or(o.Brand, parent.Brand)
			out[key] = o
		}
	}
	return out, offersBy(ctx, q, "p.parent_id", priceless, func(v Offer) {
		key := RecordKey{v.ShopID, v.ParentID}
		if o := out[key]; v.Sold() && (o.Price == 0 || v.Price < o.Price) {
			o.Price, o.Currency = v.Price, v.Currency
			out[key] = o
		}
	})
}

func offersBy(ctx context.Context, q store.Queryer, column string, keys []RecordKey, take func(Offer)) error {
	if len(keys) == 0 {
		return nil
	}
	wanted, shops, ids := apart(keys)
	text, args, err := store.In(selectOffers+column+" IN (?)", shops, ids)
	if err != nil {
		return fmt.Errorf("reading products: %w", err)
	}
	if err := read(ctx, q, text, args, func(r *sqlx.Rows) error {
		o, err := scanOffer(r)
		if key := (RecordKey{o.ShopID, o.ID}); column == "p.id" && wanted[key] || column != "p.id" && wanted[RecordKey{o.ShopID, o.ParentID}] {
			take(o)
		}
		return err
	}); err != nil {
		return fmt.Errorf("reading products: %w", err)
	}
	return nil
}

func scanOffer(r *sqlx.Rows) (Offer, error) {
	var o Offer
	var status string
	var gone crm.Instant
	err := r.Scan(&o.ShopID, &o.ID, &o.ParentID, &o.Name, &o.Brand, &o.URL, &o.ImageURL, &o.Currency, &o.Price, &o.InStock, &status, &gone)
	if o.ParentID == "0" {
		o.ParentID = ""
	}
	o.Listed = gone == 0 && listed(status)
	return o, err
}

// apart gives the shops and the ids of keys, each once, for IN (?) AND IN (?), and which of their combinations are meant.
func apart(keys []RecordKey) (wanted map[RecordKey]bool, shops []int64, ids []string) {
	wanted = make(map[RecordKey]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
		shops, ids = append(shops, k.ShopID), append(ids, k.ID)
	}
	slices.Sort(shops)
	slices.Sort(ids)
	return wanted, slices.Compact(shops), slices.Compact(ids)
}

// ProductIDs lists the next products of a shop by id, deleted ones included.
func (m *Mirror) ProductIDs(ctx context.Context, q store.Queryer, shopID int64, after string, limit int) ([]string, error) {
	var out []string
	if err := q.SelectContext(ctx, &out, "SELECT id FROM products WHERE shop_id=? AND id>? ORDER BY id LIMIT ?", shopID, after, limit); err != nil {
		return nil, fmt.Errorf("listing products: %w", err)
	}
	return out, nil
}

// CategoriesOf gives the ids of the categories that products of a shop are put right into.
func (m *Mirror) CategoriesOf(ctx context.Context, q store.Queryer, keys []RecordKey) (map[RecordKey][]string, error) {
	out := map[RecordKey][]string{}
	if len(keys) == 0 {
		return out, nil
	}
	wanted, shops, ids := apart(keys)
	text, args, err := store.In("SELECT shop_id, product_id, category_id FROM product_categories WHERE shop_id IN (?) AND product_id IN (?) ORDER BY shop_id, product_id, category_id",
		shops, ids)
	if err == nil {
		err = read(ctx, q, text, args, func(r *sqlx.Rows) error {
			var k RecordKey
			var category string
			err := r.Scan(&k.ShopID, &k.ID, &category)
			if wanted[k] {
				out[k] = append(out[k], category)
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the categories of products: %w", err)
	}
	return out, nil
}

// EventProperties gives what events carry.
func (m *Mirror) EventProperties(ctx context.Context, q store.Queryer, keys []RecordKey) (map[RecordKey]map[string]string, error) {
	out := map[RecordKey]map[string]string{}
	if len(keys) == 0 {
		return out, nil
	}
	wanted, shops, ids := apart(keys)
	text, args, err := store.In("SELECT shop_id, id, properties FROM events WHERE shop_id IN (?) AND id IN (?) AND gone_at=0", shops, ids)
	if err == nil {
		err = read(ctx, q, text, args, func(r *sqlx.Rows) error {
			var k RecordKey
			var raw []byte
			if err := r.Scan(&k.ShopID, &k.ID, &raw); err != nil || !wanted[k] {
				return err
			}
			var properties map[string]string
			err := decoded(raw, &properties)
			out[k] = properties
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	return out, nil
}

// Basket is one product that a contact bought at an instant.
type Basket struct {
	ContactID int64
	ProductID string
	Purchase  string
	At        crm.Instant
	Quantity  int64
}

// BuyersIn lists the next contacts with a sale in the shop by id; it looks at limit contacts of any shop and gives how far
// it came, 0 at the end.
func (m *Mirror) BuyersIn(ctx context.Context, q store.Queryer, shopID, after int64, limit int) (buyers []int64, reached int64, err error) {
	var rows []struct {
		ContactID int64 `db:"contact_id"`
		ShopID    int64 `db:"shop_id"`
		Sales     int64
	}
	if err := q.SelectContext(ctx, &rows, "SELECT contact_id, shop_id, sales FROM contact_stats WHERE contact_id>? ORDER BY contact_id, shop_id LIMIT ?", after, limit); err != nil {
		return nil, 0, fmt.Errorf("listing buyers: %w", err)
	}
	if len(rows) == limit { // the last contact may have more rows: it is the next page's, unless it fills this one alone
		last := rows[len(rows)-1].ContactID
		for i := len(rows); i > 0; i-- {
			if rows[i-1].ContactID != last {
				rows = rows[:i]
				break
			}
		}
		reached = rows[len(rows)-1].ContactID
	}
	for _, r := range rows {
		if r.ShopID == shopID && r.Sales > 0 {
			buyers = append(buyers, r.ContactID)
		}
	}
	return buyers, reached, nil
}

// Baskets lists what contacts bought in the shop, by contact.
func (m *Mirror) Baskets(ctx context.Context, q store.Queryer, shopID int64, contacts []int64) ([]Basket, error) {
	if len(contacts) == 0 {
		return nil, nil
	}
	var out []Basket
	// +shop_id: SQLite would take the shop's whole table of orders for better than a list of contacts.
	err := read(ctx, q, `SELECT o.contact_id, l.product_id, CASE WHEN o.purchase='' THEN o.id ELSE o.purchase END, o.placed_at, l.quantity FROM orders o
 JOIN order_lines l ON l.shop_id=o.shop_id AND l.order_id=o.id WHERE o.contact_id IN (`+idList(contacts)+`) AND +o.shop_id=? AND o.counts_as_sale=1 AND o.gone_at=0
 AND l.product_id<>'' AND l.quantity>0 ORDER BY o.contact_id`, []any{shopID}, func(r *sqlx.Rows) error {
		var b Basket
		err := r.Scan(&b.ContactID, &b.ProductID, &b.Purchase, &b.At, &b.Quantity)
		out = append(out, b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was bought: %w", err)
	}
	return out, nil
}

// Families gives what products count as: the parents of variations; products that are none are left out.
func (m *Mirror) Families(ctx context.Context, q store.Queryer, keys []RecordKey) (map[RecordKey]string, error) {
	out := map[RecordKey]string{}
	if len(keys) == 0 {
		return out, nil
	}
	wanted, shops, ids := apart(keys)
	text, args, err := store.In("SELECT shop_id, id, parent_id FROM products WHERE shop_id IN (?) AND id IN (?) AND parent_id NOT IN ('','0')", shops, ids)
	if err == nil {
		err = read(ctx, q, text, args, func(r *sqlx.Rows) error {
			var k RecordKey
			var parent string
			err := r.Scan(&k.ShopID, &k.ID, &parent)
			if wanted[k] {
				out[k] = parent
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the parents of products: %w", err)
	}
	return out, nil
}
