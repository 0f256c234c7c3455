package mailer

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// Kinds of steps: a closed set.
const (
	stepSend   = "send"
	stepWait   = "wait"
	stepUntil  = "wait_until"
	stepBranch = "branch"
	stepSplit  = "split"
	stepSet    = "set"
	stepCall   = "call"
	stepEnd    = "end"
)

// step is a StepSpec read. next is where a run goes on after it; "" is the end. Every way leads to a step further down, so
// that no run can go round in circles.
type step struct {
	id       string
	next     string
	kind     string
	template string // of a send: one of the two
	sendgrid string
	wait     wait
	until    until
	ways     []way
	split    split
	set      map[string]string // without the prefix relance.
	call     CallSpec
}

// way is one branch: nil holds for everybody.
type way struct {
	holds *rule.Segment
	to    string
}

// sends tells whether the step puts a mail into the ledger.
func (s *step) sends() bool { return s.kind == stepSend }

// first is where runs begin.
func (c *campaign) first() string {
	if len(c.steps) == 0 {
		return ""
	}
	return c.steps[0].id
}

// longestVariants is the room for what splits gave to one run.
const longestVariants = 500

func (k *compiler) steps(s CampaignSpec, c *campaign) {
	k.list(".steps", s.Steps, "", c)
	if !slices.ContainsFunc(c.steps, func(s step) bool { return s.kind == stepSend || s.kind == stepSet || s.kind == stepCall }) {
		k.wrong(".steps", "no step sends anything", "at least one step with send: {template: <name>}")
	}
	room := 0
	for _, one := range c.steps {
		room += one.split.room(one.id)
	}
	if room > longestVariants {
		k.wrong(".steps", "there are too many splits for one run to remember", "fewer splits, or shorter ids of splits and variants")
	}
	c.wants, c.decides = c.facts()
}

// list reads steps that follow one another; the last leads to after. It gives where they begin.
func (k *compiler) list(path string, raw []StepSpec, after string, c *campaign) (begin string) {
	for i, one := range raw {
		next := after
		if i+1 < len(raw) {
			next = raw[i+1].ID
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		k.one(at, one, next, c)
		if one.End && i+1 < len(raw) {
			k.wrong(at+".end", "the steps after it are never taken", "end: true as the last step of its list")
		}
	}
	if len(raw) == 0 {
		return after
	}
	return raw[0].ID
}

func (k *compiler) one(path string, raw StepSpec, next string, c *campaign) {
	if _, seen := c.byID[raw.ID]; !validID(raw.ID) {
		k.wrong(path+".id", quoted(raw.ID)+" is no id of a step", idWant)
	} else if seen {
		k.wrong(path+".id", "the id "+quoted(raw.ID)+" is used twice", "an id of its own for each step, also of those in branches and variants; it never changes")
	}
	done := step{id: raw.ID, next: next, kind: k.kind(path, raw)}
	at := len(c.steps)
	c.byID[done.id] = at
	c.steps = append(c.steps, done) // before the steps inside of it, which follow it
	switch done.kind {
	case stepSend:
		done.template, done.sendgrid = raw.Send.Template, raw.Send.SendGrid
		k.send(path+".send", *raw.Send)
	case stepWait:
		done.wait = k.wait(path+".wait", *raw.Wait)
	case stepUntil:
		done.until = k.until(path+".wait_until", *raw.Until, c)
	case stepBranch:
		done.ways = k.branch(path+".branch", raw.Branch, next, c)
	case stepSplit:
		done.split = k.split(path+".split", *raw.Split, next, c)
	case stepSet:
		done.set = k.set(path+".set", raw.Set)
	case stepCall:
		done.call = *raw.Call
		k.call(path+".call", done.call)
	}
	c.steps[at] = done
}

// kind finds the one thing that a step does; the first of several, "" for none.
func (k *compiler) kind(path string, raw StepSpec) string {
	var given []string
	for _, one := range []struct {
		kind  string
		given bool
	}{
		{stepSend, raw.Send != nil},
		{stepWait, raw.Wait != nil},
		{stepUntil, raw.Until != nil},
		{stepBranch, raw.Branch != nil},
		{stepSplit, raw.Split != nil},
		{stepSet, raw.Set != nil},
		{stepCall, raw.Call != nil},
		{stepEnd, raw.End},
	} {
		if one.given {
			given = append(given, one.kind)
		}
	}
	const want = "one of send, wait, wait_until, branch, split, set, call and end: true, such as wait: 1h or send: {template: <name>}"
	switch len(given) {
	case 0:
		k.wrong(path, "the step does nothing", want)
		return ""
	case 1:
	default:
		k.wrong(path, given[0]+" and "+given[1]+" stand in one step", want+"; put the other into a step of its own")
	}
	return given[0]
}

func (k *compiler) send(path string, raw SendSpec) {
	switch {
	case raw.Template != "" && raw.SendGrid != "":
		k.wrong(path, "two templates are named", "template: <name> or sendgrid_template: d-<id>")
	case raw.SendGrid == "":
		k.template(path+".template", raw.Template)
	case !regexp.MustCompile(`^d-[0-9a-f]{8,64}$`).MatchString(raw.SendGrid):
		k.wrong(path+".sendgrid_template", quoted(raw.SendGrid)+" is no id of a dynamic template", "its id as SendGrid shows it: d- and hexadecimal digits")
	}
}

func (k *compiler) template(path, name string) {
	switch {
	case name == "":
		k.wrong(path, "no template is named", "the name of a template in templates/")
	case k.known != nil && !k.known.Templates[name]:
		k.wrong(path, "there is no template "+quoted(name), oneOf(trueKeys(k.known.Templates)))
	}
}

func (k *compiler) branch(path string, raw []BranchSpec, next string, c *campaign) []way {
	if len(raw) == 0 {
		k.wrong(path, "the branch has no ways", "a list of {if: <condition>, steps: [...]}")
	}
	var ways []way
	for i, one := range raw {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case one.If == nil && i == 0:
			k.wrong(at, "the first way of a branch has no condition", "if: <condition>; a way without one is the last, for everybody left")
		case one.If == nil && i+1 < len(raw):
			k.wrong(at, "the ways after this one are never taken", "a way without if: as the last one")
		}
		if len(one.Steps) == 0 {
			k.wrong(at+".steps", "the way has no steps", "at least one step; {id: <id>, end: true} ends the run there")
		}
		holds := k.condition(at+".if", one.If)
		ways = append(ways, way{holds: holds, to: k.list(at+".steps", one.Steps, next, c)})
	}
	return ways
}

