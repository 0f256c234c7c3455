package rule

import (
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
)

// lastPurchase looks at the age of the newest sale; without any sale it does not match.
type lastPurchase struct {
	goods goods
	older time.Duration // age ≥ older; 0 = any
	newer time.Duration // age < newer; 0 = any
}

func (c *compiler) lastPurchase(path string, w LastPurchase) condition {
	l := lastPurchase{
		goods: c.goods(path, w.Goods),
		older: c.length(path+".older_than", w.OlderThan), newer: c.length(path+".newer_than", w.NewerThan),
	}
	if w.OlderThan == "" && w.NewerThan == "" {
		c.fail(path, "no age is given", "older_than: or newer_than: with a length such as 60d (bought: {} asks for any purchase)")
	}
	if l.older > 0 && l.newer > 0 && l.older >= l.newer {
		c.fail(path+".newer_than", fmt.Sprintf("older than %s and newer than %s at once: nobody could match", words(l.older), words(l.newer)), "newer_than longer than older_than")
	}
	return l
}

// last is the newest sale dated up to t, and the first one dated after it.
func (l lastPurchase) last(p *crm.Profile, t crm.Instant) (last crm.Instant, found bool, coming crm.Instant) {
	coming = crm.Never
	for i := range p.Orders {
		o := &p.Orders[i]
		switch {
		case !o.CountsAsSale || !l.goods.in(o):
		case o.PlacedAt > t:
			coming = min(coming, o.PlacedAt)
		case !found || o.PlacedAt > last:
			last, found = o.PlacedAt, true
		}
	}
	return last, found, coming
}

func (l lastPurchase) match(p *crm.Profile, t crm.Instant) bool {
	last, found, _ := l.last(p, t)
	return found && ageHolds(last, t, l.older, l.newer)
}

func (l lastPurchase) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := l.turn(p, t)
	return at
}

func (l lastPurchase) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	last, found, coming := l.last(p, t)
	next, why := crm.Never, reason{}
	if found {
		next, why = ageTurns(last, t, l.older, l.newer, "the last purchase becomes %s old")
	}
	if coming < next {
		return coming, reason{text: "an order dated %s counts from then on", at: coming}
	}
	return next, why
}

func (l lastPurchase) needs() crm.Needs { return l.goods.needs() }

// ageHolds: an age of exactly older holds, one of exactly newer no longer does. 0 bounds nothing.
func ageHolds(since, t crm.Instant, older, newer time.Duration) bool {
	return t >= since.Add(older) && (newer == 0 || t < since.Add(newer))
}

// ageTurns is the first instant after t at which ageHolds changes for a fact that is visible already.
func ageTurns(since, t crm.Instant, older, newer time.Duration, what string) (crm.Instant, reason) {
	if at := since.Add(older); older > 0 && at > t {
		return at, reason{text: what, length: older}
	}
	if at := since.Add(newer); newer > 0 && at > t {
		return at, reason{text: what, length: newer}
	}
	return crm.Never, reason{}
}
