package rule

import (
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// Explanation says of one condition what it asks, what the contact has, the verdict, and what the clock alone
// will do to it.
type Explanation struct {
	Condition  string        `json:"condition"`            // what is asked, in words
	Match      bool          `json:"match"`                // the verdict at the instant
	Value      string        `json:"value,omitempty"`      // what the contact has
	NextChange time.Time     `json:"next_change,omitzero"` // UTC; zero: the clock alone changes nothing any more
	Why        string        `json:"why,omitempty"`        // what happens then
	Of         []Explanation `json:"of,omitempty"`
}

// reason is why the clock changes a verdict; it is put into words only for people.
type reason struct {
	text   string // with a %s for the rest
	at     crm.Instant
	length time.Duration
	cart   string
}

func (r reason) String() string {
	switch {
	case r.cart != "" && r.length > 0:
		return fmt.Sprintf(r.text, r.cart, words(r.length))
	case r.cart != "":
		return fmt.Sprintf(r.text, r.cart)
	case r.at != 0 && r.length > 0:
		return fmt.Sprintf(r.text, stamp(r.at), words(r.length))
	case r.at != 0:
		return fmt.Sprintf(r.text, stamp(r.at))
	case r.length > 0:
		return fmt.Sprintf(r.text, words(r.length))
	}
	return r.text
}

// Explain gives the tree of the definition with values and verdicts at t.
func (s *Segment) Explain(p *crm.Profile, t crm.Instant) Explanation { return s.root.explain(p, t) }

func leaf(condition string, match bool, value string, next crm.Instant, why reason) Explanation {
	e := Explanation{Condition: condition, Match: match, Value: value}
	if next != crm.Never {
		e.NextChange, e.Why = next.Time(), why.String()
	}
	return e
}

func explainAll(what string, of []condition, match bool, p *crm.Profile, t crm.Instant) Explanation {
	e := Explanation{Condition: what, Match: match}
	for _, c := range of {
		x := c.explain(p, t)
		if !x.NextChange.IsZero() && (e.NextChange.IsZero() || x.NextChange.Before(e.NextChange)) {
			e.NextChange, e.Why = x.NextChange, x.Why
		}
		e.Of = append(e.Of, x)
	}
	return e
}

func (b bought) explain(p *crm.Profile, t crm.Instant) Explanation {
	fs := b.facts(p)
	n := b.sum(fs, t)
	at, why := b.turn(fs, t)
	value := fmt.Sprintf("%d %s", n, b.of)
	switch {
	case n == 1 && b.of == ofOrders:
		value = "1 order"
	case b.of == ofAmount:
		value = bound{n: n, currency: b.currency}.String()
	}
	return leaf(b.String(), b.holds(n), value, at, why)
}

func (b bought) String() string {
	var parts []string
	if b.low.given && b.low == b.high {
		parts = append(parts, "exactly "+b.low.String())
	} else {
		if b.low.given {
			parts = append(parts, "at least "+b.low.String())
		}
		if b.high.given {
			parts = append(parts, "at most "+b.high.String())
		}
	}
	s := "bought " + strings.Join(parts, " and ")
	if b.of != ofAmount {
		s += " " + b.of
	}
	s += b.goods.String()
	if b.within > 0 {
		s += " within " + words(b.within)
	}
	if b.from != nil {
		s += " from " + b.from.String()
	}
	if b.before != nil {
		s += " before " + b.before.String()
	}
	return s
}

func (l lastPurchase) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := l.turn(p, t)
	value := "never bought"
	if last, found, _ := l.last(p, t); found {
		value = "bought at " + stamp(last)
	}
	return leaf("last purchase"+l.goods.String()+ages(l.older, l.newer), l.match(p, t), value, at, why)
}

func ages(older, newer time.Duration) string {
	s := ""
	if older > 0 {
		s += " older than " + words(older)
	}
	if newer > 0 {
		s += " newer than " + words(newer)
	}
	return s
}

func (o openCart) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := o.turn(p, t)
	var carts []string
	for i := range p.Carts {
		c := &p.Carts[i]
		if seen := max(c.ActiveAt, c.CreatedAt); seen <= t && (c.ClosedAt == 0 || c.ClosedAt > t) {
			amount := crm.Money{Minor: c.Total, Currency: c.Currency}
			carts = append(carts, fmt.Sprintf("cart %s of %s %s, last active %s", c.ID, amount.Decimal(), c.Currency, stamp(seen)))
		}
	}
	value := "no open cart"
	if carts != nil {
		value = strings.Join(carts, "; ")
	}
	s := "open cart"
	if o.idle > 0 {
		s += " idle for " + words(o.idle)
	}
	if o.younger > 0 {
		s += " younger than " + words(o.younger)
	}
	if o.least.given {
		s += " of at least " + o.least.String()
	}
	return leaf(s, o.match(p, t), value, at, why)
}

func (r registered) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := r.turn(p, t)
	value := "no account"
	if p.Contact.RegisteredAt != 0 && p.Contact.RegisteredAt <= t {
		value = "registered at " + stamp(p.Contact.RegisteredAt)
	}
	s := "registered" + ages(r.older, 0)
	if r.within > 0 {
		s += " within " + words(r.within)
	}
	if !r.is {
		s = "not registered"
	}
	return leaf(s, r.match(p, t), value, at, why)
}

func (l place) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := l.of(p.Contact)
	if value == "" {
		value = "not known"
	}
	return leaf(l.what+" "+strings.Join(l.list, " or "), l.match(p, t), value, crm.Never, reason{})
}

func (c consent) explain(p *crm.Profile, t crm.Instant) Explanation {
	at, why := c.turn(p, t)
	return leaf(fmt.Sprintf("consent %s for %s by %s", c.state, c.topic, c.channel), c.match(p, t), c.at(p, t), at, why)
}

func stamp(t crm.Instant) string { return t.Time().Format("2006-01-02 15:04:05 MST") }
