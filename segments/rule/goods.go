package rule

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// Goods narrows purchases and carts down to lines; a line counts when it fulfils everything that is given.
type Goods struct {
	Product  List   `yaml:"product,omitempty"`  // ids of the platform
	SKU      List   `yaml:"sku,omitempty"`      // as written in the shop
	Category List   `yaml:"category,omitempty"` // ids or slugs; a category holds those below it
	Brand    List   `yaml:"brand,omitempty"`    // by the current catalogue; capitals do not matter
	Price    *Range `yaml:"price,omitempty"`    // of one piece, as paid
}

// Range has two ends, both included; one is enough.
type Range struct {
	AtLeast Bound `yaml:"at_least,omitempty"`
	AtMost  Bound `yaml:"at_most,omitempty"`
}

// goods is a compiled Goods.
type goods struct {
	products, skus, categories, brands []string
	price                              *bounds // nil: any
}

// bounds are a compiled Range.
type bounds struct{ low, high bound }

func (c *compiler) goods(path string, w Goods) goods {
	c.noneEmpty(path, named{"product", w.Product}, named{"sku", w.SKU}, named{"category", w.Category}, named{"brand", w.Brand})
	g := goods{products: w.Product, skus: w.SKU, categories: w.Category, brands: w.Brand}
	if w.Price != nil {
		price := c.bounds(path+".price", *w.Price, true)
		g.price = &price
	}
	return g
}

// named is a list with the name of its field.
type named struct {
	name string
	list List
}

func (c *compiler) noneEmpty(path string, lists ...named) {
	for _, l := range lists {
		if l.list != nil && (len(l.list) == 0 || slices.Contains(l.list, "")) {
			c.fail(path+"."+l.name, "nothing is listed", "one value or a list of them")
		}
	}
}

// bounds reads the two ends of a range of amounts or of counts.
func (c *compiler) bounds(path string, w Range, amounts bool) bounds {
	b := bounds{low: c.bound(path+".at_least", w.AtLeast), high: c.bound(path+".at_most", w.AtMost)}
	if w == (Range{}) {
		c.fail(path, "neither end is given", "at_least: or at_most:, or both")
	}
	for _, e := range []struct {
		name string
		raw  Bound
		end  bound
	}{{"at_least", w.AtLeast, b.low}, {"at_most", w.AtMost, b.high}} {
		switch {
		case !e.end.given || e.end.bad:
		case amounts && e.end.currency == "":
			c.fail(path+"."+e.name, fmt.Sprintf("%s has no currency", e.raw), `an amount such as "20 EUR"`)
		case !amounts && e.end.currency != "":
			c.fail(path+"."+e.name, fmt.Sprintf("%s is an amount", e.raw), "a whole number such as 2")
		}
	}
	c.ordered(path, b)
	return b
}

// ordered refuses two ends that contradict each other.
func (c *compiler) ordered(path string, b bounds) {
	switch {
	case !b.low.given || !b.high.given || b.low.bad || b.high.bad:
	case b.low.currency != b.high.currency:
		c.fail(path+".at_most", "the two bounds are of different kinds", "two counts, or two amounts in the same currency")
	case b.low.n > b.high.n:
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", b.high, b.low), "at_most not below at_least")
	}
}

func (b bounds) currency() string {
	if b.low.given {
		return b.low.currency
	}
	return b.high.currency
}

func (b bounds) hold(n int64) bool {
	return (!b.low.given || n >= b.low.n) && (!b.high.given || n <= b.high.n)
}

// holdMean tells whether n shared among k lies within the bounds, without dividing. Among nobody there is no mean.
func (b bounds) holdMean(n, k int64) bool {
	return k > 0 && (!b.low.given || compareProduct(n, b.low.n, k) >= 0) && (!b.high.given || compareProduct(n, b.high.n, k) <= 0)
}

// compareProduct compares n with a × k, of which neither is negative.
func compareProduct(n, a, k int64) int {
	high, low := bits.Mul64(uint64(a), uint64(k))
	switch {
	case n < 0, high > 0, uint64(n) < low:
		return -1
	case uint64(n) > low:
		return 1
	}
	return 0
}

