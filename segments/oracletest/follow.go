package oracletest

import (
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
)

// Engine is what is held against the oracle: a compiled segment, or a broken one.
type Engine interface {
	Match(p *crm.Profile, t crm.Instant) bool
	NextChange(p *crm.Profile, t crm.Instant) crm.Instant
}

// Tally counts what was compared.
type Tally struct {
	Pairs int // (contact, instant) at which the oracle was asked
	Flips int // changes of membership that it saw
}

// Course is what the oracle says of a person over time: at every hour of the days around, at some instants until far
// later, and at both sides of every flip that shows between two of these.
type Course struct {
	At []int64
	In []bool
}

// Grid gives instants: each hour of [from, to), then every so often until far.
func Grid(from, to, far crm.Instant, step time.Duration) []int64 {
	var out []int64
	for t := from; t < to; t = t.Add(time.Hour) {
		out = append(out, int64(t))
	}
	for t := to; t < far; t = t.Add(step) {
		out = append(out, int64(t))
	}
	return out
}

// Watch asks the oracle. Where two neighbours of the grid differ, the flip between them is narrowed down to the millisecond.
func (o *Oracle) Watch(p *Person, grid []int64) (Course, error) {
	var c Course
	put := func(t int64, in bool) { c.At, c.In = append(c.At, t), append(c.In, in) }
	for i, t := range grid {
		in, err := o.Member(p, t)
		if err != nil {
			return c, err
		}
		if i > 0 && in != c.In[len(c.In)-1] {
			before, after := c.At[len(c.At)-1], t
			for after-before > 1 {
				middle := before + (after-before)/2
				is, err := o.Member(p, middle)
				if err != nil {
					return c, err
				}
				if is == in {
					after = middle
				} else {
					before = middle
				}
			}
			if before > c.At[len(c.At)-1] {
				put(before, !in)
			}
			if after < t {
				put(after, in)
			}
		}
		put(t, in)
	}
	return c, nil
}

// Follow does what the maintainer does: it evaluates at the first instant and then only when NextChange says so, up to the
// last one. What it believes in between must be what the oracle says: at every instant of the course, at each change that
// the engine announces, the millisecond before and the one after.
func Follow(e Engine, facts *crm.Profile, o *Oracle, p *Person, c Course) (Tally, error) {
	n := Tally{}
	ask := func(t int64, believed bool, when string) error {
		in, err := o.Member(p, t)
		if err != nil {
			return err
		}
		n.Pairs++
		if in != believed {
			return fmt.Errorf("%s %s: the engine says %v, the oracle %v", when, stamp(t), believed, in)
		}
		return nil
	}
	at, end := c.At[0], c.At[len(c.At)-1]
	in := e.Match(facts, crm.Instant(at))
	i := 0
	for steps := 0; ; steps++ {
		if steps > 5000 {
			return n, fmt.Errorf("5000 changes announced up to %s", stamp(at))
		}
		next := int64(e.NextChange(facts, crm.Instant(at)))
		if next <= at {
			return n, fmt.Errorf("at %s the next change is announced for %s", stamp(at), stamp(next))
		}
		for ; i < len(c.At) && c.At[i] < next; i++ {
			n.Pairs++
			if c.In[i] != in {
				return n, fmt.Errorf("at %s: the engine believes %v until %s, the oracle says %v", stamp(c.At[i]), in, stamp(next), c.In[i])
			}
			if fresh := e.Match(facts, crm.Instant(c.At[i])); fresh != in {
				return n, fmt.Errorf("at %s: Match says %v, believed was %v until %s", stamp(c.At[i]), fresh, in, stamp(next))
			}
		}
		if next > end {
			return n, nil
		}
		if err := ask(next-1, in, "before a change announced,"); err != nil {
			return n, err
		}
		was := in
		at, in = next, e.Match(facts, crm.Instant(next))
		if in != was {
			n.Flips++
		}
		if err := ask(next, in, "at a change announced,"); err != nil {
			return n, err
		}
		after := int64(e.NextChange(facts, crm.Instant(next)))
		if after > next+1 {
			if err := ask(next+1, in, "after a change announced,"); err != nil {
				return n, err
			}
		}
	}
}

// Flips are the instants at which the course changes.
func (c Course) Flips() []int64 {
	var out []int64
	for i := range c.At {
		if i > 0 && c.In[i] != c.In[i-1] {
			out = append(out, c.At[i])
		}
	}
	return slices.Compact(out)
}

func stamp(t int64) string { return time.UnixMilli(t).UTC().Format("2006-01-02 15:04:05.000") }
