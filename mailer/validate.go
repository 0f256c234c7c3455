package mailer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/fault"
)

// Known is what the other files define, for checking the names that a campaign uses.
type Known struct {
	Segments  map[string]bool
	Templates map[string]bool
	Audiences map[string]bool
}

// Validate lists every mistake of a file; config maps the paths to lines. An empty list means that Deploy accepts it.
func (f CampaignFile) Validate(known Known) []fault.Problem {
	var all []fault.Problem
	for _, id := range slices.Sorted(maps.Keys(f)) {
		_, problems := compile(id, f[id], &known)
		all = append(all, problems...)
	}
	return all
}

const idWant = "letters a-z, digits, _ and -, at most 64, beginning with a letter or digit"

func validID(id string) bool {
	ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9_-]{0,63}$`, id)
	return ok
}

func quoted(s string) string { return strconv.Quote(s) }

func (k *compiler) names(id string, s CampaignSpec, c *campaign) {
	if !validID(id) {
		k.wrong("", quoted(id)+" is no id of a campaign", idWant)
	}
	if c.kind != KindMarketing && c.kind != KindTransactional {
		k.wrong(".kind", quoted(c.kind)+" is no kind of campaign", "marketing or transactional")
	}
	if s.Trigger.Enters == "" {
		k.wrong(".trigger", "nothing starts this campaign", "trigger: {enters: <segment>}")
	} else if k.known != nil && !k.known.Segments[c.segment] {
		k.wrong(".trigger.enters", "there is no segment "+quoted(c.segment), oneOf(k.known.Segments))
	}
	if k.known != nil && !k.known.Audiences[c.audience] {
		k.wrong(".audience", "there is no audience "+quoted(c.audience), oneOf(k.known.Audiences))
	}
}

func (k *compiler) occurrence(s CampaignSpec, c *campaign) {
	c.occurrence = orElse(s.Occurrence.Mode, OccurrenceOnce)
	switch c.occurrence {
	case OccurrenceOnce, OccurrenceEach, OccurrenceCart:
	case OccurrenceAgain:
		if s.Occurrence.AgainAfter == "" {
			k.wrong(".occurrence", "again_after has no length of time", "again_after: 90d")
		}
		c.againAfter = k.span(".occurrence.again_after", s.Occurrence.AgainAfter, 0)
	default:
		k.wrong(".occurrence", quoted(c.occurrence)+" is no occurrence", "once, each, cart or {again_after: 90d}")
	}
}

func (k *compiler) quiet(s CampaignSpec, c *campaign) {
	if s.QuietHours == nil {
		return
	}
	from, err := parseClock(s.QuietHours.From)
	if err != nil {
		k.wrong(".quiet_hours.from", err.Error(), `a time of day in quotes: "21:00"`)
	}
	to, err2 := parseClock(s.QuietHours.To)
	if err2 != nil {
		k.wrong(".quiet_hours.to", err2.Error(), `a time of day in quotes: "08:00"`)
	}
	if err == nil && err2 == nil && from == to {
		k.wrong(".quiet_hours", "quiet hours begin and end at the same time", "two different times, or no quiet_hours")
	}
	c.quiet = quiet{from: from, to: to}
}

func (k *compiler) holdout(c *campaign) {
	if c.holdout < 0 || c.holdout > 90 {
		k.wrong(".holdout", fmt.Sprintf("%d is no percentage to hold out", c.holdout), "0 to 90, the percentage of contacts who get nothing")
	}
	if c.holdout > 0 && c.kind == KindTransactional {
		k.wrong(".holdout", "a transactional mail cannot be held out", "no holdout")
	}
}

func (k *compiler) steps(s CampaignSpec, c *campaign) {
	sends, seen := 0, map[string]bool{}
	for i, raw := range s.Steps {
		path := fmt.Sprintf(".steps[%d]", i)
		if !validID(raw.ID) {
			k.wrong(path+".id", quoted(raw.ID)+" is no id of a step", idWant)
		} else if seen[raw.ID] {
			k.wrong(path+".id", "the id "+quoted(raw.ID)+" is used twice", "an id of its own for each step; it never changes")
		}
		seen[raw.ID] = true
		done := step{id: raw.ID}
		switch {
		case raw.Wait != "" && raw.Send != nil, raw.Wait == "" && raw.Send == nil:
			k.wrong(path, "a step either waits or sends", "wait: 1h or send: {template: <name>}")
		case raw.Send != nil:
			sends++
			done.template = raw.Send.Template
			k.template(path+".send.template", done.template)
		default:
			done.wait = k.span(path+".wait", raw.Wait, 0)
		}
		c.steps = append(c.steps, done)
	}
	if sends == 0 {
		k.wrong(".steps", "no step sends anything", "at least one step with send: {template: <name>}")
	}
}

func (k *compiler) template(path, name string) {
	switch {
	case name == "":
		k.wrong(path, "no template is named", "the name of a template in templates/")
	case k.known != nil && !k.known.Templates[name]:
		k.wrong(path, "there is no template "+quoted(name), oneOf(k.known.Templates))
	}
}

func oneOf(names map[string]bool) string {
	var known []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] {
			known = append(known, n)
		}
	}
	if len(known) == 0 {
		return "none is defined yet"
	}
	return "one of: " + strings.Join(known, ", ")
}
