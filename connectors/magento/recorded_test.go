package magento_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

// expected was counted in the recordings by another program, which shares no code with this one.
type expected struct {
	Orders         int               `json:"orders"`
	ByState        map[string]int    `json:"by_state"`
	ByCurrency     map[string]int    `json:"by_currency"`
	Guests         int               `json:"guests"`
	Grand          map[string]string `json:"grand"`
	BaseGrand      string            `json:"base_grand"`
	Lines          int               `json:"lines"`
	Quantity       string            `json:"qty"`
	Coupons        int               `json:"coupons"`
	DistinctEmails int               `json:"distinct_emails"`
	Customers      int               `json:"customers"`
	Subscribed     int               `json:"subscribed"`
	Born           int               `json:"dob"`
	WithBilling    int               `json:"with_billing"`
	Fidelite       int               `json:"fidelite"`
	OpenCarts      int               `json:"open_carts"`
	Reachable      int               `json:"reachable"`
	CartQuantity   int64             `json:"cart_qty"`
	Refunds        int               `json:"refunds"`
	Refunded       map[string]string `json:"refunded"`
	Products       int               `json:"products"`
	Variations     int               `json:"variations"`
	Brands         map[string]int    `json:"brands"`
	Categories     int               `json:"categories"`
}

func readExpected(t *testing.T) expected {
	t.Helper()
	b, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// A crawl of the recorded shop equals what its answers held.
func TestCrawlEqualsExpected(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock, mapped(mapping.Mapping{Attributes: map[string]string{"carte": "custom.fidelite", "civilite": "gender", "segment": "group"}}))
	want := readExpected(t)
	t.Run("orders", func(t *testing.T) { ordersEqual(t, src, want) })
	t.Run("customers", func(t *testing.T) { customersEqual(t, src, want) })
	t.Run("refunds", func(t *testing.T) { refundsEqual(t, src, want) })
	t.Run("carts", func(t *testing.T) { cartsEqual(t, src, want) })
	t.Run("products", func(t *testing.T) { productsEqual(t, src, want) })
	for stream, n := range map[string]int{
		magento.StreamOrderIDs: want.Orders, magento.StreamCustomerIDs: want.Customers, magento.StreamCartIDs: want.OpenCarts,
		magento.StreamRefundIDs: want.Refunds, magento.StreamProductIDs: want.Products, magento.StreamCategoryIDs: want.Categories,
	} {
		p := connectortest.Crawl(t, src, stream, nil, 40)
		counted, err := src.Count(t.Context(), stream)
		if err != nil || len(p.IDs) != n || p.Total != n || counted != n {
			t.Errorf("%s: %d ids, total %d, counted %d, want %d (%v)", stream, len(p.IDs), p.Total, counted, n, err)
		}
	}
}

