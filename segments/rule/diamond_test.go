package rule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// TestB33_ManyWaysToASegmentCostNoMoreThanOne: forty levels of two segments that each refer to both below; written out, more
// conditions than a machine holds.
func TestB33_ManyWaysToASegmentCostNoMoreThanOne(t *testing.T) {
	const levels = 40
	file := rule.File{"a0": {Match: rule.Condition{Bought: &rule.Bought{}}}, "b0": {Match: rule.Condition{Top: &rule.Top{Percent: "10", By: "orders"}}}}
	for i := 1; i <= levels; i++ {
		a, b := rule.Condition{Segment: rule.List{fmt.Sprint("a", i-1)}}, rule.Condition{Segment: rule.List{fmt.Sprint("b", i-1)}}
		both := rule.Condition{All: []rule.Condition{a, b}}
		file[fmt.Sprint("a", i)] = rule.Spec{Match: rule.Condition{Any: []rule.Condition{both, b}}}
		file[fmt.Sprint("b", i)] = rule.Spec{Match: rule.Condition{Any: []rule.Condition{both, a}}}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defs, problems := rule.CompileAll(file)
		if len(problems) > 0 {
			t.Error(problems)
			return
		}
		top := defs[0]
		for _, d := range defs {
			if d.ID == fmt.Sprint("a", levels) {
				top = d
			}
		}
		text, err := top.Encode()
		if err != nil {
			t.Error(err)
			return
		}
		again, err := rule.Decode(top.ID, text)
		if err != nil || again.Hash() != top.Hash() || len(again.Below()) != 2*levels || len(again.Cuts()) != 1 {
			t.Errorf("%v: %d below, %d cuts", err, len(again.Below()), len(again.Cuts()))
			return
		}
		placed := instant("2026-10-01T00:00:00Z")
		p := &crm.Profile{Contact: crm.Contact{Zone: "UTC"}, Orders: []crm.ProfileOrder{sale("2026-10-01T00:00:00Z", 1)}}
		if again.Match(p, placed-1) == again.Match(p, placed) || again.NextChange(p, placed-1) != placed {
			t.Error("it does not come through")
		}
		if e := again.Explain(p, placed); e.Match != again.Match(p, placed) {
			t.Error("explained otherwise")
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it takes every way")
	}
}
