package segments

import (
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/segments/rule"
)

// subject is one contact of a batch: what is known and what is stored of it.
type subject struct {
	id      int64
	profile *crm.Profile // nil when nothing refers to the contact any more: it leaves every segment
	mark    *mirror.Dirty
	due     crm.Instant // stored due instant; crm.Never when there is none
	in      []bool      // per slot: stored, then settled, membership
	since   []crm.Instant
	log     []bool        // per slot: membership as segment_changes have it
	logged  []crm.Instant // per slot whose past is what is recorded: since when
	untold  bool          // new thresholds are in force that it may not have been marked for yet
}

// flip is one change of one slot's membership.
type flip struct {
	slot    int
	entered bool
	at      crm.Instant
	cause   crm.Cause
}

// settling brings one contact up to now.
type settling struct {
	*subject
	slots []*slot
	base  crm.Instant // when the facts were compared, if before now
	flips []flip
	steps int
	done  bool        // false: instants up to now remain, after maxSteps of them
	next  crm.Instant // the contact's next due instant
}

// maxSteps bounds how many instants of one contact one transaction steps through; fewer of one with a long history, since
// each looks at all of it.
const (
	maxSteps    = 64
	fewestSteps = 16
	manyFacts   = 1000
)

func (s *subject) maxSteps() int {
	facts := len(s.profile.Orders) + len(s.profile.Events) + len(s.profile.Carts)
	return max(min(maxSteps, maxSteps*manyFacts/max(facts, 1)), fewestSteps)
}

// settle brings the covered slots of a contact up to now. Facts that changed are compared first, as of just before
// the first due instant that has passed: what differs there differs because of the facts. Then the contact is stepped
// through its instants in order: what flips there flips because of the clock, unless a fact is dated at that very
// instant and a mark says that facts are new. So no flip during an outage is lost, and none is taken for another.
func settle(s *subject, slots []*slot, now crm.Instant) *settling {
	c := &settling{subject: s, slots: slots, done: true, next: crm.Never}
	if s.profile == nil {
		c.leaveAll(now)
		return c
	}
	rule.Remember(s.profile)
	if s.mark == nil && s.due > now { // as settled last: what is stored is still true
		c.next = s.due
		return c
	}
	t := now
	if s.due <= now {
		t = s.due - 1
		c.base = t
	}
	c.compare(t, c.sourceAt(now), c.dataCause())
	for {
		c.next = c.nextAfter(t)
		if c.next > now {
			return c
		}
		if c.steps >= s.maxSteps() {
			c.done = false
			return c
		}
		t = c.next
		cause := crm.CauseClock
		if s.mark != nil && datedAt(s.profile, t) {
			cause = s.mark.Cause
		}
		if published(s.profile, t) {
			cause = crm.CauseThreshold
		}
		c.compare(t, t, cause)
	}
}

// dataCause is the mark's. Facts that differ without a mark come from the catalogue (its marks follow in their own
// time): they trigger nothing.
func (c *settling) dataCause() crm.Cause {
	if c.mark == nil {
		return crm.CauseRedefined
	}
	return c.mark.Cause
}

func (c *settling) sourceAt(now crm.Instant) crm.Instant {
	if c.mark == nil || c.mark.SourceAt == 0 {
		return now
	}
	return min(c.mark.SourceAt, now)
}

// compare evaluates every covered slot at t and records what differs from the membership so far.
func (c *settling) compare(t, at crm.Instant, cause crm.Cause) {
	c.steps++
	for i, s := range c.slots {
		if !s.covers(c.id) || s.rule.Match(c.profile, t) == c.in[i] {
			continue
		}
		at, cause := at, cause
		if s.told { // others read when it flipped, at t
			at = min(at, t)
		}
		if cause.Triggers() && c.byThresholds(s, i, t) {
			cause = crm.CauseThreshold
		}
		c.flip(i, at, cause)
	}
}

func (c *settling) flip(i int, at crm.Instant, cause crm.Cause) {
	if c.base > 0 { // a flip by data may carry a source instant after a flip by the clock that followed: it came first
		for j := range c.flips {
			if f := &c.flips[j]; f.slot == i && f.at > at {
				f.at = c.base
				c.since[i] = min(c.since[i], c.base)
			}
		}
	}
	c.in[i] = !c.in[i]
	if c.in[i] {
		c.since[i] = at
	} else {
		at = max(at, c.since[i]) // nobody leaves before having entered
	}
	c.flips = append(c.flips, flip{i, c.in[i], at, cause})
	c.tell(i, at, cause)
}

func (c *settling) leaveAll(now crm.Instant) {
	for i := range c.slots {
		if c.in[i] {
			c.flip(i, c.sourceAt(now), c.dataCause())
		}
	}
}

func (c *settling) nextAfter(t crm.Instant) crm.Instant {
	next := crm.Never
	for _, s := range c.slots {
		if s.covers(c.id) {
			next = min(next, s.rule.NextChange(c.profile, t))
		}
	}
	return next
}

// build evaluates the slots that do not cover the contact yet. Only the first definition of a segment speaks while it
// is built; what an edited one changes is recorded after the switch, by reconciling.
func (c *settling) build(now crm.Instant) {
	if c.profile == nil {
		return
	}
	for i, s := range c.slots {
		if s.covers(c.id) {
			continue
		}
		if match := s.rule.Match(c.profile, now); match != c.in[i] { // a page is gone through again when somebody in it was left out
			c.in[i], c.since[i] = match, now
			if match && s.live >= 0 && c.in[s.live] {
				c.since[i] = c.since[s.live]
			}
			c.flips = append(c.flips, flip{i, match, now, crm.CauseBuilt})
		}
		c.next = min(c.next, s.rule.NextChange(c.profile, now))
	}
}

// datedAt tells whether a fact of the profile becomes visible at t.
func datedAt(p *crm.Profile, t crm.Instant) bool {
	for i := range p.Orders {
		if p.Orders[i].PlacedAt == t {
			return true
		}
	}
	for i := range p.Carts {
		if c := &p.Carts[i]; c.ActiveAt == t || c.CreatedAt == t || c.ClosedAt == t {
			return true
		}
	}
	for i := range p.Consents {
		if p.Consents[i].SourceAt == t {
			return true
		}
	}
	return p.Contact.RegisteredAt == t
}
