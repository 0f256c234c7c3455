package rule

import (
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// turner is what every condition that the clock can change has.
type turner interface {
	turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason)
}

// broken is a condition whose NextChange misses the instants with a reason that contains miss, and is late.
type broken struct {
	condition
	miss string
	late crm.Instant
}

func (b broken) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, why := b.condition.(turner).turn(p, t)
	for b.miss != "" && at != crm.Never && strings.Contains(why.text, b.miss) {
		at, why = b.condition.(turner).turn(p, at)
	}
	if at == crm.Never {
		return at
	}
	return at + b.late
}

// Break gives a copy of the segment in which every condition that the clock can change is broken.
func (s *Segment) Break(miss string, late crm.Instant) *Segment {
	cp := *s
	cp.root = breakIn(s.root, miss, late)
	return &cp
}

func breakIn(c condition, miss string, late crm.Instant) condition {
	each := func(cs []condition) []condition {
		out := make([]condition, len(cs))
		for i, x := range cs {
			out[i] = breakIn(x, miss, late)
		}
		return out
	}
	switch c := c.(type) {
	case all:
		return all{each(c.of)}
	case anyOf:
		return anyOf{each(c.of)}
	case several:
		return several{c.n, each(c.of)}
	case not:
		return not{breakIn(c.of, miss, late)}
	case turner:
		return broken{c.(condition), miss, late}
	}
	return c
}

// Wall is the instant at which clocks of a zone show what t shows.
func Wall(t time.Time, loc *time.Location) crm.Instant {
	y, m, d := t.Date()
	h, mi, s := t.Clock()
	return wall(y, m, d, h, mi, s, t.Nanosecond(), loc)
}
