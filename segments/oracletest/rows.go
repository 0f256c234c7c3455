package oracletest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/relance/relance/internal/store"
)

// Load reads every contact that some account, order or cart refers to, straight from the tables. Suppressions are not the
// mirror's: the caller knows them.
func Load(ctx context.Context, q store.Queryer, suppressed map[int64][]string) (map[int64]*Person, error) {
	l := &loading{ctx: ctx, q: q, people: map[int64]*Person{}, shops: map[int64]shopRow{}}
	for _, read := range []func(){l.contacts, l.accounts, l.consents, l.catalogue, l.orders, l.carts, l.events, l.stays, l.cuts} {
		if read(); l.err != nil {
			return nil, fmt.Errorf("loading people: %w", l.err)
		}
	}
	for id, reasons := range suppressed {
		if p := l.people[id]; p != nil {
			p.Suppressed = reasons
		}
	}
	return l.people, nil
}

type loading struct {
	ctx        context.Context //nolint:containedctx // of the one call that this lives for
	q          store.Queryer
	people     map[int64]*Person
	shops      map[int64]shopRow
	brands     map[ref]string
	categories map[ref][]string // of a product, with what is above them, ids and slugs
	err        error
}

type ref struct {
	shop int64
	id   string
}

type shopRow struct {
	ID    int64
	Name  string
	Basis string
	Zone  string
	Words string
}

// rows reads all of a query.
func rows[T any](l *loading, query string) []T {
	var out []T
	if l.err == nil {
		l.err = l.q.SelectContext(l.ctx, &out, query)
	}
	return out
}

func (l *loading) texts(body string) map[string]string {
	out := map[string]string{}
	if body != "" && l.err == nil {
		l.err = json.Unmarshal([]byte(body), &out)
	}
	return out
}

func (l *loading) contacts() {
	for _, s := range rows[shopRow](l, "SELECT id, name, basis, zone, locale AS words FROM shops") {
		l.shops[s.ID] = s
	}
	for _, r := range rows[struct {
		ID, Home, Registered                          int64
		Words, Country, Region, City, Place, Birthday string
	}](l, "SELECT id, home_shop_id AS home, registered_at AS registered, locale AS words, country, region, city, zone AS place, birthday FROM contacts WHERE live=1") {
		home := l.shops[r.Home]
		if r.Place == "" {
			r.Place = home.Zone
		}
		if r.Words == "" {
			r.Words = home.Words
		}
		p := &Person{
			ID: r.ID, Calendar: In(r.Place), Country: r.Country, Region: r.Region, City: r.City, Locale: r.Words, Birthday: r.Birthday,
			RegisteredAt: r.Registered, HomeShop: r.Home, Bases: map[int64]string{}, Attributes: map[string]string{},
		}
		for id, s := range l.shops {
			p.Bases[id] = s.Basis
		}
		l.people[r.ID] = p
	}
}

// known notes that a person is known in a shop.
func (p *Person) known(shop string, since int64) {
	p.Shops = append(p.Shops, Shop{shop, since})
}

func (l *loading) accounts() {
	for _, r := range rows[struct {
		Contact, Shop, Registered int64
		Role, Body                string
	}](l, `SELECT contact_id AS contact, shop_id AS shop, registered_at AS registered, role, attributes AS body FROM customers WHERE gone_at=0
 ORDER BY CASE WHEN modified_at>registered_at THEN modified_at ELSE registered_at END, shop_id, id`) { // what was modified last has the last word
		p := l.people[r.Contact]
		if p == nil {
			continue
		}
		p.known(l.shops[r.Shop].Name, r.Registered)
		if r.Role != "" {
			p.Groups = append(p.Groups, r.Role)
		}
		maps.Copy(p.Attributes, l.texts(r.Body))
	}
}

func (l *loading) consents() {
	for _, r := range rows[struct {
		Contact, Said, Expires int64
		Topic, Channel, State  string
	}](l, "SELECT contact_id AS contact, topic, channel, state, source_at AS said, expires_at AS expires FROM consent_state") {
		if p := l.people[r.Contact]; p != nil {
			p.Consents = append(p.Consents, Consent{r.Topic, r.Channel, r.State, r.Said, r.Expires})
		}
	}
}

func (l *loading) catalogue() {
	l.brands, l.categories = map[ref]string{}, map[ref][]string{}
	for _, r := range rows[struct {
		Shop      int64
		ID, Brand string
	}](l, "SELECT shop_id AS shop, id, brand FROM products") {
		l.brands[ref{r.Shop, r.ID}] = r.Brand
	}
	type category struct{ parent, slug string }
	tree := map[ref]category{}
	for _, r := range rows[struct {
		Shop             int64
		ID, Parent, Slug string
	}](l, "SELECT shop_id AS shop, id, parent_id AS parent, slug FROM categories") {
		tree[ref{r.Shop, r.ID}] = category{r.Parent, r.Slug}
	}
	for _, r := range rows[struct {
		Shop              int64
		Product, Category string
	}](l, "SELECT shop_id AS shop, product_id AS product, category_id AS category FROM product_categories") {
		product := ref{r.Shop, r.Product}
		for id, depth := r.Category, 0; id != "" && depth < 50; depth++ {
			c := tree[ref{r.Shop, id}]
			l.categories[product] = append(l.categories[product], id, c.slug)
			id = c.parent
		}
	}
}

