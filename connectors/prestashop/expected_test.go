package prestashop_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/internal/crm"
)

// A crawl of the recorded shop equals an independent reading of the recordings (by another program, in decimals).
func TestCrawlEqualsTheRecordings(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	t.Run("orders", func(t *testing.T) { ordersEqual(t, src) })
	t.Run("customers", func(t *testing.T) { customersEqual(t, src) })
	t.Run("refunds", func(t *testing.T) { refundsEqual(t, src) })
	t.Run("carts", func(t *testing.T) { cartsEqual(t, src) })
	t.Run("catalogue", func(t *testing.T) { catalogueEqual(t, src) })
	t.Run("ids", func(t *testing.T) { idsEqual(t, src) })
}

func ordersEqual(t *testing.T, src *prestashop.Source) {
	p := connectortest.Crawl(t, src, prestashop.StreamOrders, nil, 100)
	gross, sales, states, lines, base, paid, completed, coupons, purchases := map[string]int64{}, map[string]int64{}, map[string]int{}, 0, int64(0), 0, 0, 0, map[string]int{}
	for id, o := range bodies[*crm.Order](p) {
		gross[o.Currency] += o.Total
		states[o.State]++
		lines += len(o.Lines)
		base += o.BaseTotal
		purchases[o.Purchase]++
		coupons += len(o.Coupons)
		if o.CountsAsSale {
			sales[o.Currency] += o.Total
		}
		if o.PaidAt != 0 {
			paid++
		}
		if o.CompletedAt != 0 {
			completed++
		}
		if o.Email == "" && o.CustomerID != "128" || o.Country == "" || o.PlacedAt == 0 || len(o.Number) != 9 || o.CartID == "" {
			t.Errorf("order %s: %+v", id, o)
		}
		if (o.Currency == "CAD") != (o.BaseCurrency == "EUR") {
			t.Errorf("order %s in %s has base %q", id, o.Currency, o.BaseCurrency)
		}
		if (o.State == crm.StateCancelled) != (o.CancelledAt != 0) {
			t.Errorf("order %s is %s, cancelled at %d", id, o.State, o.CancelledAt)
		}
	}
	if p.Total != 401 || len(p.Raw) != 401 || len(p.Rejected) > 0 || lines != 974 || coupons != 55 {
		t.Errorf("total %d, %d orders, %d rejected, %d lines, %d coupons", p.Total, len(p.Raw), len(p.Rejected), lines, coupons)
	}
	if d := cmp.Diff(map[string]int64{"EUR": 18_324_142, "CAD": 5_529_673}, gross); d != "" {
		t.Errorf("amounts: %s", d)
	}
	if d := cmp.Diff(map[string]int64{"EUR": 14_183_912, "CAD": 4_442_333}, sales); d != "" {
		t.Errorf("sales, by the states' own flag paid: %s", d)
	}
	if base != 3_656_361 {
		t.Errorf("orders in CAD are worth %d EUR cents", base)
	}
	if d := cmp.Diff(map[string]int{
		crm.StateShipped: 17, crm.StateOnHold: 26, crm.StateCancelled: 26, crm.StateCompleted: 226, crm.StateRefunded: 18, crm.StateAccepted: 68, crm.StateFailed: 20,
	}, states); d != "" {
		t.Errorf("states: %s", d)
	}
	if completed < 226 || paid < 311 || len(purchases) != 400 || purchases["473"] != 2 {
		t.Errorf("%d completed, %d paid, %d purchases", completed, paid, len(purchases))
	}
}

func customersEqual(t *testing.T, src *prestashop.Source) {
	p := connectortest.Crawl(t, src, prestashop.StreamCustomers, nil, 40)
	guests, births, emails, locales, groups := 0, 0, map[string]bool{}, map[string]int{}, map[string]int{}
	for id, c := range bodies[*crm.Customer](p) {
		emails[crm.NormEmail(c.Email)] = true
		locales[c.Locale]++
		groups[c.Attributes["group"]]++
		if c.Role == "guest" {
			guests++
		}
		if c.Birthday != "" {
			births++
		}
		if c.RegisteredAt == 0 || c.Email == "" {
			t.Errorf("customer %s: %+v", id, c)
		}
	}
	if p.Total != 151 || len(p.Raw) != 151 || guests != 22 || births != 80 || len(emails) != 139 {
		t.Errorf("total %d, %d customers, %d guests, %d birthdays, %d addresses", p.Total, len(p.Raw), guests, births, len(emails))
	}
	if locales["fr-FR"]+locales["en-US"] != 151 || groups["Invité"] != 22 {
		t.Errorf("locales %v, groups %v", locales, groups)
	}
	said := map[string]int{}
	consents := bodies[*crm.OptIn](connectortest.Crawl(t, src, prestashop.StreamConsents, nil, 100))
	for id, o := range bodies[*crm.OptIn](p) {
		said[o.Value]++
		if d := cmp.Diff(o, consents[id]); d != "" {
			t.Errorf("customer %s says another thing in the stream of consents: %s", id, d)
		}
		if o.Value == "yes" && o.SourceAt == 0 || o.NoMeans != "silence" || o.Topic != "marketing" {
			t.Errorf("customer %s: %+v", id, o)
		}
	}
	if d := cmp.Diff(map[string]int{"yes": 66, "no": 85}, said); d != "" || len(consents) != 151 {
		t.Errorf("consents: %s", d)
	}
	cities := 0
	for _, a := range bodies[*crm.Address](p) {
		if a.City != "" && a.Country != "" {
			cities++
		}
	}
	if cities != 151 {
		t.Errorf("%d customers have a place", cities)
	}
}

