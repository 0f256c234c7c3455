package rule

import (
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
)

// NextPurchase holds while the next purchase is expected within the length. Expected is the last purchase plus the mean time
// between all purchases: plain arithmetic of the contact's own rhythm, no more. It takes three purchases.
type NextPurchase struct {
	InNext Length `yaml:"in_next"`
}

// Overdue holds from the instant on at which the time since the last purchase is Factor times the mean time between
// purchases. It takes three purchases.
type Overdue struct {
	Factor Number `yaml:"factor"`
}

// fewestPurchases make a rhythm.
const fewestPurchases = 3

// rhythm is what the purchases up to an instant say.
type rhythm struct {
	last   crm.Instant
	span   time.Duration // from the first purchase to the last
	gaps   int64
	coming crm.Instant // the first purchase dated after the instant
}

// rhythmAt is the rhythm at t; ok tells whether there is one.
func rhythmAt(p *crm.Profile, t crm.Instant) (h rhythm, ok bool) {
	h.coming = crm.Never
	var every sales
	var begun crm.Instant
	n := int64(0)
	for _, f := range every.purchases(p, window{}, nil).facts { // oldest first
		if f.at > t {
			h.coming = f.at
			break
		}
		if n == 0 {
			begun = f.at
		}
		h.last = f.at
		n++
	}
	h.span, h.gaps = time.Duration(h.last-begun)*time.Millisecond, n-1
	return h, n >= fewestPurchases && h.span > 0
}

// expected is the last purchase plus the mean gap, rounded down to the millisecond.
func (h rhythm) expected() crm.Instant {
	return h.last + crm.Instant(h.span.Milliseconds()/h.gaps)
}

type nextPurchase struct {
	in   span
	zone *zones
}

func (c *compiler) nextPurchase(path string, w NextPurchase) condition {
	k := nextPurchase{in: c.span(path+".in_next", w.InNext), zone: c.zones()}
	if w.InNext == "" {
		c.fail(path+".in_next", "no length is given", wantLength)
	}
	return k
}

// turns are the instants from and to between which the condition holds, half-open.
func (k nextPurchase) turns(p *crm.Profile, h rhythm) (from, to crm.Instant) {
	to = h.expected()
	if k.in.months == 0 {
		return to.Add(-k.in.fixed), to
	}
	return k.in.before(to, k.zone.of(p)), to
}

// before is the first instant from which a span reaches to f or beyond.
func (s span) before(f crm.Instant, loc *time.Location) crm.Instant {
	_, most := s.extent()
	lo, hi := f.Add(-most-day), f
	for lo < hi {
		if mid := lo + (hi-lo)/2; s.after(mid, loc) >= f {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

func (k nextPurchase) match(p *crm.Profile, t crm.Instant) bool {
	h, ok := rhythmAt(p, t)
	if !ok {
		return false
	}
	from, to := k.turns(p, h)
	return from <= t && t < to
}

func (k nextPurchase) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := k.turn(p, t)
	return at
}

func (k nextPurchase) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	h, ok := rhythmAt(p, t)
	next, why := h.coming, reason{text: "an order dated %s counts from then on", at: h.coming}
	if ok {
		from, to := k.turns(p, h)
		if from > t && from < next {
			next, why = from, reason{text: "the next purchase is expected at %s, %s later", at: to, span: k.in}
		}
		if to > t && to < next {
			next, why = to, reason{text: "the purchase expected at %s did not come by then", at: to}
		}
	}
	if next == crm.Never {
		why = reason{}
	}
	return next, why
}

func (k nextPurchase) needs() crm.Needs { return crm.Needs{Orders: true} }

func (k nextPurchase) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := k.turn(p, t)
	return leaf("next purchase expected within "+k.in.String(), k.match(p, t), saysRhythm(p, t), at, why)
}

func saysRhythm(p *crm.Profile, t crm.Instant) string {
	h, ok := rhythmAt(p, t)
	if !ok {
		return fmt.Sprintf("no rhythm: fewer than %d purchases", fewestPurchases)
	}
	return fmt.Sprintf("last purchase at %s, expected at %s: the mean of %d times between purchases", stamp(h.last), stamp(h.expected()), h.gaps)
}

type overdue struct{ hundredths int64 }

func (c *compiler) overdue(path string, w Overdue) condition {
	k := overdue{c.hundredths(path+".factor", w.Factor)}
	if w.Factor == "" || k.hundredths == 0 {
		c.fail(path+".factor", "no factor is given", "a number such as 1.5: half as long again as the mean time between purchases")
	}
	return k
}

// from is the first instant at which factor × mean has passed since the last purchase, rounded up to the millisecond.
func (k overdue) from(h rhythm) crm.Instant {
	by := h.gaps * 100
	ms := h.span.Milliseconds()
	whole, rest := ms/by, ms%by
	return h.last + crm.Instant(whole*k.hundredths+(rest*k.hundredths+by-1)/by)
}

func (k overdue) match(p *crm.Profile, t crm.Instant) bool {
	h, ok := rhythmAt(p, t)
	return ok && t >= k.from(h)
}

func (k overdue) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := k.turn(p, t)
	return at
}

func (k overdue) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	h, ok := rhythmAt(p, t)
	if ok {
		if from := k.from(h); from > t && from < h.coming {
			return from, reason{text: "the purchase expected at %s is overdue then", at: h.expected()}
		}
	}
	if h.coming == crm.Never {
		return crm.Never, reason{}
	}
	return h.coming, reason{text: "an order dated %s counts from then on", at: h.coming}
}

func (k overdue) needs() crm.Needs { return crm.Needs{Orders: true} }

func (k overdue) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := k.turn(p, t)
	return leaf("overdue by a factor of "+percent(k.hundredths), k.match(p, t), saysRhythm(p, t), at, why)
}