type lineRow struct {
	Shop                 int64
	Parent, Line         string
	Product, SKU         string
	Quantity, Total, Got int64
}

// lines reads those of orders or carts, by their parent.
func (l *loading) lines(query string) map[ref][]Line {
	out := map[ref][]Line{}
	for _, r := range rows[lineRow](l, query) {
		product := ref{r.Shop, r.Product}
		line := Line{Product: r.Product, SKU: r.SKU, Quantity: r.Quantity, Total: r.Total, Refunded: r.Got}
		if r.Product != "" {
			line.Brand, line.Categories = l.brands[product], l.categories[product]
		}
		parent := ref{r.Shop, r.Parent}
		out[parent] = append(out[parent], line)
	}
	return out
}

func (l *loading) orders() {
	lines := l.lines(`SELECT l.shop_id AS shop, l.order_id AS parent, l.line_id AS line, l.product_id AS product, l.sku, l.quantity, l.total,
 (SELECT COALESCE(SUM(x.quantity),0) FROM refunds r JOIN refund_lines x ON x.shop_id=r.shop_id AND x.refund_id=r.id
  WHERE r.shop_id=l.shop_id AND r.order_id=l.order_id AND r.gone_at=0 AND x.line_id=l.line_id) AS got FROM order_lines l`)
	for _, r := range rows[struct {
		Contact, Shop, Total, Refunded, Base, Placed                int64
		ID, State, Purchase, Currency, Books, Via, Coupons, Brought string
		Sale                                                        bool
	}](l, `SELECT contact_id AS contact, shop_id AS shop, id, state, counts_as_sale AS sale, purchase, currency, total, refunded, base_currency AS books,
 base_total AS base, placed_at AS placed, via, coupons, attribution AS brought FROM orders WHERE gone_at=0`) {
		p := l.people[r.Contact]
		if p == nil {
			continue
		}
		shop := l.shops[r.Shop].Name
		p.known(shop, r.Placed)
		x := Order{
			Shop: r.Shop, ID: r.ID, ShopName: shop, State: r.State, Sale: r.Sale, Purchase: r.Purchase, Currency: r.Currency, Total: r.Total, Refunded: r.Refunded,
			BaseCurrency: r.Books, BaseTotal: r.Base, PlacedAt: r.Placed, Via: r.Via, Lines: lines[ref{r.Shop, r.ID}],
		}
		if r.Coupons != "" && l.err == nil {
			l.err = json.Unmarshal([]byte(r.Coupons), &x.Coupons)
		}
		brought := l.texts(r.Brought)
		for _, name := range []string{"source_type", "source", "utm_source"} {
			if brought[name] != "" {
				x.Source = brought[name]
			}
		}
		p.Orders = append(p.Orders, x)
	}
}

func (l *loading) carts() {
	lines := l.lines("SELECT shop_id AS shop, cart_id AS parent, line_id AS line, product_id AS product, sku, quantity, total, 0 AS got FROM cart_lines")
	for _, r := range rows[struct {
		Contact, Shop, Total, Created, Active, Closed int64
		ID, Currency, By                              string
	}](l, "SELECT contact_id AS contact, shop_id AS shop, id, currency, total, created_at AS created, active_at AS active, closed_at AS closed, closed_by AS `by` FROM carts") {
		p := l.people[r.Contact]
		if p == nil {
			continue
		}
		shop := l.shops[r.Shop].Name
		since := r.Created
		if since == 0 {
			since = r.Active
		}
		p.known(shop, since)
		p.Carts = append(p.Carts, Cart{
			Shop: r.Shop, ID: r.ID, ShopName: shop, Currency: r.Currency, Total: r.Total, CreatedAt: r.Created, ActiveAt: r.Active, ClosedAt: r.Closed,
			ClosedBy: r.By, Lines: lines[ref{r.Shop, r.ID}],
		})
	}
}

func (l *loading) events() {
	for _, r := range rows[struct {
		Contact, At int64
		Name, Body  string
	}](l, "SELECT contact_id AS contact, name, happened_at AS at, properties AS body FROM events WHERE gone_at=0") {
		if p := l.people[r.Contact]; p != nil {
			p.Events = append(p.Events, Event{r.Name, r.At, l.texts(r.Body)})
		}
	}
}

// stays reads what is recorded of entries and leavings that happened: built, redefined, backfilled and the like are none.
func (l *loading) stays() {
	for _, r := range rows[struct {
		Contact, At int64
		Segment     string
		Entered     bool
	}](l, `SELECT contact_id AS contact, segment, entered, effective_at AS at FROM segment_changes WHERE cause IN ('change','clock','consent')`) {
		p := l.people[r.Contact]
		switch {
		case p == nil:
		case r.Entered:
			p.Stays = append(p.Stays, Stay{Segment: r.Segment, Entered: r.At})
		default:
			p.Stays = append(p.Stays, Stay{Segment: r.Segment, Left: r.At})
		}
	}
}

// cuts reads the thresholds of the one audience that there is.
func (l *loading) cuts() {
	for _, r := range rows[struct {
		At   int64
		Body string
	}](l, "SELECT published_at AS at, body FROM thresholds ORDER BY version") {
		c := Cuts{PublishedAt: r.At}
		if l.err == nil {
			l.err = json.Unmarshal([]byte(r.Body), &c)
		}
		for _, p := range l.people {
			p.Cuts = append(p.Cuts, c)
		}
	}
}
