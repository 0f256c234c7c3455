package rule

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
)

// What bought counts.
const (
	ofOrders   = "orders"
	ofQuantity = "quantity"
	ofAmount   = "amount"
)

// bought sums over orders that count as a sale and bounds the sum. Orders of one purchase (a split cart, an edited order)
// count as one, dated when the first of them was placed; their quantities and amounts add up.
type bought struct {
	goods    goods
	of       string
	currency string // of an amount
	low      bound
	high     bound
	within   time.Duration // a fact dated f counts at t in [f, f+within); 0 = for ever
	from     *civil        // or: only facts dated in [from, before), civil days of the contact
	before   *civil
}

func (c *compiler) bought(path string, w Bought) condition {
	b := bought{
		goods: c.goods(path, w.Goods), of: w.Of, within: c.length(path+".within", w.Within),
		low: c.bound(path+".at_least", w.AtLeast), high: c.bound(path+".at_most", w.AtMost),
	}
	if exactly := c.bound(path+".exactly", w.Exactly); exactly.given {
		if b.low.given || b.high.given {
			c.fail(path+".exactly", "exactly stands beside another bound", "exactly alone, or at_least and at_most")
		}
		b.low, b.high = exactly, exactly
	}
	if !b.low.given && !b.high.given {
		b.low = bound{given: true, n: 1}
	}
	c.measure(path, &b)
	if b.low.given && b.high.given && b.low.n > b.high.n {
		c.fail(path+".at_most", fmt.Sprintf("at_most %s is less than at_least %s: nobody could match", b.high, b.low), "at_most not below at_least")
	}
	if w.Between != nil {
		if w.Within != "" {
			c.fail(path+".between", "between and within stand side by side", "one of them")
		}
		b.from, b.before = c.period(path+".between", *w.Between)
	}
	return b
}

// measure settles what is counted.
func (c *compiler) measure(path string, b *bought) {
	for _, x := range []bound{b.low, b.high} {
		if !x.given {
			continue
		}
		if b.low.given && b.high.given && b.low.currency != b.high.currency {
			c.fail(path+".at_most", "the two bounds are of different kinds", "two counts, or two amounts in the same currency")
		}
		b.currency = x.currency
		break
	}
	switch {
	case b.currency != "" && b.of != "" && b.of != ofAmount:
		c.fail(path+".of", fmt.Sprintf("an amount cannot bound %s", b.of), "leave of: out, or write a whole number")
	case b.currency != "":
		b.of = ofAmount
	case b.of == "":
		b.of = ofOrders
	case b.of != ofOrders && b.of != ofQuantity:
		c.fail(path+".of", fmt.Sprintf("%q cannot be counted", b.of), `orders or quantity; for money write the bound as an amount, such as "100 EUR"`)
	}
}

func (c *compiler) period(path string, w Period) (from, before *civil) {
	if w.From == "" && w.Before == "" {
		c.fail(path, "the period has neither end", "from: its first day, before: the first day after it")
	}
	if d, ok := c.civil(path+".from", w.From); ok {
		from = &d
	}
	if d, ok := c.civil(path+".before", w.Before); ok {
		before = &d
	}
	if from != nil && before != nil && from.start(time.UTC) >= before.start(time.UTC) {
		c.fail(path+".before", fmt.Sprintf("the period ends (%s) before it has begun (%s)", before, from), "the first day after the period")
	}
	return from, before
}

// fact is one order's share in the sum.
type fact struct {
	at    crm.Instant
	n     int64
	order *crm.ProfileOrder
}

func (b bought) value(o *crm.ProfileOrder) int64 {
	switch {
	case !o.CountsAsSale:
		return 0
	case b.of == ofQuantity:
		return b.goods.quantity(o)
	case b.of == ofAmount && o.Currency != b.currency:
		return 0
	case b.of == ofAmount:
		return b.goods.revenue(o)
	case b.goods.in(o):
		return 1
	}
	return 0
}

// facts are the orders that can ever count, oldest first.
func (b bought) facts(p *crm.Profile) []fact {
	lo, hi := b.bounds(p)
	out := make([]fact, 0, len(p.Orders))
	shared := false // some order stands for another's purchase
	for i := range p.Orders {
		o := &p.Orders[i]
		if o.PlacedAt < lo || o.PlacedAt >= hi {
			continue
		}
		if n := b.value(o); n != 0 {
			out = append(out, fact{o.PlacedAt, n, o})
			shared = shared || o.Purchase != "" && o.Purchase != o.ID
		}
	}
	byTime := func(x, y fact) int { return int(min(max(x.at-y.at, -1), 1)) }
	if !slices.IsSortedFunc(out, byTime) {
		slices.SortStableFunc(out, byTime)
	}
	if shared && b.of == ofOrders {
		out = purchases(out)
	}
	return out
}

// purchases keeps the first order of every purchase.
func purchases(fs []fact) []fact {
	type purchase struct {
		shop int64
		id   string
	}
	seen := make(map[purchase]bool, len(fs))
	return slices.DeleteFunc(fs, func(f fact) bool {
		key := purchase{f.order.ShopID, cmp.Or(f.order.Purchase, f.order.ID)}
		again := key.id != "" && seen[key]
		seen[key] = true
		return again
	})
}

func (b bought) bounds(p *crm.Profile) (lo, hi crm.Instant) {
	lo, hi = -crm.Never, crm.Never
	if b.from == nil && b.before == nil {
		return lo, hi
	}
	loc := p.Contact.Location()
	if b.from != nil {
		lo = b.from.start(loc)
	}
	if b.before != nil {
		hi = b.before.start(loc)
	}
	return lo, hi
}

func (b bought) leaves(f fact) crm.Instant {
	if b.within == 0 {
		return crm.Never
	}
	return f.at.Add(b.within)
}

// sum is what counts at t.
func (b bought) sum(fs []fact, t crm.Instant) int64 {
	var n int64
	for _, f := range fs {
		if f.at > t {
			break
		}
		if t < b.leaves(f) {
			n += f.n
		}
	}
	return n
}

func (b bought) holds(n int64) bool {
	return (!b.low.given || n >= b.low.n) && (!b.high.given || n <= b.high.n)
}

func (b bought) match(p *crm.Profile, t crm.Instant) bool { return b.holds(b.sum(b.facts(p), t)) }

// next walks through the instants at which orders enter and leave the window until the verdict turns.
func (b bought) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := b.turn(b.facts(p), t)
	return at
}

func (b bought) turn(fs []fact, t crm.Instant) (at crm.Instant, why reason) {
	n := b.sum(fs, t)
	now := b.holds(n)
	in, out := 0, 0
	for in < len(fs) && fs[in].at <= t {
		in++
	}
	for out < in && b.leaves(fs[out]) <= t {
		out++
	}
	for in < len(fs) || out < in {
		at = crm.Never
		if in < len(fs) {
			at = fs[in].at
		}
		if out < in {
			at = min(at, b.leaves(fs[out]))
		}
		if at == crm.Never {
			break
		}
		for ; in < len(fs) && fs[in].at == at; in++ {
			n, why = n+fs[in].n, reason{text: "an order dated %s counts from then on", at: fs[in].at}
		}
		for ; out < in && b.leaves(fs[out]) == at; out++ {
			n, why = n-fs[out].n, reason{text: "the order of %s leaves the window of %s", at: fs[out].at, length: b.within}
		}
		if b.holds(n) != now {
			return at, why
		}
	}
	return crm.Never, reason{}
}

func (b bought) needs() crm.Needs {
	n := b.goods.needs()
	n.Lines = n.Lines || b.of == ofQuantity
	return n
}
