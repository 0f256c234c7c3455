package rule

import (
	"fmt"

	"github.com/relance/relance/internal/crm"
)

// LastPurchase looks at the newest order. Each bound of its age that is given must hold.
type LastPurchase struct {
	OlderThan Length `yaml:"older_than,omitempty"`
	NewerThan Length `yaml:"newer_than,omitempty"`
	Window    `yaml:",inline"`
	Goods     `yaml:",inline"`
	Sales     `yaml:",inline"`
}

// FirstPurchase looks at the oldest purchase, as LastPurchase does.
type FirstPurchase struct {
	OlderThan Length `yaml:"older_than,omitempty"`
	NewerThan Length `yaml:"newer_than,omitempty"`
	Window    `yaml:",inline"`
	Goods     `yaml:",inline"`
	Sales     `yaml:",inline"`
}

// NthPurchase looks at the n-th purchase, the oldest being the first. Without an age it is enough that there is one.
type NthPurchase struct {
	N         int    `yaml:"n"`
	OlderThan Length `yaml:"older_than,omitempty"`
	NewerThan Length `yaml:"newer_than,omitempty"`
	Window    `yaml:",inline"`
	Goods     `yaml:",inline"`
	Sales     `yaml:",inline"`
}

// aged bounds the age of one fact.
type aged struct {
	older  span // age ≥ older
	newer  span // age < newer
	window window
	zones  *zones
}

func (c *compiler) aged(path string, older, newer Length, w Window) aged {
	a := aged{
		older: c.span(path+".older_than", older), newer: c.span(path+".newer_than", newer),
		window: c.window(path, w), zones: c.zones(),
	}
	if newer != "" && w.Within != "" {
		c.fail(path+".within", "within and newer_than stand side by side: both say the same", "one of them")
	}
	for _, newer := range []struct {
		name, words string
		span        span
	}{{"newer_than", "newer than", a.newer}, {"within", "within", a.window.within}} {
		if a.older.given() && newer.span.given() && newer.span.notAfter(a.older) {
			c.fail(path+"."+newer.name, fmt.Sprintf("older than %s and %s %s at once: nobody could match", a.older, newer.words, newer.span), newer.name+" longer than older_than")
		}
	}
	return a
}

// span is when a fact dated f has the age: at t in [from, to), never when to ≤ from.
func (a *aged) span(p *crm.Profile, f crm.Instant) (from, to crm.Instant) {
	v := a.window.of(p)
	from, to = v.span(f)
	if a.older.months > 0 || a.newer.months > 0 {
		v.loc = a.zones.of(p)
	}
	if a.older.given() {
		from = max(from, a.older.after(f, v.loc))
	}
	if a.newer.given() {
		to = min(to, a.newer.after(f, v.loc))
	}
	return from, to
}

// turn is the first instant after t at which a fact dated f ("the first purchase") begins or ceases to have the age.
func (a *aged) turn(p *crm.Profile, f, t crm.Instant, what string) (crm.Instant, reason) {
	from, to := a.span(p, f)
	switch {
	case from >= to || to <= t:
		return crm.Never, reason{}
	case from > t && from > f && a.older.given():
		return from, reason{what: what, text: " becomes %s old", span: a.older}
	case from > t:
		why := a.window.came(what, f)
		why.text = " of %s" + why.text
		return from, why
	case to == crm.Never:
		return to, reason{}
	case a.newer.given() && !a.window.given():
		return to, reason{what: what, text: " becomes %s old", span: a.newer}
	}
	why := a.window.left(what, f)
	why.text = " of %s" + why.text
	return to, why
}

func (a *aged) String() string {
	s := ""
	if a.older.given() {
		s += " older than " + a.older.String()
	}
	if a.newer.given() {
		s += " newer than " + a.newer.String()
	}
	return s + a.window.String()
}

// lastPurchase looks at the age of the newest order; without any it does not match.
type lastPurchase struct {
	sales sales
	age   aged
}

// someAge is an age of which one bound is given at least.
func (c *compiler) someAge(path string, older, newer Length, w Window) aged {
	if older == "" && newer == "" && w == (Window{}) {
		c.fail(path, "no age is given", "older_than: or newer_than: with a length such as 60d (bought: {} asks for any purchase)")
	}
	return c.aged(path, older, newer, w)
}

func (c *compiler) lastPurchase(path string, w LastPurchase) condition {
	return &lastPurchase{sales: c.sales(path, w.Sales, w.Goods), age: c.someAge(path, w.OlderThan, w.NewerThan, w.Window)}
}

// last is the newest order dated up to t, and the first one dated after it.
func (l *lastPurchase) last(p *crm.Profile, t crm.Instant) (last crm.Instant, found bool, coming crm.Instant) {
	coming = crm.Never
	for i := range p.Orders {
		o := &p.Orders[i]
		switch {
		case !l.sales.in(o):
		case o.PlacedAt > t:
			coming = min(coming, o.PlacedAt)
		case !found || o.PlacedAt > last:
			last, found = o.PlacedAt, true
		}
	}
	return last, found, coming
}

func (l *lastPurchase) match(p *crm.Profile, t crm.Instant) bool {
	last, found, _ := l.last(p, t)
	if !found {
		return false
	}
	from, to := l.age.span(p, last)
	return from <= t && t < to
}

func (l *lastPurchase) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := l.turn(p, t)
	return at
}

func (l *lastPurchase) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	last, found, coming := l.last(p, t)
	next, why := crm.Never, reason{}
	if found {
		next, why = l.age.turn(p, last, t, "the last purchase")
	}
	if coming < next {
		return coming, reason{text: "an order dated %s counts from then on", at: coming}
	}
	return next, why
}

func (l *lastPurchase) needs() crm.Needs { return l.sales.needs() }

func (l *lastPurchase) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := l.turn(p, t)
	value := "never bought"
	if last, found, _ := l.last(p, t); found {
		value = "bought at " + stamp(last)
	}
	return leaf("last purchase"+l.sales.String()+l.age.String(), l.match(p, t), value, at, why)
}
