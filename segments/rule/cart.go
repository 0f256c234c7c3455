package rule

import (
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
)

// openCart matches while one open cart fulfils it.
type openCart struct {
	idle    time.Duration
	younger time.Duration
	least   bound
}

func (c *compiler) openCart(path string, w OpenCart) condition {
	o := openCart{
		idle: c.length(path+".idle_for", w.IdleFor), younger: c.length(path+".younger_than", w.YoungerThan),
		least: c.bound(path+".at_least", w.AtLeast),
	}
	if o.least.given && o.least.currency == "" {
		c.fail(path+".at_least", fmt.Sprintf("%s has no currency", w.AtLeast), `an amount such as "20 EUR"`)
	}
	if o.idle > 0 && o.younger > 0 && o.idle >= o.younger {
		c.fail(path+".younger_than", fmt.Sprintf("idle for %s and younger than %s at once: no cart could match", words(o.idle), words(o.younger)), "younger_than longer than idle_for")
	}
	return o
}

// span is [from, to): when the cart as it stands fulfils the condition. What the cart was before its last activity
// is not known, so it is a fact dated then.
func (o openCart) span(c *crm.ProfileCart) (from, to crm.Instant) {
	seen := max(c.ActiveAt, c.CreatedAt)
	from, to = seen.Add(o.idle), crm.Never
	if o.younger > 0 {
		to = seen.Add(o.younger)
	}
	if c.ClosedAt != 0 {
		to = min(to, c.ClosedAt)
	}
	if o.least.given && (c.Currency != o.least.currency || c.Total < o.least.n) {
		to = from
	}
	return from, to
}

func (o openCart) match(p *crm.Profile, t crm.Instant) bool {
	for i := range p.Carts {
		if from, to := o.span(&p.Carts[i]); from <= t && t < to {
			return true
		}
	}
	return false
}

func (o openCart) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := o.turn(p, t)
	return at
}

func (o openCart) turn(p *crm.Profile, t crm.Instant) (next crm.Instant, why reason) {
	next = crm.Never
	for i := range p.Carts {
		c := &p.Carts[i]
		from, to := o.span(c)
		if from >= to {
			continue
		}
		if from > t && from < next {
			next, why = from, reason{text: "cart %s has been idle for %s", cart: c.ID, length: o.idle}
			if o.idle == 0 {
				why.text = "cart %s is seen from then on"
			}
		}
		if to > t && to < next {
			next, why = to, reason{text: "cart %s becomes %s old", cart: c.ID, length: o.younger}
			if to == c.ClosedAt {
				why = reason{text: "cart %s is closed then", cart: c.ID}
			}
		}
	}
	return next, why
}

func (o openCart) needs() crm.Needs { return crm.Needs{Carts: true} }