func (b bounds) String() string {
	if b.low.given && b.low == b.high {
		return "exactly " + b.low.String()
	}
	var parts []string
	if b.low.given {
		parts = append(parts, "at least "+b.low.String())
	}
	if b.high.given {
		parts = append(parts, "at most "+b.high.String())
	}
	return strings.Join(parts, " and ")
}

func (g *goods) every() bool {
	return g.products == nil && g.skus == nil && g.categories == nil && g.brands == nil && g.price == nil
}

// has tells whether a line is of these goods, but for its price.
func (g *goods) has(l *crm.ProfileLine) bool {
	if g.products != nil && !slices.Contains(g.products, l.ProductID) || g.skus != nil && !slices.Contains(g.skus, l.SKU) {
		return false
	}
	if g.brands != nil && !containsFold(g.brands, l.Brand) {
		return false
	}
	return g.categories == nil || slices.ContainsFunc(l.Categories, func(id string) bool { return slices.Contains(g.categories, id) })
}

func containsFold(list []string, have string) bool {
	for _, want := range list {
		if strings.EqualFold(want, have) {
			return true
		}
	}
	return false
}

// sold tells whether a line of an order is of these goods. A price in the currency of the shop's books is compared with
// what the line is at the order's own rate; one in any other currency than these two is not comparable.
func (g *goods) sold(l *crm.ProfileLine, o *crm.ProfileOrder) bool {
	if !g.has(l) {
		return false
	}
	switch {
	case g.price == nil:
		return true
	case g.price.currency() == o.Currency:
		return g.price.holdMean(l.Total, l.Quantity)
	case g.price.currency() == o.BaseCurrency:
		return g.price.holdMean(crm.Scale(l.Total, o.BaseTotal, o.Total), l.Quantity)
	}
	return false
}

// in tells whether the order has a line of these goods.
func (g *goods) in(o *crm.ProfileOrder) bool {
	if g.every() {
		return true
	}
	for i := range o.Lines {
		if g.sold(&o.Lines[i], o) {
			return true
		}
	}
	return false
}

// inCart tells whether the cart holds these goods.
func (g *goods) inCart(k *crm.ProfileCart) bool {
	if g.every() {
		return true
	}
	for i := range k.Lines {
		l := &k.Lines[i]
		if g.has(l) && (g.price == nil || g.price.currency() == k.Currency && g.price.holdMean(l.Total, l.Quantity)) {
			return true
		}
	}
	return false
}

// quantity is what was bought of these goods and not given back.
func (g *goods) quantity(o *crm.ProfileOrder) int64 {
	var n int64
	for i := range o.Lines {
		if l := &o.Lines[i]; g.sold(l, o) {
			n += max(l.Quantity-l.Refunded, 0)
		}
	}
	return n
}

// revenue is what was paid for these goods and not given back, in a currency: the order's own, or that of the shop's
// books at the order's own rate; ok is false for any other. A line partly given back counts in proportion, and never
// more than what is left of its order.
func (g *goods) revenue(o *crm.ProfileOrder, currency string) (n int64, ok bool) {
	var left int64
	switch currency {
	case o.Currency:
		left = o.Revenue()
	case o.BaseCurrency:
		left = o.BaseTotal - crm.Scale(o.Refunded, o.BaseTotal, o.Total)
	default:
		return 0, false
	}
	if g.every() {
		return left, true
	}
	var sum int64
	for i := range o.Lines {
		l := &o.Lines[i]
		if !g.sold(l, o) {
			continue
		}
		switch kept := l.Quantity - l.Refunded; {
		case l.Refunded <= 0:
			sum += l.Total
		case kept > 0:
			sum += crm.Scale(l.Total, kept, l.Quantity)
		}
	}
	if currency != o.Currency {
		sum = crm.Scale(sum, o.BaseTotal, o.Total)
	}
	return min(sum, left), true
}

func (g *goods) String() string {
	var parts []string
	for _, l := range []struct {
		name string
		list []string
	}{{"product", g.products}, {"sku", g.skus}, {"category", g.categories}, {"brand", g.brands}} {
		if l.list != nil {
			parts = append(parts, l.name+" "+strings.Join(l.list, " or "))
		}
	}
	if g.price != nil {
		parts = append(parts, "a price of "+g.price.String())
	}
	if parts == nil {
		return ""
	}
	return " with " + strings.Join(parts, " and ")
}
