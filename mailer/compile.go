package mailer

import (
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

const defaultNotAfter = 24 * time.Hour

// campaign is a CampaignSpec with its texts read and its defaults filled in.
type campaign struct {
	id           string
	title        string
	kind         string
	audience     string
	segment      string
	occurrence   string
	againAfter   time.Duration
	exitWhenLeft bool
	notAfter     time.Duration
	quiet        quiet
	holdout      int
	steps        []step
}

type step struct {
	id       string
	wait     time.Duration
	template string // "" for a wait
}

func (c *campaign) step(id string) (int, bool) {
	for i, s := range c.steps {
		if s.id == id {
			return i, true
		}
	}
	return 0, false
}

// arrive gives the position at the i-th step for somebody who comes to it at an instant: a wait is due when it is
// over, a send at once. ok is false beyond the last step.
func (c *campaign) arrive(i int, at crm.Instant) (id string, due crm.Instant, ok bool) {
	if i >= len(c.steps) {
		return "", at, false
	}
	return c.steps[i].id, at.Add(c.steps[i].wait), true
}

// compiler reads one definition and collects what is wrong with it.
type compiler struct {
	path     string
	known    *Known // nil: names are not checked (a stored definition was, when it was deployed)
	problems []fault.Problem
}

func (k *compiler) wrong(path, message, want string) {
	k.problems = append(k.problems, fault.Problem{Path: k.path + path, Message: message, Want: want})
}

func (k *compiler) span(path, raw string, standard time.Duration) time.Duration {
	if raw == "" {
		return standard
	}
	d, err := crm.ParseSpan(raw)
	if err != nil || d <= 0 {
		k.wrong(path, quoted(raw)+" is no length of time", "a number and a unit: 30m, 1h, 7d, 6w")
		return standard
	}
	return d
}

func compile(id string, s CampaignSpec, known *Known) (*campaign, []fault.Problem) {
	k := &compiler{path: yamlPath(id), known: known}
	c := &campaign{
		id: id, title: s.Title, kind: orElse(s.Kind, KindMarketing), audience: orElse(s.Audience, "default"), segment: s.Trigger.Enters,
		exitWhenLeft: s.ExitWhenLeft == nil || *s.ExitWhenLeft, holdout: s.Holdout,
	}
	if c.title == "" {
		c.title = id
	}
	k.names(id, s, c)
	k.occurrence(s, c)
	c.notAfter = k.span(".not_after", s.NotAfter, defaultNotAfter)
	k.quiet(s, c)
	k.holdout(c)
	k.steps(s, c)
	return c, k.problems
}

// yamlPath writes the path of a campaign as goccy/go-yaml does.
func yamlPath(id string) string {
	if strings.ContainsAny(id, ". []'") {
		return "$.'" + strings.ReplaceAll(id, "'", `\'`) + "'"
	}
	return "$." + id
}

func orElse(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}
