package rule

import (
	"fmt"

	"github.com/relance/relance/internal/crm"
)

// What bought counts.
const (
	ofOrders   = "orders"
	ofQuantity = "quantity"
	ofProducts = "products"
	ofAmount   = "amount"
	ofBasket   = "basket"
)

// Bought compares how much was bought with bounds. Without a bound it means at least one.
//
// Orders of one purchase count as one, dated when the first of them was placed; their pieces and amounts add up.
// Amounts are net of refunds, in the order's own currency or that of the shop's books; orders in any other are left out.
type Bought struct {
	AtLeast Bound `yaml:"at_least,omitempty"`
	AtMost  Bound `yaml:"at_most,omitempty"`
	Exactly Bound `yaml:"exactly,omitempty"`
	// Of is what is counted: orders (default), quantity (pieces not given back), products (different ones of which a piece
	// was not given back), amount (default where a bound has a currency), or basket: the mean amount of a purchase,
	// refunded ones included; without any purchase there is none, and no bound holds.
	Of     string `yaml:"of,omitempty"`
	Window `yaml:",inline"`
	Goods  `yaml:",inline"`
	Sales  `yaml:",inline"`
}

// bought sums over orders and bounds the sum.
type bought struct {
	bounds
	sales    sales
	of       string
	currency string // of an amount
	window   window
}

func (c *compiler) bought(path string, w Bought) condition {
	b := &bought{sales: c.sales(path, w.Sales, w.Goods), of: w.Of, window: c.window(path, w.Window)}
	b.bounds = c.bounded(path, w.AtLeast, w.AtMost, w.Exactly, w.Of != ofAmount && w.Of != ofBasket)
	c.ordered(path, b.bounds)
	c.measure(path, b)
	return b
}

// bounded reads bounds of which none has to be given: without any it is at least one, where that makes sense.
func (c *compiler) bounded(path string, atLeast, atMost, exactly Bound, one bool) bounds {
	b := bounds{low: c.bound(path+".at_least", atLeast), high: c.bound(path+".at_most", atMost)}
	if x := c.bound(path+".exactly", exactly); x.given {
		if b.low.given || b.high.given {
			c.fail(path+".exactly", "exactly stands beside another bound", "exactly alone, or at_least and at_most")
		}
		b.low, b.high = x, x
	}
	if !b.low.given && !b.high.given && one {
		b.low = bound{given: true, n: 1}
	}
	return b
}

// measure settles what is counted.
func (c *compiler) measure(path string, b *bought) {
	b.currency = b.bounds.currency()
	money := b.of == ofAmount || b.of == ofBasket
	switch {
	case b.currency != "" && b.of == "":
		b.of = ofAmount
	case b.currency != "" && !money:
		c.fail(path+".of", fmt.Sprintf("an amount cannot bound %s", b.of), "leave of: out, write basket, or write a whole number")
	case money && b.currency == "" && !b.low.bad && !b.high.bad:
		c.fail(path+".of", fmt.Sprintf("no amount bounds the %s", b.of), `at_least: or at_most: with an amount such as "100 EUR"`)
	case b.of == "":
		b.of = ofOrders
	case !money && b.of != ofOrders && b.of != ofQuantity && b.of != ofProducts:
		c.fail(path+".of", fmt.Sprintf("%q cannot be counted", b.of), "orders, quantity, products, amount or basket")
	}
}

// neverBought is bought with exactly 0.
func (c *compiler) neverBought(path string, w NeverBought) condition {
	return c.bought(path, Bought{Exactly: "0", Goods: w.Goods, Sales: w.Sales})
}

// tally are the orders that can ever count, oldest first, appended to fs.
func (b *bought) tally(p *crm.Profile, fs []dated) tally {
	switch b.of {
	case ofOrders:
		return b.sales.purchases(p, b.window, fs)
	case ofProducts:
		return b.products(p, fs)
	}
	v, several := b.window.of(p), false
	for i := range p.Orders {
		o := &p.Orders[i]
		if !b.sales.takes(o) {
			continue
		}
		n, ok := b.value(o)
		if !ok {
			continue
		}
		if from, to := v.span(o.PlacedAt); from < to {
			fs = append(fs, dated{at: o.PlacedAt, from: from, to: to, n: n, k: 1, order: int32(i)})
			several = several || shared(o)
		}
	}
	sortDated(fs)
	if several && b.of == ofBasket {
		fs = b.window.once(p, fs, true)
	}
	return tally{facts: fs}
}

