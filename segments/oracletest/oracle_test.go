package oracletest_test

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/oracletest"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// checks is how many histories are drawn of each kind of condition.
const checks = 100

func TestMain(m *testing.M) {
	n := checks
	if os.Getenv("RELANCE_SOAK") != "" {
		n *= 40
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// grid is every hour on which something drawn can lie, then an instant every few days for what goes by the calendar.
func grid() []int64 {
	const day = 24 * time.Hour
	from := ruletest.Base().Add(-(ruletest.Reach + 1) * time.Hour)
	return oracletest.Grid(from, ruletest.Base().Add(8*day), ruletest.Base().Add(800*day), 127*time.Hour)
}

// follow holds one segment against the oracle for one contact.
func follow(t *rapid.T, seg *rule.Segment, p *crm.Profile) oracletest.Tally {
	text, err := seg.Encode()
	if err != nil {
		t.Fatal(err)
	}
	o, err := oracletest.Read(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	who := oracletest.FromProfile(p)
	course, err := o.Watch(who, grid())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	n, err := oracletest.Follow(seg, p, o, who, course)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return n
}

func add(a *oracletest.Tally, b oracletest.Tally) {
	a.Pairs, a.Flips = a.Pairs+b.Pairs, a.Flips+b.Flips
}

// TestTheEngineAgreesWithTheOracle follows contacts through time, evaluating only when the engine wants to, for every kind of
// condition by itself and for compositions of segments that lean on each other.
func TestTheEngineAgreesWithTheOracle(t *testing.T) {
	var sum oracletest.Tally
	for _, kind := range ruletest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			var n oracletest.Tally
			rapid.Check(t, func(t *rapid.T) {
				seg, err := rule.Compile("s", rule.Spec{Match: ruletest.Leaf(t, kind)})
				if err != nil {
					t.Fatal(err)
				}
				add(&n, follow(t, seg, ruletest.Profile().Draw(t, "profile")))
			})
			if n.Flips == 0 && !slices.Contains(timeless(), kind) {
				t.Error("the clock never changed anything: the test shows nothing")
			}
			add(&sum, n)
		})
	}
	for range 8 {
		t.Run("composed", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				defs, problems := rule.CompileAll(ruletest.File("a", "b", "c").Draw(t, "file"))
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				p := ruletest.Profile().Draw(t, "profile")
				for _, seg := range defs {
					add(&sum, follow(t, seg, p))
				}
			})
		})
	}
	t.Logf("%d (contact, instant) pairs, %d flips", sum.Pairs, sum.Flips)
	if n, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String()); err == nil && n >= checks && sum.Pairs < 100_000 && !t.Failed() {
		t.Errorf("only %d pairs were checked", sum.Pairs)
	}
}

// timeless are the conditions in which the clock has no part.
func timeless() []string {
	return []string{"attribute", "bounced", "city", "country", "group", "locale", "region", "share"}
}
