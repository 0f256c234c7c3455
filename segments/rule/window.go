package rule

import (
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// Window says when a dated fact counts; at most one of its fields is given, and none is for ever. In all of them a
// fact dated after the instant is not seen.
type Window struct {
	Within  Length  `yaml:"within,omitempty"`  // for that long after its date
	In      string  `yaml:"in,omitempty"`      // while its date is in that period of the contact's calendar: this_month, last_year…
	Between *Period `yaml:"between,omitempty"` // when its date is in that period of the contact's calendar
}

// window is a compiled Window.
type window struct {
	within span
	in     calendar
	from   *civil // or: only facts dated in [from, before), civil days of the contact
	before *civil
	zones  *zones
}

func (c *compiler) window(path string, w Window) window {
	out := window{within: c.span(path+".within", w.Within), in: c.calendar(path+".in", w.In), zones: c.zones()}
	var given []string
	for _, k := range []struct {
		name  string
		given bool
	}{{"within", w.Within != ""}, {"in", w.In != ""}, {"between", w.Between != nil}} {
		if k.given {
			given = append(given, k.name)
		}
	}
	if len(given) > 1 {
		c.fail(path+"."+given[len(given)-1], fmt.Sprintf("%s and %s stand side by side", given[len(given)-1], given[0]), "one of them")
	}
	if w.Between != nil {
		out.from, out.before = c.period(path+".between", *w.Between)
	}
	return out
}

func (c *compiler) calendar(path, name string) calendar {
	if name == "" {
		return calendar{}
	}
	var names []string
	for _, k := range calendars() {
		if k.name == name {
			return k
		}
		names = append(names, k.name)
	}
	c.fail(path, fmt.Sprintf("%q is no period of the calendar", name), "one of "+strings.Join(names, ", "))
	return calendar{}
}

func (c *compiler) period(path string, w Period) (from, before *civil) {
	if w.From == "" && w.Before == "" {
		c.fail(path, "the period has neither end", "from: its first day, before: the first day after it")
	}
	if d, ok := c.civil(path+".from", w.From); ok {
		from = &d
	}
	if d, ok := c.civil(path+".before", w.Before); ok {
		before = &d
	}
	if from != nil && before != nil && from.start(time.UTC) >= before.start(time.UTC) {
		c.fail(path+".before", fmt.Sprintf("the period ends (%s) before it has begun (%s)", before, from), "the first day after the period")
	}
	return from, before
}

// given tells whether the window bounds anything.
func (w window) given() bool {
	return w.within.given() || w.in.name != "" || w.from != nil || w.before != nil
}

// of is the window as it lies for one contact.
func (w window) of(p *crm.Profile) pane {
	v := pane{within: w.within, in: w.in, lo: -crm.Never, hi: crm.Never}
	if w.within.months == 0 && w.in.name == "" && w.from == nil && w.before == nil {
		return v
	}
	v.loc = w.zones.of(p)
	if w.from != nil {
		v.lo = w.from.start(v.loc)
	}
	if w.before != nil {
		v.hi = w.before.start(v.loc)
	}
	return v
}

// pane is a window in a contact's zone.
type pane struct {
	within            span
	in                calendar
	loc               *time.Location // nil where no zone matters
	lo, hi            crm.Instant
	start, end, after crm.Instant // in: the period looked up last is [start, end), the next one [end, after)
}

// span is when a fact dated f counts: at t in [from, to). It never does when to ≤ from. Facts in the order of their
// dates come into a window in that order; they leave it in that order but for months, where ends meet.
func (v *pane) span(f crm.Instant) (from, to crm.Instant) {
	switch {
	case f < v.lo || f >= v.hi:
		return f, f
	case v.within.given():
		return f, v.within.after(f, v.loc)
	case v.in.name == "":
		return f, crm.Never
	}
	if f < v.start || f >= v.end {
		v.look(f)
	}
	if v.in.last {
		return v.end, v.after
	}
	return f, v.end
}

// look finds the period that f lies in. It is that of the instant, not of the date on the wall: where clocks are put
// back over midnight, an evening comes again after the next day has begun.
func (v *pane) look(f crm.Instant) {
	first := v.in.first(civilAt(f, v.loc))
	next := v.in.next(first)
	v.start, v.end = first.start(v.loc), next.start(v.loc)
	for v.end <= f {
		next = v.in.next(next)
		v.start, v.end = v.end, next.start(v.loc)
	}
	if v.in.last {
		v.after = v.in.next(next).start(v.loc)
	}
}

// left is why a fact of some kind ("the order of %s") no longer counts; the %s is its date.
func (w window) left(what string, f crm.Instant) reason {
	if w.in.name != "" {
		return reason{what: what, text: " leaves the window of %s", at: f, in: w.in}
	}
	return reason{what: what, text: " leaves the window of %s", at: f, span: w.within}
}

// came is why a fact of some kind ("an order dated %s") counts.
func (w window) came(what string, f crm.Instant) reason {
	if w.in.last {
		return reason{what: what, text: " counts from then on for %s", at: f, in: w.in}
	}
	return reason{what: what, text: " counts from then on", at: f}
}

// String follows the words of a condition.
func (w window) String() string {
	s := ""
	if w.within.given() {
		s += " within " + w.within.String()
	}
	if w.in.name != "" {
		s += " in " + w.in.String()
	}
	if w.from != nil {
		s += " from " + w.from.String()
	}
	if w.before != nil {
		s += " before " + w.before.String()
	}
	return s
}

func (k calendar) String() string { return strings.ReplaceAll(k.name, "_", " ") }
