package rule

import (
	"fmt"

	"github.com/relance/relance/internal/crm"
)

// Passage asks whether the contact entered, or left, one of the segments, and when. Only what happened counts: a change of
// a fact, of a consent, or the clock; not that a segment was built, edited or removed, that history was read, or that a
// threshold moved.
type Passage struct {
	Segment List `yaml:"segment"`
	Window  `yaml:",inline"`
}

// passage reads the history that is recorded of segments. A pass of the maintainer adds to it what it finds, before it
// evaluates what leans on it.
type passage struct {
	left   bool
	of     []*Segment
	window window
}

func (c *compiler) passage(path string, left bool, w Passage) condition {
	return passage{left, c.referAll(path+".segment", w.Segment), c.window(path, w.Window)}
}

// each calls use with every instant at which the contact passed; instants after t included.
func (g passage) each(p *crm.Profile, use func(at crm.Instant)) {
	for i := range p.History {
		h := &p.History[i]
		at := h.EnteredAt
		if g.left {
			at = h.LeftAt
		}
		if at != 0 && g.about(h.Segment) {
			use(at)
		}
	}
}

func (g passage) about(segment string) bool {
	for _, s := range g.of {
		if s.ID == segment {
			return true
		}
	}
	return false
}

func (g passage) match(p *crm.Profile, t crm.Instant) bool {
	pane, is := g.window.of(p), false
	g.each(p, func(at crm.Instant) {
		from, to := pane.span(at)
		is = is || at <= t && from <= t && t < to
	})
	return is
}

func (g passage) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := g.turn(p, t)
	return at
}

func (g passage) turn(p *crm.Profile, t crm.Instant) (next crm.Instant, why reason) {
	pane, next := g.window.of(p), crm.Never
	what := "the entry of %s"
	if g.left {
		what = "the leaving of %s"
	}
	g.each(p, func(at crm.Instant) {
		from, to := pane.span(at)
		if from = max(from, at); from >= to {
			return
		}
		if from > t && from < next {
			next, why = from, g.window.came(what, at)
		}
		if to > t && to < next {
			next, why = to, g.window.left(what, at)
		}
	})
	return next, why
}

func (g passage) needs() crm.Needs {
	n := crm.Needs{}
	for _, s := range g.of {
		n.History = append(n.History, s.ID)
	}
	return n
}

func (g passage) explain(p *crm.Profile, t crm.Instant) Explanation {
	did, value := "entered", "never, as far as is recorded"
	if g.left {
		did = "left"
	}
	g.each(p, func(at crm.Instant) {
		if at <= t {
			value = fmt.Sprintf("%s at %s", did, stamp(at))
		}
	})
	at, why := g.turn(p, t)
	return leaf(did+" segment "+ids(g.of)+g.window.String(), g.match(p, t), value, at, why)
}
