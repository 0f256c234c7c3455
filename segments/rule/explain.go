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
	what   string // stands before text
	text   string // with what, it has a %s for each of the rest that is given, in this order
	cart   string
	at     crm.Instant
	length time.Duration
	span   span
	in     calendar
}

func (r reason) String() string {
	var args []any
	if r.cart != "" {
		args = append(args, r.cart)
	}
	if r.at != 0 {
		args = append(args, stamp(r.at))
	}
	if r.length > 0 {
		args = append(args, words(r.length))
	}
	if r.span.given() {
		args = append(args, r.span)
	}
	if r.in.name != "" {
		args = append(args, r.in)
	}
	return fmt.Sprintf(r.what+r.text, args...)
}

// Explain gives the tree of the definition with values and verdicts at t.
func (s *Segment) Explain(p *crm.Profile, t crm.Instant) Explanation {
	cp := *p
	Remember(&cp)
	return s.root.explain(&cp, t)
}

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
