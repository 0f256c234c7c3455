package oracletest

import (
	"cmp"
	"math/big"
	"slices"
)

// taken tells whether an order is looked at by status, shop and coupon, whatever it holds.
func (o *Oracle) taken(n *node, x Order) bool {
	states, shops, coupons := n.list("status"), n.list("shop"), n.list("coupon")
	if states == nil && !x.Sale || states != nil && !among(states, x.State) {
		return false
	}
	if shops != nil && !among(shops, x.ShopName) {
		return false
	}
	return coupons == nil || slices.ContainsFunc(x.Coupons, func(code string) bool { return amongAlike(coupons, code) })
}

// narrowed tells whether lines are looked at one by one.
func narrowed(n *node) bool {
	return slices.ContainsFunc(goodsFields(), n.has)
}

// fits tells whether a line is of the goods; x is its order or, for a cart, holds the currency alone.
func fits(n *node, l Line, x Order) bool {
	if list := n.list("product"); list != nil && !among(list, l.Product) {
		return false
	}
	if list := n.list("sku"); list != nil && !among(list, l.SKU) {
		return false
	}
	if list := n.list("brand"); list != nil && !amongAlike(list, l.Brand) {
		return false
	}
	if list := n.list("category"); list != nil && !slices.ContainsFunc(l.Categories, func(c string) bool { return among(list, c) }) {
		return false
	}
	if !n.has("price") {
		return true
	}
	bounds := n.child("price", "at_least", "at_most").limits()
	total := l.Total
	if bounds.currency != x.Currency {
		if bounds.currency != x.BaseCurrency || x.BaseCurrency == "" {
			return false
		}
		total = share(l.Total, x.BaseTotal, x.Total)
	}
	return l.Quantity > 0 && bounds.hold(big.NewRat(total, l.Quantity))
}

func (o *Oracle) holdsGoods(n *node, x Order) bool {
	return !narrowed(n) || slices.ContainsFunc(x.Lines, func(l Line) bool { return fits(n, l, x) })
}

// worth is what was paid for the goods of an order and not given back; ok is false in a currency that it does not know.
func worth(n *node, x Order, currency string) (minor int64, ok bool) {
	total, refunded := x.Total, x.Refunded
	switch {
	case currency == x.Currency:
	case currency == x.BaseCurrency && currency != "":
		total, refunded = x.BaseTotal, share(x.Refunded, x.BaseTotal, x.Total)
	default:
		return 0, false
	}
	if !narrowed(n) {
		return total - refunded, true
	}
	sum := int64(0)
	for _, l := range x.Lines {
		if !fits(n, l, x) {
			continue
		}
		switch kept := l.Quantity - l.Refunded; {
		case l.Refunded <= 0:
			sum += l.Total
		case kept > 0:
			sum += share(l.Total, kept, l.Quantity)
		}
	}
	if currency != x.Currency {
		sum = share(sum, x.BaseTotal, x.Total)
	}
	return min(sum, total-refunded), true
}

// purchase is what a customer sees as one: an order, or several that stand for it.
type purchase struct {
	shop   int64
	name   string
	at     int64 // when the first of its orders was placed
	orders []Order
}

// purchases puts orders together, in the order of their dates.
func purchases(orders []Order) []*purchase {
	var out []*purchase
	sorted := slices.SortedStableFunc(slices.Values(orders), func(a, b Order) int { return cmp.Compare(a.PlacedAt, b.PlacedAt) })
	for _, x := range sorted {
		name := cmp.Or(x.Purchase, x.ID)
		i := slices.IndexFunc(out, func(p *purchase) bool { return name != "" && p.shop == x.Shop && p.name == name })
		if i < 0 {
			i = len(out)
			out = append(out, &purchase{shop: x.Shop, name: name, at: x.PlacedAt})
		}
		out[i].orders = append(out[i].orders, x)
	}
	return out
}

// bought counts what was bought up to t.
func (o *Oracle) bought(n *node) bool {
	bounds, of := n.limits(), n.text("of")
	if bounds.none() {
		bounds.low = whole(1)
	}
	if of == "" {
		of = "orders"
		if bounds.currency != "" {
			of = "amount"
		}
	}
	var seen []Order // orders that are looked at and not dated after t
	for _, x := range o.who.Orders {
		if o.taken(n, x) && o.holdsGoods(n, x) && x.PlacedAt <= o.t {
			seen = append(seen, x)
		}
	}
	switch of {
	case "quantity", "products", "amount":
		return bounds.hold(whole(o.each(n, of, bounds.currency, seen)))
	case "orders", "basket":
		return o.purchased(n, of, bounds, seen)
	}
	panic(confused(n.path + ": the oracle cannot count " + of))
}

