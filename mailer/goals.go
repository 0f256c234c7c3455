package mailer

import (
	"strings"

	"github.com/relance/relance/internal/crm"
)

// goalReached tells when the campaign's goal was reached after since, within the time that the goal gives, as far as the
// profile knows at now. Steps and the gate ask it. A condition counts from when it is looked at.
func goalReached(c *campaign, p *crm.Profile, since, now crm.Instant) (crm.Instant, bool) {
	if c.goal == nil {
		return 0, false
	}
	return c.goal.since(p, since, min(now, since.Add(c.goal.within)))
}

// over tells why a run has ended by what is known of its contact; a goal that is reached goes before any exit.
func (w *walk) over(n *enrolment, r running, p *crm.Profile) Reason {
	switch {
	case n.GoalAt > 0:
		return GoalReached
	case r.exitIf != nil && r.exitIf.Match(p, w.now):
		return ExitRule
	}
	return cartOver(p, n.Occurrence)
}

// cartOver tells why nothing more is to be said about the cart of a run; NoReason for runs that are about none.
func cartOver(p *crm.Profile, occurrence string) Reason {
	if !strings.HasPrefix(occurrence, cartPrefix) {
		return NoReason
	}
	c := cartOf(p, occurrence)
	if c == nil { // not loaded, or gone: the gate decides
		return NoReason
	}
	for _, o := range p.Orders {
		if ordered(o) && o.PlacedAt >= c.CreatedAt {
			return Bought
		}
	}
	if c.ClosedAt > 0 {
		return CartClosed
	}
	return NoReason
}

// notice marks what a run's contact has done since it began and counts it, once per run, whether it still is under way or
// not. What the group does that gets nothing is marked and not counted.
func (w *walk) notice(n *enrolment, r running, p *crm.Profile) {
	counted := !r.heldOut(n.ContactID)
	if n.GoalAt == 0 {
		if at, ok := goalReached(r.campaign, p, n.TriggeredAt, w.now); ok {
			n.GoalAt, n.marked = at, true
			if counted {
				w.counts.add(n.Campaign, measureGoal, n.Lane)
				days{dayOf(w.now), w.counts}.add(n.Campaign, dayGoal, n.Lane)
				w.counts.countVariants(n, measureGoal)
			}
		}
	}
	if n.SplitAt == 0 {
		return
	}
	until := min(w.now, n.SplitAt.Add(r.within()))
	for _, one := range []struct {
		measure string
		at      *crm.Instant
		fact    fact
	}{{measureClick, &n.ClickedAt, clickOf(r.id)}, {measureOrder, &n.OrderedAt, fact{order: true}}} {
		if *one.at > 0 {
			continue
		}
		if at, ok := one.fact.since(p, n.SplitAt, until); ok {
			*one.at, n.marked = at, true
			if counted {
				w.counts.countVariants(n, one.measure)
			}
		}
	}
}
