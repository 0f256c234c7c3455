package ruletest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// purchaseKinds are the conditions on what was bought and on carts.
func purchaseKinds() []string {
	return []string{
		"bought", "last_purchase", "first_purchase", "nth_purchase", "days_between", "bought_with", "never_bought",
		"open_cart", "recovered_cart", "abandoned_carts",
	}
}

// purchaseLeaf draws a condition of one of purchaseKinds.
func purchaseLeaf(t *rapid.T, kind string) rule.Condition {
	switch kind {
	case "bought":
		return rule.Condition{Bought: bought(t)}
	case "last_purchase":
		a := aged(t, true)
		return rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: a.older, NewerThan: a.newer, Window: a.window, Goods: goods(t), Sales: sales(t)}}
	case "first_purchase":
		a := aged(t, true)
		return rule.Condition{FirstPurchase: &rule.FirstPurchase{OlderThan: a.older, NewerThan: a.newer, Window: a.window, Goods: goods(t), Sales: sales(t)}}
	case "nth_purchase":
		n, a := rapid.IntRange(1, 3).Draw(t, "nth"), aged(t, false)
		return rule.Condition{NthPurchase: &rule.NthPurchase{N: n, OlderThan: a.older, NewerThan: a.newer, Window: a.window, Goods: goods(t), Sales: sales(t)}}
	case "days_between":
		d := &rule.DaysBetween{Goods: goods(t), Sales: sales(t)}
		mode := rapid.IntRange(1, 3).Draw(t, "ends")
		if mode&1 != 0 {
			d.AtLeast = length(t, "least", 1, 30)
		}
		if mode&2 != 0 {
			d.AtMost = length(t, "most", 30, 60)
		}
		return rule.Condition{DaysBetween: d}
	case "bought_with":
		return rule.Condition{BoughtWith: &rule.BoughtWith{Goods: someGoods(t), And: someGoods(t), Window: window(t), Sales: sales(t)}}
	case "never_bought":
		return rule.Condition{NeverBought: &rule.NeverBought{Goods: goods(t), Sales: sales(t)}}
	}
	return cartLeaf(t, kind)
}

func cartLeaf(t *rapid.T, kind string) rule.Condition {
	switch kind {
	case "open_cart":
		o := &rule.OpenCart{Held: held(t)}
		if rapid.Bool().Draw(t, "idle?") {
			o.IdleFor = length(t, "idle", 1, 20)
		}
		if rapid.Bool().Draw(t, "younger?") {
			o.YoungerThan = length(t, "younger", 21, 60)
		}
		return rule.Condition{OpenCart: o}
	case "recovered_cart":
		r := &rule.RecoveredCart{Window: window(t), Held: held(t)}
		if rapid.Bool().Draw(t, "idle?") {
			r.IdleFor = length(t, "idle", 1, 20)
		}
		return rule.Condition{RecoveredCart: r}
	}
	h := held(t)
	a := &rule.AbandonedCarts{Window: window(t), Items: h.Items, Goods: h.Goods, Shop: h.Shop}
	if rapid.Bool().Draw(t, "idle?") {
		a.IdleFor = length(t, "idle", 1, 20)
	}
	a.AtLeast, a.AtMost, a.Exactly = bounds(t, rule.Bound(fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "n"))))
	return rule.Condition{AbandonedCarts: a}
}

// held draws which carts are looked at; mostly any.
func held(t *rapid.T) rule.Held {
	switch rapid.IntRange(0, 9).Draw(t, "held") {
	case 0, 1:
		return rule.Held{AtLeast: "2 EUR"}
	case 2:
		return rule.Held{AtLeast: "1 EUR", AtMost: "3 EUR"}
	case 3:
		return rule.Held{Items: &rule.Range{AtLeast: "2"}}
	case 4:
		return rule.Held{Shop: rule.List{"boutique"}, Goods: rule.Goods{Product: rule.List{"1"}}}
	case 5:
		return rule.Held{Items: &rule.Range{AtMost: "2"}}
	case 6, 7:
		return rule.Held{Goods: someGoods(t)}
	}
	return rule.Held{}
}

