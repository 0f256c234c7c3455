package rule

import (
	"github.com/relance/relance/internal/crm"
)

// BoughtWith asks for a purchase that holds both these goods and those. One line that is both will do. The purchase is
// dated when it held both: as a rule they are in one order.
type BoughtWith struct {
	Goods  `yaml:",inline"`
	And    Goods `yaml:"and"`
	Window `yaml:",inline"`
	Sales  `yaml:",inline"`
}

// NeverBought is the contrary of bought.
type NeverBought struct {
	Goods `yaml:",inline"`
	Sales `yaml:",inline"`
}

type boughtWith struct {
	sales  sales
	and    goods
	window window
}

func (c *compiler) boughtWith(path string, w BoughtWith) condition {
	b := &boughtWith{sales: c.sales(path, w.Sales, w.Goods), and: c.goods(path+".and", w.And), window: c.window(path, w.Window)}
	const want = "one of product, sku, category, brand and price"
	if b.sales.goods.every() {
		c.fail(path, "nothing says what was bought", want+", beside and:")
	}
	if b.and.every() {
		c.fail(path+".and", "nothing says what was bought with it", want)
	}
	return b
}

// tally has one fact for each purchase.
func (b *boughtWith) tally(p *crm.Profile, fs []dated) tally {
	v, several := b.window.of(p), false
	for i := range p.Orders {
		several = several || shared(&p.Orders[i])
	}
	add := func(at crm.Instant) {
		if from, to := v.span(at); from < to {
			fs = append(fs, dated{at: at, from: from, to: to, n: 1})
		}
	}
	if several {
		b.together(p, add)
	} else {
		for i := range p.Orders {
			if o := &p.Orders[i]; b.sales.in(o) && b.and.in(o) {
				add(o.PlacedAt)
			}
		}
	}
	sortDated(fs)
	return tally{facts: fs}
}

// together goes through purchases of which some are made of several orders.
func (b *boughtWith) together(p *crm.Profile, add func(crm.Instant)) {
	type pair struct{ these, those crm.Instant } // when the purchase had them first
	pairs := make(map[purchase]pair, len(p.Orders))
	for i := range p.Orders {
		o := &p.Orders[i]
		if !b.sales.takes(o) {
			continue
		}
		these, those := crm.Never, crm.Never
		if b.sales.goods.in(o) {
			these = o.PlacedAt
		}
		if b.and.in(o) {
			those = o.PlacedAt
		}
		key := purchaseOf(o)
		if key.id == "" {
			if max(these, those) < crm.Never {
				add(o.PlacedAt)
			}
			continue
		}
		had, again := pairs[key]
		if !again {
			had = pair{crm.Never, crm.Never}
		}
		pairs[key] = pair{min(had.these, these), min(had.those, those)}
	}
	for _, x := range pairs {
		if at := max(x.these, x.those); at < crm.Never {
			add(at)
		}
	}
}

func once(n, _ int64) bool { return n > 0 }

func (b *boughtWith) match(p *crm.Profile, t crm.Instant) bool { return b.tally(p, nil).at(t).n > 0 }

func (b *boughtWith) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := b.turn(p, t)
	return at
}

func (b *boughtWith) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	return b.window.turnOf(b.tally(p, nil), t, once)
}

func (b *boughtWith) needs() crm.Needs {
	return Union(b.sales.needs(), crm.Needs{Orders: true, Lines: true})
}

func (b *boughtWith) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := b.turn(p, t)
	value, last := "no such purchase", crm.Instant(0)
	for _, f := range b.tally(p, nil).facts {
		if f.from <= t && t < f.to {
			last = f.at
		}
	}
	if last != 0 {
		value = "bought together at " + stamp(last)
	}
	return leaf("bought in one purchase"+b.sales.String()+" together"+b.and.String()+b.window.String(), b.match(p, t), value, at, why)
}
