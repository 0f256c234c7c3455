package rule

import (
	"slices"

	"github.com/relance/relance/internal/crm"
)

// dated is a fact that counts at t in [from, to).
type dated struct {
	at, from, to crm.Instant
	n            int64 // what it adds: 1, pieces, minor units
	k            int64 // what it adds to the number that n is shared among, for a mean
	order        int32 // its place in the profile
	key          int32 // of what is counted once however often it comes
}

// tally counts dated facts, those with an earlier date first.
type tally struct {
	facts []dated
	keys  int // > 0: each of so many keys counts once
}

// sortDated puts facts in order; as a rule they are.
func sortDated(fs []dated) {
	byDate := func(x, y dated) int {
		switch {
		case x.at < y.at:
			return -1
		case x.at > y.at:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(fs, byDate) {
		slices.SortStableFunc(fs, byDate)
	}
}

// count is a tally at an instant; seen holds how many facts of each key count.
type count struct {
	n, k int64
	seen []int32
}

func (c *count) add(f *dated) {
	if c.seen == nil {
		c.n, c.k = c.n+f.n, c.k+f.k
		return
	}
	if c.seen[f.key]++; c.seen[f.key] == 1 {
		c.n++
	}
}

func (c *count) remove(f *dated) {
	if c.seen == nil {
		c.n, c.k = c.n-f.n, c.k-f.k
		return
	}
	if c.seen[f.key]--; c.seen[f.key] == 0 {
		c.n--
	}
}

func (x tally) at(t crm.Instant) count {
	var c count
	if x.keys > 0 {
		c.seen = make([]int32, x.keys)
	}
	for i := range x.facts {
		f := &x.facts[i]
		if f.from > t {
			break
		}
		if t < f.to {
			c.add(f)
		}
	}
	return c
}

// turn walks through the instants after t at which facts begin and cease to count, until the verdict turns: at is
// crm.Never when it does not. f is a fact that made it turn, came tells whether it began to count.
func (x tally) turn(t crm.Instant, holds func(n, k int64) bool) (at crm.Instant, f dated, came bool) {
	c := x.at(t)
	now := holds(c.n, c.k)
	fs, ends := x.facts, x.ends()
	in, out := 0, 0
	for in < len(fs) && fs[in].from <= t {
		in++
	}
	for out < len(ends) && ends[out].to <= t {
		out++
	}
	for in < len(fs) || out < len(ends) {
		at = crm.Never
		if in < len(fs) {
			at = fs[in].from
		}
		if out < len(ends) {
			at = min(at, ends[out].to)
		}
		if at == crm.Never {
			break
		}
		for ; in < len(fs) && fs[in].from == at; in++ {
			c.add(&fs[in])
			f, came = fs[in], true
		}
		for ; out < len(ends) && ends[out].to == at; out++ {
			c.remove(&ends[out])
			f, came = ends[out], false
		}
		if holds(c.n, c.k) != now {
			return at, f, came
		}
	}
	return crm.Never, dated{}, false
}

// turnOf is the turn of purchases that a window looks at.
func (w window) turnOf(x tally, t crm.Instant, holds func(n, k int64) bool) (crm.Instant, reason) {
	at, f, came := x.turn(t, holds)
	switch {
	case at == crm.Never:
		return at, reason{}
	case came:
		return at, w.came("an order dated %s", f.at)
	}
	return at, w.left("the order of %s", f.at)
}

// ends are the facts in the order in which they cease to count.
func (x tally) ends() []dated {
	byEnd := func(x, y dated) int {
		switch {
		case x.to < y.to:
			return -1
		case x.to > y.to:
			return 1
		}
		return 0
	}
	if slices.IsSortedFunc(x.facts, byEnd) {
		return x.facts
	}
	ends := slices.Clone(x.facts)
	slices.SortStableFunc(ends, byEnd)
	return ends
}
