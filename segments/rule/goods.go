package rule

import (
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// goods is a compiled Goods.
type goods struct{ products, skus, categories []string }

func (c *compiler) goods(path string, w Goods) goods {
	for _, l := range []struct {
		name string
		list List
	}{{"product", w.Product}, {"sku", w.SKU}, {"category", w.Category}} {
		if l.list != nil && (len(l.list) == 0 || slices.Contains(l.list, "")) {
			c.fail(path+"."+l.name, "nothing is listed", "one value or a list of them")
		}
	}
	return goods{w.Product, w.SKU, w.Category}
}

func (g goods) every() bool { return g.products == nil && g.skus == nil && g.categories == nil }

func (g goods) has(l *crm.ProfileLine) bool {
	if g.products != nil && !slices.Contains(g.products, l.ProductID) || g.skus != nil && !slices.Contains(g.skus, l.SKU) {
		return false
	}
	return g.categories == nil || slices.ContainsFunc(l.Categories, func(id string) bool { return slices.Contains(g.categories, id) })
}

// in tells whether the order has a line of these goods.
func (g goods) in(o *crm.ProfileOrder) bool {
	if g.every() {
		return true
	}
	for i := range o.Lines {
		if g.has(&o.Lines[i]) {
			return true
		}
	}
	return false
}

// quantity is what was bought of these goods and not given back.
func (g goods) quantity(o *crm.ProfileOrder) int64 {
	var n int64
	for i := range o.Lines {
		if l := &o.Lines[i]; g.has(l) {
			n += max(l.Quantity-l.Refunded, 0)
		}
	}
	return n
}

// revenue is what was paid for these goods and not given back. A line partly given back counts in proportion,
// and never more than what is left of its order.
func (g goods) revenue(o *crm.ProfileOrder) int64 {
	if g.every() {
		return o.Revenue()
	}
	var sum int64
	for i := range o.Lines {
		l := &o.Lines[i]
		if !g.has(l) {
			continue
		}
		switch kept := l.Quantity - l.Refunded; {
		case l.Refunded <= 0:
			sum += l.Total
		case kept > 0:
			sum += l.Total * kept / l.Quantity
		}
	}
	return min(sum, o.Revenue())
}

func (g goods) needs() crm.Needs { return crm.Needs{Orders: true, Lines: !g.every()} }

func (g goods) String() string {
	var parts []string
	for _, l := range []struct {
		name string
		list []string
	}{{"product", g.products}, {"sku", g.skus}, {"category", g.categories}} {
		if l.list != nil {
			parts = append(parts, l.name+" "+strings.Join(l.list, " or "))
		}
	}
	if parts == nil {
		return ""
	}
	return " with " + strings.Join(parts, " and ")
}