// facts says what the campaign's goal and conditions look at, and whether a step may have to look at anything at all:
// profiles are not loaded to move the runs of the others.
func (c *campaign) facts() (n crm.Needs, decides bool) {
	of := func(s *rule.Segment) {
		if s != nil {
			n, decides = rule.Union(n, s.Needs()), true
		}
	}
	of(c.exitIf)
	if c.goal != nil {
		n, decides = rule.Union(n, c.goal.needs()), true
	}
	for _, s := range c.steps {
		decides = decides || s.wait.civil
		for _, w := range s.ways {
			of(w.holds)
		}
		if s.kind == stepUntil {
			n, decides = rule.Union(n, s.until.needs()), true
		}
	}
	return n, decides
}

// needs says what profiles must hold for the campaign's goal and conditions.
func (c *campaign) needs() crm.Needs { return c.wants }

// alert tells whether what its contacts do may concern runs that are under way: Deploy notes it, so that facts are told of.
func (c *campaign) alert() bool {
	return c.exitIf != nil || c.goal != nil || c.occurrence == OccurrenceCart ||
		slices.ContainsFunc(c.steps, func(s step) bool { return s.kind == stepUntil || s.kind == stepSplit })
}

// within is how long after a run began, or was split, what its contact does counts.
func (c *campaign) within() time.Duration {
	if c.goal == nil {
		return standardWithin
	}
	return c.goal.within
}

// wakeNeeds says what profiles must hold for wake besides: what splits count, and what ends runs about carts.
func (c *campaign) wakeNeeds() crm.Needs {
	n := c.wants
	if slices.ContainsFunc(c.steps, func(s step) bool { return s.kind == stepSplit }) {
		n = rule.Union(n, crm.Needs{Orders: true, Events: []string{clickedMail}})
	}
	if c.occurrence == OccurrenceCart {
		n = rule.Union(n, crm.Needs{Orders: true, Carts: true})
	}
	return n
}