// each adds up what every order in the window holds.
func (o *Oracle) each(n *node, of, currency string, seen []Order) (sum int64) {
	type product struct {
		shop int64
		name string
	}
	different := map[product]bool{}
	for _, x := range seen {
		if !o.window(n, x.PlacedAt) {
			continue
		}
		if of == "amount" {
			minor, _ := worth(n, x, currency)
			sum += minor
			continue
		}
		for _, l := range x.Lines {
			if kept := l.Quantity - l.Refunded; kept > 0 && fits(n, l, x) {
				name := "product " + l.Product
				if l.Product == "" {
					name = "sku " + l.SKU
				}
				different[product{x.Shop, name}] = true
				sum += kept
			}
		}
	}
	if of == "products" {
		return int64(len(different))
	}
	return sum
}

// purchased counts purchases, or takes the mean of what they are worth. A purchase is as old as its first order; what of
// it lies in another period of the calendar belongs there.
func (o *Oracle) purchased(n *node, of string, bounds limits, seen []Order) bool {
	if of == "basket" {
		seen = slices.DeleteFunc(slices.Clone(seen), func(x Order) bool { _, ok := worth(n, x, bounds.currency); return !ok })
	}
	if n.text("within") == "" {
		seen = slices.DeleteFunc(slices.Clone(seen), func(x Order) bool { return !o.window(n, x.PlacedAt) })
	}
	sum, count := int64(0), int64(0)
	for _, p := range purchases(seen) {
		if !o.window(n, p.at) {
			continue
		}
		count++
		for _, x := range p.orders {
			minor, _ := worth(n, x, bounds.currency)
			sum += minor
		}
	}
	if of == "orders" {
		return bounds.hold(whole(count))
	}
	return count > 0 && bounds.hold(big.NewRat(sum, count))
}

// sales are the orders that are looked at and hold the goods, dated up to t.
func (o *Oracle) sales(n *node) []Order {
	var out []Order
	for _, x := range o.who.Orders {
		if o.taken(n, x) && o.holdsGoods(n, x) && x.PlacedAt <= o.t {
			out = append(out, x)
		}
	}
	return out
}

func (o *Oracle) lastPurchase(n *node) bool {
	last := int64(-1 << 62)
	sales := o.sales(n)
	for _, x := range sales {
		last = max(last, x.PlacedAt)
	}
	return len(sales) > 0 && o.aged(n, last)
}

func (o *Oracle) nthPurchase(n *node, place int) bool {
	ps := purchases(o.sales(n))
	return len(ps) >= place && o.aged(n, ps[place-1].at)
}

// daysBetween: the mean time from one purchase to the next.
func (o *Oracle) daysBetween(n *node) bool {
	ps := purchases(o.sales(n))
	least, _ := lengthOf(n.text("at_least"))
	most, _ := lengthOf(n.text("at_most"))
	if len(ps) < 2 {
		return false
	}
	mean := big.NewRat(ps[len(ps)-1].at-ps[0].at, int64(len(ps)-1))
	return mean.Cmp(whole(least)) >= 0 && (most == 0 || mean.Cmp(whole(most)) <= 0)
}

// boughtWith: a purchase that holds these and those, dated when it held both.
func (o *Oracle) boughtWith(n *node) bool {
	and := n.child("and", goodsFields()...)
	var seen []Order
	for _, x := range o.who.Orders {
		if o.taken(n, x) && x.PlacedAt <= o.t {
			seen = append(seen, x)
		}
	}
	for _, p := range purchases(seen) {
		var these, those []int64
		for _, x := range p.orders {
			if o.holdsGoods(n, x) {
				these = append(these, x.PlacedAt)
			}
			if o.holdsGoods(and, x) {
				those = append(those, x.PlacedAt)
			}
		}
		if these != nil && those != nil && o.window(n, max(slices.Min(these), slices.Min(those))) {
			return true
		}
	}
	return false
}
