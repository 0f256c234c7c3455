package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

const (
	standardWithin = 5 * 24 * time.Hour
	clickedMail    = "mail.clicked"
)

// fact is something that a run waits for: exactly one of its fields. Goals and wait_until have it.
type fact struct {
	order bool
	act   *rule.Act // a click in a mail of the campaign, or an event
	holds *rule.Segment
}

// goal is a GoalSpec read.
type goal struct {
	fact
	within time.Duration
}

func (k *compiler) goal(s CampaignSpec, c *campaign) {
	if s.Goal == nil {
		return
	}
	g := goal{within: k.span(".goal.within", s.Goal.Within, standardWithin)}
	g.fact = k.fact(".goal", s.Goal.Order, s.Goal.Click, s.Goal.Event, s.Goal.Segment != "", "segment: <segment>", c)
	if s.Goal.Segment != "" {
		g.holds = k.condition(".goal", &rule.Condition{Segment: rule.List{s.Goal.Segment}})
	}
	c.goal = &g
}

// fact reads what a run may wait for. holds tells whether a condition is given, too; condition is how it is written.
func (k *compiler) fact(path string, order, click bool, event *EventSpec, holds bool, condition string, c *campaign) fact {
	given := 0
	for _, is := range []bool{order, click, event != nil, holds} {
		if is {
			given++
		}
	}
	if given != 1 {
		k.wrong(path, map[bool]string{true: "nothing is named that may happen", false: "more than one thing is named"}[given == 0],
			"one of order: true, click: true, event: <name> and "+condition)
	}
	f := fact{order: order}
	if click {
		f = clickOf(c.id)
	}
	if event != nil {
		act, problems := rule.CompileAct(k.path+path+".event", event.Name, event.Where)
		k.problems = append(k.problems, problems...)
		f.act = &act
	}
	return f
}

// clickOf is a click in a mail of a campaign.
func clickOf(campaign string) fact {
	act := rule.Clicked(campaign)
	return fact{act: &act}
}

func (f fact) needs() crm.Needs {
	n := crm.Needs{Orders: f.order}
	if f.act != nil {
		n.Events = []string{f.act.Name}
	}
	if f.holds != nil {
		n = rule.Union(n, f.holds.Needs())
	}
	return n
}

// since is the first instant after since, and not after t, at which it happened; false when it has not. What holds, holds
// at t.
func (f fact) since(p *crm.Profile, since, t crm.Instant) (crm.Instant, bool) {
	at := f.after(p, since)
	if f.holds != nil && f.holds.Match(p, t) {
		at = min(at, t)
	}
	return at, at <= t
}

// after is the first dated fact after an instant, also one dated into the future; crm.Never for none.
func (f fact) after(p *crm.Profile, since crm.Instant) crm.Instant {
	first := crm.Never
	if f.order {
		for _, o := range p.Orders {
			if o.PlacedAt > since && ordered(o) {
				first = min(first, o.PlacedAt)
			}
		}
	}
	if f.act != nil {
		for i := range p.Events {
			if e := &p.Events[i]; e.At > since && f.act.Is(e) {
				first = min(first, e.At)
			}
		}
	}
	return first
}

// next is when the clock alone may make it happen, strictly after t; crm.Never for never.
func (f fact) next(p *crm.Profile, since, t crm.Instant) crm.Instant {
	if f.holds != nil {
		return f.holds.NextChange(p, t)
	}
	return f.after(p, max(since, t)) // dated into the future
}
