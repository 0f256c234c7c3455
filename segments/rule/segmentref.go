package rule

import (
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// reference holds while the contact is in one of other segments, by their definitions: it is evaluated like a part of this
// one, so that it is true at any instant, past or to come.
type reference struct{ of []*Segment }

func (c *compiler) reference(path string, w List) condition { return reference{c.referAll(path, w)} }

// referAll finds the segments of a list; those with problems are left out.
func (c *compiler) referAll(path string, w List) []*Segment {
	if len(w) == 0 {
		c.fail(path, "the list is empty", "the id of a segment, or several")
	}
	var out []*Segment
	for i, id := range w {
		at := path
		if len(w) > 1 {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if s := c.refer(at, id); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (r reference) match(p *crm.Profile, t crm.Instant) bool {
	for _, s := range r.of {
		if s.matchOnce(p, t) {
			return true
		}
	}
	return false
}

func (r reference) next(p *crm.Profile, t crm.Instant) crm.Instant {
	next := crm.Never
	for _, s := range r.of {
		next = min(next, s.nextOnce(p, t))
	}
	return next
}

func (r reference) needs() crm.Needs {
	var n crm.Needs
	for _, s := range r.of {
		n = Union(n, s.needs)
	}
	return n
}

func (r reference) explain(p *crm.Profile, t crm.Instant) Explanation {
	of := make([]condition, len(r.of))
	for i, s := range r.of {
		of[i] = titled{s.root, s.ID}
	}
	return explainAll("in segment "+ids(r.of), of, r.match(p, t), p, t)
}

// titled is another segment's definition under its name.
type titled struct {
	condition
	id string
}

func (n titled) explain(p *crm.Profile, t crm.Instant) (out Explanation) {
	if m := memoOf(p, t); m != nil { // shown once: there may be more ways to it than anybody could read
		if e, told := m.told[n.id]; told {
			e.Of = nil
			return e
		}
		defer func() { m.told[n.id] = out }()
	}
	e := n.condition.explain(p, t)
	return Explanation{Condition: "segment " + n.id, Match: e.Match, NextChange: e.NextChange, Why: e.Why, Of: []Explanation{e}}
}

func ids(of []*Segment) string {
	names := make([]string, len(of))
	for i, s := range of {
		names[i] = s.ID
	}
	return strings.Join(names, " or ")
}

// memo is what was found out of one profile at one instant about segments that others refer to, so that each is
// evaluated once a pass, however many lean on it.
type memo struct {
	at    crm.Instant
	match map[string]bool // by hash: what a generation leans on is compiled for it alone
	next  map[string]crm.Instant
	told  map[string]Explanation // by id
}

// Remember lets the profile keep what segments below others say of it, for as long as its facts stay as they are: call it
// again after changing the profile. Without it everything is evaluated at each call, with the same outcome.
func Remember(p *crm.Profile) { p.Scratch = &memo{} }

// remembering is the profile where one call needs no memory, else a copy that has one: without it each way to a segment
// below would be gone, and of these there may be 2^n.
func (s *Segment) remembering(p *crm.Profile) *crm.Profile {
	if _, ok := p.Scratch.(*memo); ok || len(s.below) == 0 {
		return p
	}
	cp := *p
	Remember(&cp)
	return &cp
}

func memoOf(p *crm.Profile, t crm.Instant) *memo {
	m, ok := p.Scratch.(*memo)
	if !ok {
		return nil
	}
	if m.match == nil || m.at != t {
		m.at, m.match, m.next, m.told = t, map[string]bool{}, map[string]crm.Instant{}, map[string]Explanation{}
	}
	return m
}

func (s *Segment) matchOnce(p *crm.Profile, t crm.Instant) bool {
	m := memoOf(p, t)
	if m == nil {
		return s.root.match(p, t)
	}
	is, known := m.match[s.hash]
	if !known {
		is = s.root.match(p, t)
		m.match[s.hash] = is
	}
	return is
}

func (s *Segment) nextOnce(p *crm.Profile, t crm.Instant) crm.Instant {
	m := memoOf(p, t)
	if m == nil {
		return s.root.next(p, t)
	}
	at, known := m.next[s.hash]
	if !known {
		at = s.root.next(p, t)
		m.next[s.hash] = at
	}
	return at
}