// window draws when a fact counts: never bounded, by a length in hours or months, by the calendar, by days.
func window(t *rapid.T) rule.Window {
	switch rapid.IntRange(0, 4).Draw(t, "window") {
	case 1:
		return rule.Window{Within: length(t, "within", 1, 60)}
	case 2:
		return rule.Window{Between: &rule.Period{From: "2026-10-24", Before: "2026-10-26"}}
	case 3:
		return rule.Window{In: rapid.SampledFrom([]string{
			"today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "last_quarter", "this_year", "last_year",
		}).Draw(t, "in")}
	case 4:
		return rule.Window{Within: rapid.SampledFrom([]rule.Length{"1mo", "2mo", "1y"}).Draw(t, "months")}
	}
	return rule.Window{}
}

type ages struct {
	older, newer rule.Length
	window       rule.Window
}

// aged draws bounds of an age, one at least when some is needed.
func aged(t *rapid.T, some bool) (a ages) {
	mode := rapid.IntRange(0, 5).Draw(t, "ages")
	if mode == 0 && some {
		mode = 3
	}
	switch mode {
	case 4:
		a.window = window(t)
	case 5:
		a.older, a.newer = "1mo", "2mo"
	}
	if mode < 4 && mode&1 != 0 || some && a == (ages{}) {
		a.older = length(t, "older", 1, 40)
	}
	if mode < 4 && mode&2 != 0 {
		a.newer = length(t, "newer", 41, 90)
	}
	return a
}

// bounds puts a bound at one of its three places, or nowhere.
func bounds(t *rapid.T, bound rule.Bound) (atLeast, atMost, exactly rule.Bound) {
	switch rapid.IntRange(0, 3).Draw(t, "bound") {
	case 0:
		return bound, "", ""
	case 1:
		return "", bound, ""
	case 2:
		return "", "", bound
	}
	return "", "", ""
}

func bought(t *rapid.T) *rule.Bought {
	b := &rule.Bought{Goods: goods(t), Sales: sales(t), Window: window(t)}
	n := rapid.IntRange(0, 3).Draw(t, "n")
	bound := rule.Bound(fmt.Sprint(n))
	of := rapid.SampledFrom([]string{"", "quantity", "products", "amount", "basket"}).Draw(t, "of")
	if of == "amount" || of == "basket" {
		bound = rule.Bound(fmt.Sprintf("%d EUR", n*2))
	}
	b.AtLeast, b.AtMost, b.Exactly = bounds(t, bound)
	if b.AtLeast != "" || b.AtMost != "" || b.Exactly != "" {
		b.Of = of
	}
	return b
}

func goods(t *rapid.T) rule.Goods {
	if rapid.Bool().Draw(t, "goods?") {
		return someGoods(t)
	}
	return rule.Goods{}
}

// someGoods draws goods that are narrowed down.
func someGoods(t *rapid.T) rule.Goods {
	return rapid.SampledFrom([]rule.Goods{
		{Product: rule.List{"1", "2"}},
		{Product: rule.List{"3"}},
		{Category: rule.List{"shoes"}},
		{Brand: rule.List{"Acme"}},
		{SKU: rule.List{"S-7"}},
		{Price: &rule.Range{AtLeast: "1.50 EUR"}},
		{Price: &rule.Range{AtMost: "2 EUR"}},
		{Category: rule.List{"7"}, Price: &rule.Range{AtLeast: "1 EUR", AtMost: "1.50 EUR"}},
	}).Draw(t, "goods")
}

// sales draws which orders are looked at; mostly those that count as a sale.
func sales(t *rapid.T) rule.Sales {
	switch rapid.IntRange(0, 11).Draw(t, "sales") {
	case 0:
		return rule.Sales{Shop: rule.List{"boutique"}}
	case 1:
		return rule.Sales{Coupon: rule.List{"spring"}}
	case 2:
		return rule.Sales{Status: rule.List{crm.StateCompleted, crm.StateCancelled}}
	}
	return rule.Sales{}
}

