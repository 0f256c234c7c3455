package yeartest

import (
	"cmp"
	"slices"
	"time"
)

// agenda is what is going to happen.
type agenda struct {
	acts []planned
	n    int
}

type planned struct {
	at time.Time
	n  int // of two at one instant the one that was planned first
	do func()
}

func (a *agenda) plan(at time.Time, do func()) {
	a.n++
	p := planned{at, a.n, do}
	i, _ := slices.BinarySearchFunc(a.acts, p, func(x, y planned) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.n, y.n)) })
	a.acts = slices.Insert(a.acts, i, p)
}

func (a *agenda) next() (time.Time, bool) {
	if len(a.acts) == 0 {
		return time.Time{}, false
	}
	return a.acts[0].at, true
}

// take gives what is due, in order.
func (a *agenda) take(now time.Time) []func() {
	var out []func()
	for len(a.acts) > 0 && !a.acts[0].at.After(now) {
		out = append(out, a.acts[0].do)
		a.acts = a.acts[1:]
	}
	return out
}
