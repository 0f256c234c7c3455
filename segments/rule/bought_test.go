package rule_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// customer has bought in two shops and two currencies.
func customer() *crm.Profile {
	shoe := crm.ProfileLine{ProductID: "7", SKU: "S-7", Brand: "Acme", Quantity: 4, Refunded: 1, Total: 8000, Categories: []string{"shoes"}}
	hat := crm.ProfileLine{ProductID: "8", SKU: "H-8", Brand: "Bolt", Quantity: 1, Total: 2000}
	first := part(1, "1", "1", "2026-06-01T00:00:00Z", 10000, shoe, hat)
	first.Refunded, first.Shop, first.State, first.Coupons = 2000, "boutique", crm.StateCompleted, []string{"SPRING"}
	dollars := part(2, "2", "2", "2026-07-01T00:00:00Z", 6000, hat, crm.ProfileLine{SKU: "X", Quantity: 2, Total: 4000})
	dollars.Currency, dollars.BaseCurrency, dollars.BaseTotal, dollars.Shop, dollars.State = "USD", "EUR", 5555, "outlet", crm.StateShipped
	pounds := part(2, "3", "3", "2026-08-01T00:00:00Z", 9900, hat)
	pounds.Currency, pounds.Shop, pounds.State = "GBP", "outlet", crm.StateCompleted
	cancelled := part(1, "4", "4", "2026-09-01T00:00:00Z", 77700, shoe)
	cancelled.CountsAsSale, cancelled.Shop, cancelled.State = false, "boutique", crm.StateCancelled
	return &crm.Profile{Contact: crm.Contact{Zone: "Europe/Paris"}, Orders: []crm.ProfileOrder{first, dollars, pounds, cancelled}}
}

func TestWhatWasBought(t *testing.T) {
	p, at := customer(), instant("2026-11-01T06:00:00Z")
	for text, want := range map[string]bool{
		"bought: {exactly: 3}":                            true,
		"bought: {exactly: 1, brand: acme}":               true,
		"bought: {exactly: 3, brand: [BOLT]}":             true,
		"bought: {exactly: 1, coupon: spring}":            true,
		"bought: {exactly: 2, shop: outlet}":              true,
		"bought: {exactly: 1, status: shipped}":           true,
		"bought: {exactly: 1, status: cancelled}":         true, // whether it counts as a sale or not
		"bought: {exactly: 0, status: [pending, failed]}": true,

		"bought: {exactly: 1, price: {at_least: 20 EUR, at_most: 20 EUR}, product: 7}":           true,
		"bought: {exactly: 0, price: {at_least: 20.01 EUR}, product: 7}":                         true,
		"bought: {exactly: 1, price: {at_least: 18.51 EUR, at_most: 18.53 EUR}, shop: [outlet]}": true, // 20 USD at 5555/6000
		"bought: {exactly: 0, price: {at_least: 1 CHF}}":                                         true,

		"bought: {at_least: 135.55 EUR, at_most: 135.55 EUR}":                                true, // 80 and 55.55; no pounds
		"bought: {at_least: 60 USD, at_most: 60 USD}":                                        true,
		"bought: {at_least: 99 GBP, of: amount}":                                             true,
		"bought: {at_least: 18.52 EUR, at_most: 18.52 EUR, product: 8, shop: outlet}":        true, // 2000 of 6000 of 5555: 1851.67
		"bought: {at_least: 78.52 EUR, at_most: 78.52 EUR, sku: [S-7, H-8], coupon: spring}": false,
		"bought: {at_least: 80 EUR, at_most: 80 EUR, sku: [S-7, H-8], coupon: spring}":       true, // 60 and 20

		"bought: {of: products, exactly: 4}":                   true, // 7, 8 of one shop, 8 and X of the other
		"bought: {of: products, exactly: 1, category: shoes}":  true,
		"bought: {of: basket, at_least: 67.77 EUR}":            true, // 135.55 in two
		"bought: {of: basket, at_least: 67.78 EUR}":            false,
		"bought: {of: basket, at_most: 67.78 EUR}":             true,
		"bought: {of: basket, at_most: 1 CHF}":                 false, // there is none
		"bought: {of: basket, at_most: 99 GBP, in: this_year}": true,
		"bought: {of: basket, at_most: 99 GBP, in: last_year}": false,
		"bought: {exactly: 3, in: this_year}":                  true,
		"bought: {exactly: 2, in: last_quarter}":               true, // in Paris July begins on 30 June, 22:00 UTC
		"bought: {exactly: 1, within: 3mo}":                    false,
		"bought: {exactly: 1, within: 4mo}":                    true,

		"never_bought: {product: 9}":                    true,
		"never_bought: {product: 8}":                    false,
		"never_bought: {shop: outlet, category: shoes}": true,

		"first_purchase: {older_than: 5mo}":                                               true,
		"first_purchase: {newer_than: 5mo}":                                               false,
		"first_purchase: {in: this_year, older_than: 30d}":                                true,
		"first_purchase: {shop: outlet, between: {from: 2026-07-01, before: 2026-07-02}}": true,
		"last_purchase: {older_than: 3mo}":                                                true,
		"last_purchase: {older_than: 3mo, brand: acme}":                                   true,
		"last_purchase: {in: this_quarter}":                                               false,
		"last_purchase: {status: cancelled, newer_than: 62d}":                             true,
		"nth_purchase: {n: 2, within: 4mo}":                                               false,
		"nth_purchase: {n: 3, within: 4mo}":                                               true,
		"nth_purchase: {n: 3}":                                                            true,
		"nth_purchase: {n: 4}":                                                            false,

		"days_between: {at_least: 30d, at_most: 31d}":       true, // 61 days in two steps
		"days_between: {at_least: 30d12h, at_most: 30d12h}": true,
		"days_between: {at_least: 31d}":                     false,
		"days_between: {at_most: 30d}":                      false,
		"days_between: {at_most: 100d, coupon: spring}":     false,

		"bought_with: {product: 7, and: {brand: bolt}}":       true,
		"bought_with: {product: 7, and: {sku: X}}":            false,
		"bought_with: {sku: H-8, and: {sku: X}}":              true,
		"bought_with: {sku: H-8, and: {sku: X}, within: 4mo}": false,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v, %+v", text, got, segment(t, text).Explain(p, at))
		}
	}
}