// ago draws how long before what is drawn around Base something lies, so that windows of months end there, too.
func ago(t *rapid.T) time.Duration {
	const day = 24 * time.Hour
	return rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 0, 0, 30 * day, 31 * day, 61 * day, 365 * day}).Draw(t, "ago")
}

func order() *rapid.Generator[crm.ProfileOrder] {
	return rapid.Custom(func(t *rapid.T) crm.ProfileOrder {
		o := crm.ProfileOrder{
			CountsAsSale: rapid.IntRange(0, 4).Draw(t, "sale") > 0, PlacedAt: Instant().Draw(t, "placed").Add(-ago(t)),
			Currency: rapid.SampledFrom([]string{"EUR", "EUR", "USD"}).Draw(t, "currency"), ShopID: int64(rapid.IntRange(1, 2).Draw(t, "shop")),
		}
		o.Shop, o.State = []string{"boutique", "outlet"}[o.ShopID-1], crm.StateCompleted
		if !o.CountsAsSale {
			o.State = rapid.SampledFrom([]string{crm.StateCancelled, crm.StatePending}).Draw(t, "state")
		}
		o.Purchase = rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(t, "purchase")
		if rapid.IntRange(0, 3).Draw(t, "coupon") == 0 {
			o.Coupons = []string{"SPRING"}
		}
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			o.Lines = append(o.Lines, line(t))
			o.Total += o.Lines[len(o.Lines)-1].Total
		}
		if rapid.IntRange(0, 3).Draw(t, "refund") == 0 {
			o.Refunded = o.Total / 2
			o.Lines[0].Refunded = 1
		}
		if o.Currency == "USD" && rapid.Bool().Draw(t, "books") {
			o.BaseCurrency, o.BaseTotal = "EUR", o.Total*9/10
		}
		return o
	})
}

func line(t *rapid.T) crm.ProfileLine {
	l := crm.ProfileLine{
		ProductID: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "product"),
		Quantity:  int64(rapid.IntRange(1, 2).Draw(t, "quantity")), Total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100,
	}
	if rapid.Bool().Draw(t, "sku") {
		l.SKU = "S-7"
	}
	if rapid.Bool().Draw(t, "shoes") {
		l.Categories = []string{"7", "shoes"}
	}
	if rapid.IntRange(0, 2).Draw(t, "brand") == 0 {
		l.Brand = "acme"
	}
	return l
}

// orders draws some, oldest first, with ids; some orders are the first of the purchase that others are part of.
func orders(t *rapid.T) []crm.ProfileOrder {
	os := rapid.SliceOfN(order(), 0, 5).Draw(t, "orders")
	slices.SortStableFunc(os, func(a, b crm.ProfileOrder) int { return int(a.PlacedAt/1000 - b.PlacedAt/1000) })
	for i := range os {
		os[i].ID = fmt.Sprint(i)
		if os[i].Purchase == "" {
			os[i].Purchase = os[i].ID
		}
	}
	return os
}

func cart() *rapid.Generator[crm.ProfileCart] {
	return rapid.Custom(func(t *rapid.T) crm.ProfileCart {
		at := Instant().Draw(t, "created").Add(-ago(t))
		c := crm.ProfileCart{
			ID: "c", Currency: "EUR", Total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100, CreatedAt: at, ActiveAt: at,
			Shop: rapid.SampledFrom([]string{"boutique", "outlet"}).Draw(t, "shop"),
		}
		c.ActiveAt = at.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "active")) * time.Hour)
		if rapid.Bool().Draw(t, "closed?") {
			c.ClosedAt = c.ActiveAt.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "closed")) * time.Hour)
			c.ClosedBy = rapid.SampledFrom([]string{"ordered", "ordered", "expired"}).Draw(t, "by")
		}
		c.Lines = append(c.Lines, line(t))
		return c
	})
}