func ordersEqual(t *testing.T, src source, want expected) {
	p := connectortest.Crawl(t, src, magento.StreamOrders, nil, 50)
	states := map[string]string{"new": crm.StatePending, "complete": crm.StateCompleted, "processing": crm.StateAccepted, "closed": crm.StateRefunded, "canceled": crm.StateCancelled, "holded": crm.StateOnHold}
	byState, byCurrency, grand, base, emails := map[string]int{}, map[string]int{}, map[string]int64{}, int64(0), map[string]bool{}
	guests, lines, quantity, coupons, variations := 0, 0, int64(0), 0, 0
	for _, f := range p.Facts {
		o := f.Body.(*crm.Order)
		byState[o.State]++
		byCurrency[o.Currency]++
		grand[o.Currency] += o.Total
		emails[crm.NormEmail(o.Email)] = true
		if o.BaseCurrency == "" {
			base += o.Total
		} else {
			base += o.BaseTotal
		}
		if o.CustomerID == "" {
			guests++
		}
		coupons += len(o.Coupons)
		sum := o.Shipping
		for _, l := range o.Lines {
			lines, quantity, sum = lines+1, quantity+l.Quantity, sum+l.Total
			if l.VariationID != "" {
				variations++
			}
		}
		// Lines are net of discounts already: they and the shipping make up the total, but for the rounding of each line.
		if d := sum - o.Total; d > int64(len(o.Lines)) || -d > int64(len(o.Lines)) {
			t.Errorf("order %s: lines and shipping make %d, the total is %d", f.Ref.ID, sum, o.Total)
		}
		if d := o.Goods + o.Shipping - o.Total; d > 1 || d < -1 {
			t.Errorf("order %s: goods %d and shipping %d, total %d", f.Ref.ID, o.Goods, o.Shipping, o.Total)
		}
		if o.CartID == "" || o.PlacedAt == 0 || o.Number == "" || o.Country == "" {
			t.Errorf("order %s: %+v", f.Ref.ID, o)
		}
	}
	for theirs, n := range want.ByState {
		if byState[states[theirs]] != n {
			t.Errorf("%d orders are %s, want %d", byState[states[theirs]], theirs, n)
		}
	}
	if d := cmp.Diff(want.ByCurrency, byCurrency); d != "" {
		t.Errorf("orders by currency: %s", d)
	}
	for currency, sum := range want.Grand {
		if got := (crm.Money{Minor: grand[currency], Currency: currency}).Decimal(); got != sum {
			t.Errorf("%s %s, want %s", currency, got, sum)
		}
	}
	if got := (crm.Money{Minor: base, Currency: "EUR"}).Decimal(); got != want.BaseGrand {
		t.Errorf("%s in the currency of the books, want %s", got, want.BaseGrand)
	}
	if guests != want.Guests || lines != want.Lines || text(quantity) != want.Quantity || coupons != want.Coupons || len(emails) != want.DistinctEmails || variations != 185 {
		t.Errorf("%d guests, %d lines, %d pieces, %d coupons, %d addresses, %d variations", guests, lines, quantity, coupons, len(emails), variations)
	}
	if p.Total != want.Orders || len(p.Facts) != want.Orders || len(p.Rejected) > 0 {
		t.Errorf("total %d, %d facts, rejected %+v", p.Total, len(p.Facts), p.Rejected)
	}
}

func customersEqual(t *testing.T, src source, want expected) {
	accounts, born, billing, yes, cards := 0, 0, 0, 0, 0
	locales, roles, genders := map[string]int{}, map[string]int{}, map[string]int{}
	for _, f := range connectortest.Crawl(t, src, magento.StreamCustomers, nil, 40).Facts {
		switch b := f.Body.(type) {
		case *crm.Customer:
			accounts++
			if b.Birthday != "" {
				born++
			}
			if b.Attributes["fidelite"] != "" && b.Attributes["carte"] == b.Attributes["fidelite"] {
				cards++
			}
			locales[b.Locale]++
			roles[b.Role]++
			genders[b.Attributes["civilite"]]++
			if b.Attributes["segment"] != b.Role {
				t.Errorf("customer %s: group %q, mapped %q", f.Ref.ID, b.Role, b.Attributes["segment"])
			}
		case *crm.Address:
			if b.Country != "" {
				billing++
			}
		case *crm.OptIn:
			if b.Value == "yes" {
				yes++
			} else if b.Value != "no" || b.NoMeans != "silence" {
				t.Errorf("customer %s: %+v", f.Ref.ID, b)
			}
		}
	}
	if accounts != want.Customers || born != want.Born || billing != want.WithBilling || yes != want.Subscribed || cards != want.Fidelite {
		t.Errorf("%d accounts, %d born, %d with an address, %d subscribed, %d cards", accounts, born, billing, yes, cards)
	}
	if d := cmp.Diff(map[string]int{"fr-FR": 72, "fr-CA": 15, "fr-BE": 15}, locales); d != "" {
		t.Error(d)
	}
	if roles["General"] == 0 || roles[""] > 0 {
		t.Errorf("groups %v", roles)
	}
	if d := cmp.Diff(map[string]int{"": 43, "Female": 21, "Male": 19, "Not Specified": 19}, genders); d != "" {
		t.Error(d)
	}
}

