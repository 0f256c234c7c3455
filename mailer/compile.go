package mailer

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/segments/rule"
)

const defaultNotAfter = 24 * time.Hour

// campaign is a CampaignSpec with its texts read and its defaults filled in.
type campaign struct {
	id       string
	title    string
	kind     string
	audience string
	topic    string
	trigger
	policy
	exitIf *rule.Segment // nil: none
	goal   *goal         // nil: none
	coupon *coupon       // nil: none
	utm    UTMSpec
	steps  []step // flat: those of branches and variants follow their parent
	byID   map[string]int
	refers rule.File // the segments that its conditions lean on, as they were at deployment

	wants   crm.Needs // of its conditions
	decides bool      // a step, a goal or an exit looks at the contact
}

// step finds a step; false for one that is no longer there, and for "", the end.
func (c *campaign) step(id string) (*step, bool) {
	i, ok := c.byID[id]
	if !ok {
		return nil, false
	}
	return &c.steps[i], true
}

// compiler reads one definition and collects what is wrong with it.
type compiler struct {
	path     string
	known    *Known // nil: names are not checked (a stored definition was, when it was deployed)
	segments rule.File
	problems []fault.Problem
	out      *campaign
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

// condition compiles a segment condition and notes what it leans on; nil for none and after a problem.
func (k *compiler) condition(path string, raw *rule.Condition) *rule.Segment {
	if raw == nil {
		return nil
	}
	s, problems := rule.CompileIn(k.segments, k.path+path, *raw)
	k.problems = append(k.problems, problems...)
	if s != nil {
		for id := range s.Below() {
			k.out.refers[id] = k.segments[id]
		}
	}
	return s
}

// segment checks the name of a segment.
func (k *compiler) segment(path, id string) string {
	if _, ok := k.segments[id]; !ok && k.known != nil {
		k.wrong(path, "there is no segment "+quoted(id), oneOf(slices.Sorted(maps.Keys(k.segments))))
	}
	return id
}

// compile reads a definition. segments are those of the files, or those stored with it.
func compile(id string, s CampaignSpec, segments rule.File, known *Known) (*campaign, []fault.Problem) {
	c := &campaign{
		id: id, title: orElse(s.Title, id), kind: orElse(s.Kind, KindMarketing), audience: orElse(s.Audience, "default"),
		topic: orElse(s.Topic, TopicMarketing), byID: map[string]int{}, refers: rule.File{},
	}
	k := &compiler{path: yamlPath(id), known: known, segments: segments, out: c}
	k.names(id, c)
	k.trigger(s, c)
	k.policy(s, c)
	if c.runs != nil && c.runs.window > 0 {
		c.notAfter = c.runs.window
	}
	k.utm(s, c)
	c.exitIf = k.condition(".exit_if", s.ExitIf)
	k.goal(s, c)
	k.coupon(s, c)
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