func TestAPurchaseOfTwoOrdersIsOneBasketAndHoldsWhatBothHold(t *testing.T) {
	shoe := crm.ProfileLine{SKU: "S-7", Quantity: 2, Total: 3000}
	hat := crm.ProfileLine{SKU: "H-8", Quantity: 1, Total: 2000}
	p := &crm.Profile{Contact: crm.Contact{Zone: "UTC"}, Orders: []crm.ProfileOrder{
		part(1, "1", "1", "2026-10-01T00:00:00Z", 3000, shoe),
		part(1, "2", "1", "2026-10-03T00:00:00Z", 2000, hat),
		part(1, "3", "3", "2026-11-20T00:00:00Z", 1000, crm.ProfileLine{SKU: "X", Quantity: 1, Total: 1000}),
	}}
	with := segment(t, "bought_with: {sku: S-7, and: {sku: H-8}}")
	if flip := instant("2026-10-03T00:00:00Z"); with.Match(p, flip-1) || !with.Match(p, flip) || with.NextChange(p, 0) != flip {
		t.Error("bought together once both were")
	}
	basket := segment(t, "bought: {of: basket, at_least: 30 EUR, at_most: 30 EUR}")
	for at, want := range map[string]bool{"2026-10-01T00:00:00Z": true, "2026-10-03T00:00:00Z": false, "2026-11-20T00:00:00Z": true} {
		if basket.Match(p, instant(at)) != want {
			t.Errorf("basket at %s: %v", at, !want)
		}
	}
	window := segment(t, "bought: {of: basket, at_least: 0 EUR, within: 30d}")
	if flip := instant("2026-10-31T00:00:00Z"); !window.Match(p, flip-1) || window.Match(p, flip) {
		t.Error("both orders of the basket leave with the first")
	}
	third := segment(t, "nth_purchase: {n: 2, in: today}")
	if at := instant("2026-11-20T00:00:00Z"); !third.Match(p, at) || third.Match(p, at-1) {
		t.Error("the second purchase is the third order")
	}
	for text, at := range map[string]string{"this_month": "2026-10-20T00:00:00Z", "last_month": "2026-11-01T00:00:00Z"} {
		if e := segment(t, "bought: {in: "+text+"}").Explain(p, instant(at)); e.Value != "1 order" {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

func TestCartsThatWereLeft(t *testing.T) {
	line := crm.ProfileLine{ProductID: "7", Brand: "Acme", Quantity: 2, Total: 4000}
	cart := func(id, active, closed, by string) crm.ProfileCart {
		k := crm.ProfileCart{ID: id, Currency: "EUR", Total: 4000, CreatedAt: instant(active), ActiveAt: instant(active), ClosedBy: by, Shop: "boutique", Lines: []crm.ProfileLine{line}}
		if closed != "" {
			k.ClosedAt = instant(closed)
		}
		return k
	}
	p := &crm.Profile{Contact: crm.Contact{Zone: "UTC"}, Carts: []crm.ProfileCart{
		cart("quick", "2026-10-01T10:00:00Z", "2026-10-01T10:59:59Z", "ordered"),
		cart("edge", "2026-10-02T10:00:00Z", "2026-10-02T11:00:00Z", "ordered"),
		cart("late", "2026-10-03T10:00:00Z", "2026-10-03T11:00:01Z", "ordered"),
		cart("emptied", "2026-10-04T10:00:00Z", "2026-10-04T10:30:00Z", "deleted"),
		cart("expired", "2026-10-05T10:00:00Z", "2026-10-12T10:00:00Z", "expired"),
		cart("open", "2026-10-20T10:00:00Z", "", ""),
	}}
	at := instant("2026-10-21T00:00:00Z")
	for text, want := range map[string]bool{
		"abandoned_carts: {exactly: 3}":                                     true,
		"abandoned_carts: {exactly: 5, idle_for: 30m}":                      true, // emptied after just that long
		"abandoned_carts: {at_least: 2, within: 7d}":                        false,
		"abandoned_carts: {in: this_week}":                                  true,
		"abandoned_carts: {brand: bolt}":                                    false,
		"recovered_cart: {}":                                                true,
		"recovered_cart: {within: 17d}":                                     false,
		"recovered_cart: {within: 18d, at_least: 40 EUR}":                   true,
		"recovered_cart: {idle_for: 2h}":                                    false,
		"recovered_cart: {in: this_month, shop: boutique, brand: acme}":     true,
		"open_cart: {at_least: 40 EUR, at_most: 40 EUR}":                    true,
		"open_cart: {at_most: 39.99 EUR}":                                   false,
		"open_cart: {items: {at_least: 2, at_most: 2}, brand: acme}":        true,
		"open_cart: {items: {at_least: 3}}":                                 false,
		"open_cart: {product: 7, shop: boutique, price: {at_most: 20 EUR}}": true,
		"open_cart: {product: 8}":                                           false,
		"open_cart: {shop: outlet}":                                         false,
		"open_cart: {idle_for: 1h, younger_than: 1mo}":                      true,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v, %+v", text, got, segment(t, text).Explain(p, at))
		}
	}
	if next := segment(t, "abandoned_carts: {exactly: 3}").NextChange(p, instant("2026-10-20T10:30:00Z")); next != instant("2026-10-20T11:00:00Z") {
		t.Error(next.Time())
	}
}

func TestMistakesInWhatWasBought(t *testing.T) {
	for text, want := range map[string]string{
		"bought: {status: paid}":                              `.bought.status: "paid" is no status of an order`,
		"bought: {status: [shipped, paid]}":                   `.bought.status[1]: "paid" is no status of an order`,
		"bought: {brand: []}":                                 `.bought.brand: nothing is listed`,
		"bought: {price: {}}":                                 `.bought.price: neither end is given`,
		"bought: {price: {at_least: 10}}":                     `.bought.price.at_least: 10 has no currency`,
		"bought: {price: {at_least: 10 EUR, at_most: 5 EUR}}": `.bought.price.at_most: at_most 5.00 EUR is less than at_least 10.00 EUR: nobody could match`,
		"bought: {price: {at_least: 10 EUR, at_most: 5 USD}}": `.bought.price.at_most: the two bounds are of different kinds`,
		"bought: {at_least: 1 XYZ}":                           `.bought.at_least: "XYZ" is no currency`,
		"bought: {of: basket}":                                `.bought.of: no amount bounds the basket`,
		"bought: {of: basket, at_least: 3}":                   `.bought.of: no amount bounds the basket`,
		"bought: {of: pieces, at_least: 3}":                   `.bought.of: "pieces" cannot be counted`,
		"bought: {of: products, at_least: 3 EUR}":             `.bought.of: an amount cannot bound products`,
		"bought: {in: this_decade}":                           `.bought.in: "this_decade" is no period of the calendar`,
		"bought: {in: today, within: 3d}":                     `.bought.in: in and within stand side by side`,
		"bought: {within: 1mo2d}":                             `.bought.within: 1mo2d mixes months or years with fixed lengths`,
		"bought: {within: 101y}":                              `.bought.within: 101y is longer than a hundred years`,
		"bought: {within: 0mo}":                               `.bought.within: a length of nothing`,
		"first_purchase: {}":                                  `.first_purchase: no age is given`,
		"last_purchase: {older_than: 3mo, newer_than: 89d}":   ``,
		"last_purchase: {older_than: 3mo, newer_than: 87d}":   `.last_purchase.newer_than: older than 3mo and newer than 87d at once: nobody could match`,
		"last_purchase: {older_than: 12mo, newer_than: 1y}":   `.last_purchase.newer_than: older than 1y and newer than 1y at once: nobody could match`,
		"last_purchase: {older_than: 60d, within: 30d}":       `.last_purchase.within: older than 60d and within 30d at once: nobody could match`,
		"last_purchase: {newer_than: 60d, within: 30d}":       `.last_purchase.within: within and newer_than stand side by side: both say the same`,
		"nth_purchase: {within: 30d}":                         `.nth_purchase.n: there is no purchase number 0`,
		"days_between: {}":                                    `.days_between: no time is given`,
		"days_between: {at_least: 1mo}":                       `.days_between.at_least: 1mo is not always as long`,
		"days_between: {at_least: 3d, at_most: 2d}":           `.days_between.at_most: at_most 2d is less than at_least 3d: nobody could match`,
		"bought_with: {and: {sku: a}}":                        `.bought_with: nothing says what was bought`,
		"bought_with: {sku: a}":                               `.bought_with.and: nothing says what was bought with it`,
		"never_bought: {sku: []}":                             `.never_bought.sku: nothing is listed`,
		"open_cart: {at_most: 3}":                             `.open_cart.at_most: 3 has no currency`,
		"open_cart: {items: {at_least: 3 EUR}}":               `.open_cart.items.at_least: 3 EUR is an amount`,
		"abandoned_carts: {at_least: 3 EUR}":                  `.abandoned_carts.at_least: carts are counted, but 3 EUR is an amount`,
		"recovered_cart: {idle_for: soon}":                    `.recovered_cart.idle_for: "soon" is no length of time`,
	} {
		var s rule.Spec
		if err := yaml.UnmarshalWithOptions([]byte("match: {"+text+"}"), &s, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range s.Validate("$.s") {
			got = append(got, strings.TrimPrefix(p.Path, "$.s.match")+": "+p.Message)
			if p.Want == "" {
				t.Errorf("%s: nothing says what would be right", text)
			}
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestExplainOfPurchasesAndCarts(t *testing.T) {
	p, at := customer(), instant("2026-10-31T23:00:00Z") // 1 November in Paris
	p.Orders = append(p.Orders, part(1, "9", "9", "2026-11-15T10:00:00Z", 4200, crm.ProfileLine{SKU: "S-7", Quantity: 1, Total: 4200}))
	for _, c := range []struct{ text, condition, value, next, why string }{
		{
			"bought: {of: basket, at_least: 50 EUR, in: this_year}", "bought at least 50.00 EUR a purchase in this year", "135.55 EUR in 2 purchases",
			"2026-12-31T23:00:00Z", "the order of 2026-11-15 10:00:00 UTC leaves the window of this year",
		},
		{
			"bought: {exactly: 0, in: last_month}", "bought exactly 0 orders in last month", "0 orders",
			"2026-11-30T23:00:00Z", "an order dated 2026-11-15 10:00:00 UTC counts from then on for last month",
		},
		{
			"first_purchase: {newer_than: 6mo}", "first purchase newer than 6mo", "bought at 2026-06-01 00:00:00 UTC",
			"2026-12-01T01:00:00Z", "the first purchase becomes 6mo old",
		},
		{"nth_purchase: {n: 4, within: 1h, brand: acme, coupon: x}", "4th purchase with brand acme using coupon x within 1h", "no 4th purchase", "", ""},
		{"days_between: {at_most: 30d}", "days between purchases at most 30d", "3 purchases, 30.5 days apart", "", ""},
		{"bought_with: {sku: S-7, and: {sku: H-8}, shop: boutique}", "bought in one purchase with sku S-7 in shop boutique together with sku H-8", "bought together at 2026-06-01 00:00:00 UTC", "", ""},
		{
			"never_bought: {price: {at_least: 42 EUR}}", "bought exactly 0 orders with a price of at least 42.00 EUR", "0 orders",
			"2026-11-15T10:00:00Z", "an order dated 2026-11-15 10:00:00 UTC counts from then on",
		},
		{"abandoned_carts: {at_least: 2, within: 1y}", "abandoned at least 2 carts idle for 1h within 1y", "0 carts abandoned", "", ""},
		{"recovered_cart: {at_least: 5 EUR}", "recovered a cart of at least 5.00 EUR idle for 1h", "0 carts recovered", "", ""},
	} {
		e := segment(t, c.text).Explain(p, at)
		got := []string{e.Condition, e.Value, "", e.Why}
		if !e.NextChange.IsZero() {
			got[2] = e.NextChange.Format("2006-01-02T15:04:05Z")
		}
		if d := cmp.Diff([]string{c.condition, c.value, c.next, c.why}, got); d != "" {
			t.Errorf("%s: %s", c.text, d)
		}
	}
	if !slices.IsSortedFunc(p.Orders, func(a, b crm.ProfileOrder) int { return int(a.PlacedAt/1000 - b.PlacedAt/1000) }) {
		t.Error("the profile was changed")
	}
}