func refundsEqual(t *testing.T, src source, want expected) {
	sums, n := map[string]int64{}, 0
	for _, f := range connectortest.Crawl(t, src, magento.StreamRefunds, nil, 7).Facts {
		r := f.Body.(*crm.Refund)
		n++
		sums[r.Currency] += r.Amount
		var lines int64
		for _, l := range r.Lines {
			lines += l.Total
			if l.ID == "" || l.Total <= 0 || l.Quantity <= 0 {
				t.Errorf("refund %s: line %+v", f.Ref.ID, l)
			}
		}
		if r.OrderID == "" || r.At == 0 || lines > r.Amount+1 {
			t.Errorf("refund %s: %+v, lines make %d", f.Ref.ID, r, lines)
		}
	}
	for currency, sum := range want.Refunded {
		if got := (crm.Money{Minor: sums[currency], Currency: currency}).Decimal(); got != sum {
			t.Errorf("refunded %s %s, want %s", currency, got, sum)
		}
	}
	if n != want.Refunds {
		t.Errorf("%d refunds", n)
	}
}

func cartsEqual(t *testing.T, src source, want expected) {
	open, reachable, quantity := 0, 0, int64(0)
	for _, f := range connectortest.Crawl(t, src, magento.StreamCarts, nil, 100).Facts {
		c := f.Body.(*crm.Cart)
		if f.Gone {
			t.Errorf("cart %s was ordered long ago", f.Ref.ID)
			continue
		}
		open++
		if c.Email != "" {
			reachable++
		}
		for _, l := range c.Lines {
			quantity += l.Quantity
			if l.ProductID == "" {
				t.Errorf("cart %s: product of %s not found", f.Ref.ID, l.SKU)
			}
		}
		if !c.ByContent || c.ActiveAt == 0 || c.RecoverURL != "https://boutique.example.com/checkout/cart/" || c.Total <= 0 {
			t.Errorf("cart %s: %+v", f.Ref.ID, c)
		}
	}
	if open != want.OpenCarts || reachable != want.Reachable || quantity != want.CartQuantity {
		t.Errorf("%d open, %d reachable, %d pieces", open, reachable, quantity)
	}
}

func productsEqual(t *testing.T, src source, want expected) {
	n, variations, brands, stocks := 0, 0, map[string]int{}, 0
	for _, f := range connectortest.Crawl(t, src, magento.StreamProducts, nil, 9).Facts {
		p := f.Body.(*crm.Product)
		n++
		brands[p.Brand]++
		if p.ParentID != "" {
			variations++
		}
		if p.Currency != "EUR" || p.URL == "" || p.ParentID == "" && len(p.Categories) == 0 || p.Status != "enabled" {
			t.Errorf("product %s: %+v", f.Ref.ID, p)
		}
		if f.Ref.ID == "2" && p.Price != 1000 {
			t.Errorf("the special price is 10.00, not %d", p.Price)
		}
		if f.Ref.ID == "19" && (p.ParentID != "23" || p.URL != "https://boutique.example.com/pull-marin-en-laine-ex-019.html") {
			t.Errorf("a variation leads to its parent's page: %+v", p)
		}
	}
	for _, f := range connectortest.Crawl(t, src, magento.StreamCatalogue, nil, 100).Facts {
		if s, ok := f.Body.(*crm.Stock); ok && s.InStock {
			stocks++
		}
	}
	if n != want.Products || variations != want.Variations || stocks != want.Products {
		t.Errorf("%d products, %d variations, %d stocks", n, variations, stocks)
	}
	if d := cmp.Diff(want.Brands, brands); d != "" {
		t.Errorf("brands: %s", d)
	}
	if cs := connectortest.Crawl(t, src, magento.StreamCategories, nil, 4); len(cs.Facts) != want.Categories {
		t.Errorf("%d categories", len(cs.Facts))
	}
}