func refundsEqual(t *testing.T, src *prestashop.Source) {
	sums := map[string]int64{}
	all := bodies[*crm.Refund](connectortest.Crawl(t, src, prestashop.StreamRefunds, nil, 7))
	for id, r := range all {
		sums[r.Currency] += r.Amount
		if r.OrderID == "" || r.At == 0 || len(r.Lines) == 0 || id != "30" && r.Lines[0].ProductID == "" {
			t.Errorf("refund %s: %+v", id, r)
		}
	}
	// One slip's order was removed: 11.25 EUR.
	if d := cmp.Diff(map[string]int64{"EUR": 850_292 + 1125, "CAD": 161_084}, sums); d != "" || len(all) != 31 {
		t.Errorf("%d refunds: %s", len(all), d)
	}
}

func cartsEqual(t *testing.T, src *prestashop.Source) {
	p := connectortest.Crawl(t, src, prestashop.StreamCarts, nil, 100)
	carts, anonymous := bodies[*crm.Cart](p), 0
	for id, c := range carts {
		if c.CustomerID == "" {
			anonymous++
		}
		var sum int64
		for _, l := range c.Lines {
			sum += l.Total
			if l.Name == "" || l.Total <= 0 || l.Quantity <= 0 || l.ProductID == "" {
				t.Errorf("cart %s: %+v", id, l)
			}
		}
		if sum != c.Total || c.ActiveAt == 0 || len(c.Lines) == 0 || c.RecoverURL == "" {
			t.Errorf("cart %s: %+v", id, c)
		}
	}
	if len(carts) != 53 || p.Total != 53 || anonymous != 13 || len(p.Facts) != 53 {
		t.Errorf("%d carts (total %d), %d of nobody, %d facts", len(carts), p.Total, anonymous, len(p.Facts))
	}
}

func catalogueEqual(t *testing.T, src *prestashop.Source) {
	p := connectortest.Crawl(t, src, prestashop.StreamProducts, nil, 10)
	brands, variations := map[string]int{}, 0
	all := bodies[*crm.Product](p)
	for id, b := range all {
		brands[b.Brand]++
		if b.ParentID != "" {
			variations++
			if all[b.ParentID] == nil || len(id) != 13 {
				t.Errorf("variation %s of %s", id, b.ParentID)
			}
		}
		if b.Name == "" || b.Price <= 0 || b.Currency != "EUR" || b.URL == "" || len(b.Categories) == 0 {
			t.Errorf("product %s: %+v", id, b)
		}
	}
	if len(all) != 81 || variations != 42 || len(p.Raw) != 39 || brands["Maison Février"] == 0 || brands["false"] > 0 {
		t.Errorf("%d products and variations, %d bodies, brands %v", len(all), len(p.Raw), brands)
	}
	if b := all["1000000000001"]; b == nil || b.Name != "Robe Crème 1 (S, Bleu nuit)" && len(b.Name) <= len("Robe Crème 1") {
		t.Errorf("variation %+v", b)
	}
	stock := bodies[*crm.Stock](connectortest.Crawl(t, src, prestashop.StreamStock, nil, 3))
	if len(stock) != 81 || stock["1"] == nil || *stock["1"].Stock != 172 || !stock["1"].InStock {
		t.Errorf("%d rows of stock, %+v", len(stock), stock["1"])
	}
	if cs := bodies[*crm.Category](connectortest.Crawl(t, src, prestashop.StreamCategories, nil, 4)); len(cs) != 11 || cs["3"].Name != "Vêtements" || cs["3"].ParentID != "2" {
		t.Errorf("%d categories", len(cs))
	}
}

func idsEqual(t *testing.T, src *prestashop.Source) {
	for stream, n := range map[string]int{
		prestashop.StreamOrderIDs: 401, prestashop.StreamCustomerIDs: 151, prestashop.StreamRefundIDs: 31, prestashop.StreamCartIDs: 53,
		prestashop.StreamProductIDs: 81, prestashop.StreamCategoryIDs: 11,
	} {
		p := connectortest.Crawl(t, src, stream, nil, 5)
		count, err := src.Count(t.Context(), stream)
		if len(p.IDs) != n || count != n || err != nil {
			t.Errorf("%s: %d ids, %d counted, want %d; %v", stream, len(p.IDs), count, n, err)
		}
	}
}
