package rule

import (
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// OpenCart asks for one cart that is open and fulfils all of it. {} is any open cart.
type OpenCart struct {
	IdleFor     Length `yaml:"idle_for,omitempty"`
	YoungerThan Length `yaml:"younger_than,omitempty"` // since its last activity, too
	Held        `yaml:",inline"`
}

// Held says what carts are looked at: one is, when it fulfils all of it.
type Held struct {
	AtLeast Bound  `yaml:"at_least,omitempty"` // an amount: the cart's total in its own currency
	AtMost  Bound  `yaml:"at_most,omitempty"`
	Items   *Range `yaml:"items,omitempty"` // pieces in it, of whatever goods
	Goods   `yaml:",inline"`
	Shop    List `yaml:"shop,omitempty"` // by the shop's name
}

// held is a compiled Held.
type held struct {
	total bounds
	items *bounds
	goods goods
	shops []string
}

func (c *compiler) held(path string, w Held) held {
	h := held{goods: c.goods(path, w.Goods), shops: w.Shop}
	c.noneEmpty(path, named{"shop", w.Shop})
	if total := (Range{w.AtLeast, w.AtMost}); total != (Range{}) {
		h.total = c.bounds(path, total, true)
	}
	if w.Items != nil {
		items := c.bounds(path+".items", *w.Items, false)
		h.items = &items
	}
	return h
}

func (h *held) in(k *crm.ProfileCart) bool {
	if h.total.low.given || h.total.high.given {
		if k.Currency != h.total.currency() || !h.total.hold(k.Total) {
			return false
		}
	}
	if h.shops != nil && !containsFold(h.shops, k.Shop) {
		return false
	}
	if h.items != nil {
		var n int64
		for i := range k.Lines {
			n += k.Lines[i].Quantity
		}
		if !h.items.hold(n) {
			return false
		}
	}
	return h.goods.inCart(k)
}

func (h *held) String() string {
	s := ""
	if h.total.low.given || h.total.high.given {
		s += " of " + h.total.String()
	}
	if h.items != nil {
		s += " of " + h.items.String() + " items"
	}
	s += h.goods.String()
	if h.shops != nil {
		s += " in shop " + strings.Join(h.shops, " or ")
	}
	return s
}

// openCart matches while one open cart fulfils it.
type openCart struct {
	idle    span
	younger span
	held    held
	zones   *zones
}

func (c *compiler) openCart(path string, w OpenCart) condition {
	o := &openCart{
		idle: c.span(path+".idle_for", w.IdleFor), younger: c.span(path+".younger_than", w.YoungerThan),
		held: c.held(path, w.Held), zones: c.zones(),
	}
	if o.idle.given() && o.younger.given() && o.younger.notAfter(o.idle) {
		c.fail(path+".younger_than", fmt.Sprintf("idle for %s and younger than %s at once: no cart could match", o.idle, o.younger), "younger_than longer than idle_for")
	}
	return o
}

// lastSeen is when a cart became what it is. What it was before its last activity is not known, so it is a fact dated then.
func lastSeen(k *crm.ProfileCart) crm.Instant { return max(k.ActiveAt, k.CreatedAt) }

// span is [from, to): when the cart as it stands fulfils the condition.
func (o *openCart) span(p *crm.Profile, k *crm.ProfileCart) (from, to crm.Instant) {
	seen := lastSeen(k)
	if !o.held.in(k) {
		return seen, seen
	}
	from, to = o.zones.later(p, seen, o.idle), crm.Never
	if o.younger.given() {
		to = o.zones.later(p, seen, o.younger)
	}
	if k.ClosedAt != 0 {
		to = min(to, k.ClosedAt)
	}
	return from, to
}

func (o *openCart) match(p *crm.Profile, t crm.Instant) bool {
	for i := range p.Carts {
		if from, to := o.span(p, &p.Carts[i]); from <= t && t < to {
			return true
		}
	}
	return false
}

func (o *openCart) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := o.turn(p, t)
	return at
}

func (o *openCart) turn(p *crm.Profile, t crm.Instant) (next crm.Instant, why reason) {
	next = crm.Never
	for i := range p.Carts {
		c := &p.Carts[i]
		from, to := o.span(p, c)
		if from >= to {
			continue
		}
		if from > t && from < next {
			next, why = from, reason{text: "cart %s has been idle for %s", cart: c.ID, span: o.idle}
			if !o.idle.given() {
				why.text = "cart %s is seen from then on"
			}
		}
		if to > t && to < next {
			next, why = to, reason{text: "cart %s becomes %s old", cart: c.ID, span: o.younger}
			if to == c.ClosedAt {
				why = reason{text: "cart %s is closed then", cart: c.ID}
			}
		}
	}
	return next, why
}

func (o *openCart) needs() crm.Needs { return crm.Needs{Carts: true} }

func (o *openCart) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := o.turn(p, t)
	var carts []string
	for i := range p.Carts {
		c := &p.Carts[i]
		if seen := lastSeen(c); seen <= t && (c.ClosedAt == 0 || c.ClosedAt > t) {
			amount := crm.Money{Minor: c.Total, Currency: c.Currency}
			carts = append(carts, fmt.Sprintf("cart %s of %s %s, last active %s", c.ID, amount.Decimal(), c.Currency, stamp(seen)))
		}
	}
	value := "no open cart"
	if carts != nil {
		value = strings.Join(carts, "; ")
	}
	s := "open cart"
	if o.idle.given() {
		s += " idle for " + o.idle.String()
	}
	if o.younger.given() {
		s += " younger than " + o.younger.String()
	}
	return leaf(s+o.held.String(), o.match(p, t), value, at, why)
}