// value is an order's share in the sum; ok is false when it has none.
func (b *bought) value(o *crm.ProfileOrder) (n int64, ok bool) {
	switch b.of {
	case ofQuantity:
		n = b.sales.goods.quantity(o)
		return n, n != 0
	case ofAmount:
		n, ok = b.sales.goods.revenue(o, b.currency)
		return n, ok && n != 0
	}
	if !b.sales.goods.in(o) {
		return 0, false
	}
	return b.sales.goods.revenue(o, b.currency)
}

// products has one fact for each line that was not given back as a whole.
func (b *bought) products(p *crm.Profile, fs []dated) tally {
	type product struct {
		shop int64
		id   string
	}
	keys := map[product]int32{}
	v := b.window.of(p)
	for i := range p.Orders {
		o := &p.Orders[i]
		if !b.sales.takes(o) {
			continue
		}
		from, to := v.span(o.PlacedAt)
		if from >= to {
			continue
		}
		for j := range o.Lines {
			l := &o.Lines[j]
			if l.Quantity <= l.Refunded || !b.sales.goods.sold(l, o) {
				continue
			}
			id := product{o.ShopID, "id " + l.ProductID}
			if l.ProductID == "" {
				id.id = "sku " + l.SKU
			}
			key, ok := keys[id]
			if !ok {
				key = int32(len(keys))
				keys[id] = key
			}
			fs = append(fs, dated{at: o.PlacedAt, from: from, to: to, n: 1, order: int32(i), key: key})
		}
	}
	sortDated(fs)
	return tally{facts: fs, keys: len(keys)}
}

func (b *bought) holds(n, k int64) bool {
	if b.of == ofBasket {
		return b.holdMean(n, k)
	}
	return b.hold(n)
}

func (b *bought) match(p *crm.Profile, t crm.Instant) bool {
	var few [8]dated
	c := b.tally(p, few[:0]).at(t)
	return b.holds(c.n, c.k)
}

func (b *bought) next(p *crm.Profile, t crm.Instant) crm.Instant {
	var few [8]dated
	at, _, _ := b.tally(p, few[:0]).turn(t, b.holds)
	return at
}

func (b *bought) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	return b.window.turnOf(b.tally(p, nil), t, b.holds)
}

func (b *bought) needs() crm.Needs {
	n := b.sales.needs()
	n.Lines = n.Lines || b.of == ofQuantity || b.of == ofProducts
	return n
}

func (b *bought) explain(p *crm.Profile, t crm.Instant) Explanation {
	c := b.tally(p, nil).at(t)
	at, why := b.turn(p, t)
	return leaf(b.String(), b.holds(c.n, c.k), b.has(c), at, why)
}

// has is what the contact has, in words.
func (b *bought) has(c count) string {
	money := bound{n: c.n, currency: b.currency}.String()
	switch {
	case b.of == ofAmount:
		return money
	case b.of == ofBasket && c.k == 0:
		return "no purchase"
	case b.of == ofBasket && c.k == 1:
		return money + " in 1 purchase"
	case b.of == ofBasket:
		return fmt.Sprintf("%s in %d purchases", money, c.k)
	case c.n == 1 && b.of == ofOrders:
		return "1 order"
	case c.n == 1 && b.of == ofProducts:
		return "1 product"
	}
	return fmt.Sprintf("%d %s", c.n, b.of)
}

func (b *bought) String() string {
	s := "bought " + b.bounds.String()
	switch b.of {
	case ofAmount:
	case ofBasket:
		s += " a purchase"
	default:
		s += " " + b.of
	}
	return s + b.sales.String() + b.window.String()
}
