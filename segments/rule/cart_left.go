package rule

import (
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// A cart is abandoned when it has lain idle for a while (idle_for, one hour unless written): that long after its last
// activity it was neither ordered, nor deleted, nor expired. It is recovered when it is ordered after that, which is later
// than that long after its last activity; one ordered at that very instant was not abandoned. Only the last activity of a
// cart is known, so that a cart is abandoned, and recovered, once at most.

// RecoveredCart asks for a cart that was abandoned and then ordered. It is dated when it was ordered.
type RecoveredCart struct {
	IdleFor Length `yaml:"idle_for,omitempty"`
	Window  `yaml:",inline"`
	Held    `yaml:",inline"`
}

// AbandonedCarts counts carts that were abandoned, whatever became of them later. They are dated when they had been idle
// for long enough. Without a bound it is at least one.
type AbandonedCarts struct {
	AtLeast Bound  `yaml:"at_least,omitempty"`
	AtMost  Bound  `yaml:"at_most,omitempty"`
	Exactly Bound  `yaml:"exactly,omitempty"`
	IdleFor Length `yaml:"idle_for,omitempty"`
	Window  `yaml:",inline"`
	Items   *Range `yaml:"items,omitempty"`
	Goods   `yaml:",inline"`
	Shop    List `yaml:"shop,omitempty"`
}

// leftCarts counts carts that were abandoned, or those of them that were ordered later.
type leftCarts struct {
	bounds
	recovered bool
	idle      span
	held      held
	window    window
	zones     *zones
}

// closedByOrder is what a cart was closed by that was ordered.
const closedByOrder = "ordered"

func (c *compiler) recoveredCart(path string, w RecoveredCart) condition {
	l := c.leftCarts(path, w.IdleFor, w.Window, w.Held)
	l.recovered = true
	l.low = bound{given: true, n: 1}
	return l
}

func (c *compiler) abandonedCarts(path string, w AbandonedCarts) condition {
	l := c.leftCarts(path, w.IdleFor, w.Window, Held{Items: w.Items, Goods: w.Goods, Shop: w.Shop})
	l.bounds = c.bounded(path, w.AtLeast, w.AtMost, w.Exactly, true)
	for _, e := range []struct {
		name string
		raw  Bound
	}{{"at_least", w.AtLeast}, {"at_most", w.AtMost}, {"exactly", w.Exactly}} {
		if strings.Contains(string(e.raw), " ") {
			c.fail(path+"."+e.name, fmt.Sprintf("carts are counted, but %s is an amount", e.raw), "a whole number such as 2")
		}
	}
	c.ordered(path, l.bounds)
	return l
}

func (c *compiler) leftCarts(path string, idle Length, w Window, h Held) *leftCarts {
	l := &leftCarts{idle: c.span(path+".idle_for", idle), window: c.window(path, w), held: c.held(path, h), zones: c.zones()}
	if !l.idle.given() {
		l.idle = span{fixed: time.Hour}
	}
	return l
}

// fact is when the cart was abandoned, or ordered after that.
func (l *leftCarts) fact(p *crm.Profile, k *crm.ProfileCart) (at crm.Instant, ok bool) {
	at = l.zones.later(p, lastSeen(k), l.idle)
	switch {
	case k.ClosedAt != 0 && k.ClosedAt <= at:
		return 0, false
	case !l.recovered:
		return at, true
	}
	return k.ClosedAt, k.ClosedAt != 0 && k.ClosedBy == closedByOrder
}

func (l *leftCarts) tally(p *crm.Profile, fs []dated) tally {
	v := l.window.of(p)
	for i := range p.Carts {
		k := &p.Carts[i]
		if !l.held.in(k) {
			continue
		}
		at, ok := l.fact(p, k)
		if !ok {
			continue
		}
		if from, to := v.span(at); from < to {
			fs = append(fs, dated{at: at, from: from, to: to, n: 1})
		}
	}
	sortDated(fs)
	return tally{facts: fs}
}

func (l *leftCarts) holds(n, _ int64) bool { return l.hold(n) }

func (l *leftCarts) match(p *crm.Profile, t crm.Instant) bool {
	var few [4]dated
	return l.hold(l.tally(p, few[:0]).at(t).n)
}

func (l *leftCarts) next(p *crm.Profile, t crm.Instant) crm.Instant {
	var few [4]dated
	at, _, _ := l.tally(p, few[:0]).turn(t, l.holds)
	return at
}

func (l *leftCarts) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	at, f, came := l.tally(p, nil).turn(t, l.holds)
	what, which := "the cart abandoned at %s", "a cart that lies idle until %s"
	if l.recovered {
		what, which = "the cart recovered at %s", "a cart ordered at %s"
	}
	switch {
	case at == crm.Never:
		return at, reason{}
	case came:
		return at, l.window.came(which, f.at)
	}
	return at, l.window.left(what, f.at)
}

func (l *leftCarts) needs() crm.Needs { return crm.Needs{Carts: true} }

func (l *leftCarts) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := l.turn(p, t)
	n := l.tally(p, nil).at(t).n
	kind, s := "abandoned", "abandoned "+l.String()+" carts"
	if l.recovered {
		kind, s = "recovered", "recovered a cart"
	}
	value := fmt.Sprintf("%d carts %s", n, kind)
	if n == 1 {
		value = "1 cart " + kind
	}
	return leaf(s+l.held.String()+" idle for "+l.idle.String()+l.window.String(), l.hold(n), value, at, why)
}
