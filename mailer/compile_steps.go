package mailer

import (
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
)

// step is a StepSpec read. next is where a run goes on after it; "" is the end.
type step struct {
	id       string
	next     string
	wait     time.Duration
	template string // "" for a step that sends nothing; see ofSendGrid
}

// goal is a GoalSpec read.
type goal struct{}

func (k *compiler) goal(CampaignSpec, *campaign) {}

// arrive gives the position at a step for somebody who comes to it at an instant: a wait is due when it is over, a send
// at once. ok is false at the end.
func (c *campaign) arrive(id string, at crm.Instant) (due crm.Instant, ok bool) {
	s, ok := c.step(id)
	if !ok {
		return at, false
	}
	return at.Add(s.wait), true
}

// first is where runs begin.
func (c *campaign) first() string {
	if len(c.steps) == 0 {
		return ""
	}
	return c.steps[0].id
}

func (k *compiler) steps(s CampaignSpec, c *campaign) {
	k.list(".steps", s.Steps, "", c)
	for _, one := range c.steps {
		if one.template != "" {
			return
		}
	}
	k.wrong(".steps", "no step sends anything", "at least one step with send: {template: <name>}")
}

// list reads steps that follow one another; the last leads to after.
func (k *compiler) list(path string, raw []StepSpec, after string, c *campaign) {
	for i, one := range raw {
		next := after
		if i+1 < len(raw) {
			next = raw[i+1].ID
		}
		k.one(fmt.Sprintf("%s[%d]", path, i), one, next, c)
	}
}

func (k *compiler) one(path string, raw StepSpec, next string, c *campaign) {
	if _, seen := c.byID[raw.ID]; !validID(raw.ID) {
		k.wrong(path+".id", quoted(raw.ID)+" is no id of a step", idWant)
	} else if seen {
		k.wrong(path+".id", "the id "+quoted(raw.ID)+" is used twice", "an id of its own for each step; it never changes")
	}
	done := step{id: raw.ID, next: next}
	switch {
	case raw.Wait != nil && raw.Send != nil, raw.Wait == nil && raw.Send == nil:
		k.wrong(path, "a step either waits or sends", "wait: 1h or send: {template: <name>}")
	case raw.Send != nil:
		done.template = k.sends(path+".send", *raw.Send)
	default:
		done.wait = k.span(path+".wait", raw.Wait.For, 0)
	}
	c.byID[done.id] = len(c.steps)
	c.steps = append(c.steps, done)
}
