package rule_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// mutants are ways of announcing a change wrongly.
func mutants() map[string]func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant {
	return map[string]func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant{
		"never": func(func(crm.Instant) crm.Instant, crm.Instant) crm.Instant { return crm.Never },
		"a millisecond late": func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant {
			if at := next(t); at != crm.Never {
				return at + 1
			}
			return crm.Never
		},
		"every other one": func(next func(crm.Instant) crm.Instant, t crm.Instant) crm.Instant {
			if at := next(t); at != crm.Never {
				return next(at)
			}
			return crm.Never
		},
	}
}

// composed are the kinds that ruletest.Leaf does not draw.
func composed() []string {
	return []string{"all", "any", "not", "at_least", "segment", "entered", "left"}
}

// one draws a segment whose outermost condition is of a kind.
func one(t *rapid.T, kind string) *rule.Segment {
	part := func() rule.Condition {
		return ruletest.Leaf(t, rapid.SampledFrom([]string{"bought", "registered", "did"}).Draw(t, "part"))
	}
	passage := &rule.Passage{Segment: rule.List{"a"}, Window: rule.Window{Within: "20h"}}
	f := rule.File{"a": {Match: part()}}
	switch kind {
	case "all":
		f["s"] = rule.Spec{Match: rule.Condition{All: []rule.Condition{part(), part()}}}
	case "any":
		f["s"] = rule.Spec{Match: rule.Condition{Any: []rule.Condition{part(), part()}}}
	case "not":
		c := part()
		f["s"] = rule.Spec{Match: rule.Condition{Not: &c}}
	case "at_least":
		f["s"] = rule.Spec{Match: rule.Condition{AtLeast: &rule.Several{N: 2, Of: []rule.Condition{part(), part(), part()}}}}
	case "segment":
		f["s"] = rule.Spec{Match: rule.Condition{Segment: rule.List{"a"}}}
	case "entered":
		f["s"] = rule.Spec{Match: rule.Condition{Entered: passage}}
	case "left":
		f["s"] = rule.Spec{Match: rule.Condition{Left: passage}}
	default:
		f["s"] = rule.Spec{Match: ruletest.Leaf(t, kind)}
	}
	defs, problems := rule.CompileAll(f)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return defs[1]
}

// TestTheOracleNoticesAWrongNextChange breaks the announcement of every kind of condition. Those that the clock never
// changes must announce nothing, in any of the histories drawn.
func TestTheOracleNoticesAWrongNextChange(t *testing.T) {
	timeless := []string{"attribute", "bounced", "city", "country", "group", "locale", "region", "share"}
	const day = 24 * time.Hour
	grid := oracletest.Grid(ruletest.Base().Add(-(ruletest.Reach+1)*time.Hour), ruletest.Base().Add(6*day), ruletest.Base().Add(800*day), 173*time.Hour)
	for _, kind := range slices.Concat(ruletest.Kinds(), composed()) {
		for name, wrong := range mutants() {
			t.Run(kind+"/"+name, func(t *testing.T) {
				announced := 0
				draw := rapid.Custom(func(t *rapid.T) bool {
					seg, p := one(t, kind), ruletest.Profile().Draw(t, "profile")
					if seg.NextChange(p, crm.Instant(grid[0])) == crm.Never {
						return false // nothing to announce, nothing to break
					}
					announced++
					text, err := seg.Encode()
					if err != nil {
						t.Fatal(err)
					}
					o, err := oracletest.Read(text)
					if err != nil {
						t.Fatal(err)
					}
					who := oracletest.FromProfile(p)
					course, err := o.Watch(who, grid)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := oracletest.Follow(seg, p, o, who, course); err != nil {
						t.Fatalf("unbroken: %v\n%s", err, text)
					}
					_, err = oracletest.Follow(seg.Mutate(wrong), p, o, who, course)
					return err != nil
				})
				for seed := range 1000 {
					switch {
					case draw.Example(seed):
						return
					case slices.Contains(timeless, kind) && announced > 0:
						t.Fatal("it announces changes: then the clock has a part in it")
					case slices.Contains(timeless, kind) && seed > 50:
						return
					}
				}
				t.Fatalf("nobody noticed, in %d histories with changes", announced)
			})
		}
	}
}
