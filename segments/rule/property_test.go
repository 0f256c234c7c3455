package rule_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

// violation looks for an instant in [t, NextChange) at which the verdict is another one than at t. Everything drawn
// lies on whole hours, so the hours and their neighbours are all that can matter.
func violation(s *rule.Segment, p *crm.Profile, t crm.Instant) string {
	next := s.NextChange(p, t)
	if next <= t {
		return "NextChange is not after t"
	}
	end := min(next, ruletest.Base().Add(4*ruletest.Reach*time.Hour))
	was := s.Match(p, t)
	for u := t; u < end; u = u.Add(time.Hour) {
		for _, v := range []crm.Instant{u - 1, u, u + 1} {
			if v >= t && v < next && s.Match(p, v) != was {
				return "Match flips before NextChange"
			}
		}
	}
	return ""
}

func compiled(t *rapid.T, s rule.Spec) *rule.Segment {
	if ps := s.Validate("$.s"); len(ps) > 0 {
		t.Fatalf("the generator drew an invalid definition: %v", ps)
	}
	seg, err := rule.Compile("s", s)
	if err != nil {
		t.Fatal(err)
	}
	return seg
}

func TestMatchIsConstantUntilNextChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seg := compiled(t, ruletest.Spec().Draw(t, "spec"))
		p := ruletest.Profile().Draw(t, "profile")
		at := ruletest.Instant().Draw(t, "t") + crm.Instant(rapid.IntRange(-1, 1).Draw(t, "ms"))
		if v := violation(seg, p, at); v != "" {
			t.Fatalf("%s: t=%v next=%v", v, at.Time(), seg.NextChange(p, at).Time())
		}
	})
}

func TestFactsAfterTDoNotChangeTheVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seg := compiled(t, ruletest.Spec().Draw(t, "spec"))
		p := ruletest.Profile().Draw(t, "profile")
		at := ruletest.Instant().Draw(t, "t")
		past := *p
		past.Orders, past.Carts, past.Consents = nil, nil, nil
		for _, o := range p.Orders {
			if o.PlacedAt <= at {
				past.Orders = append(past.Orders, o)
			}
		}
		for _, c := range p.Carts {
			if c.ActiveAt <= at {
				if c.ClosedAt > at {
					c.ClosedAt = 0
				}
				past.Carts = append(past.Carts, c)
			}
		}
		for _, c := range p.Consents {
			if c.SourceAt <= at {
				past.Consents = append(past.Consents, c)
			}
		}
		past.Events, past.Contact.Shops = nil, nil
		for _, e := range p.Events {
			if e.At <= at {
				past.Events = append(past.Events, e)
			}
		}
		for _, s := range p.Contact.Shops {
			if s.Since <= at {
				past.Contact.Shops = append(past.Contact.Shops, s)
			}
		}
		past.Thresholds, past.History = nil, nil
		for _, x := range p.Thresholds {
			if x.PublishedAt <= at {
				past.Thresholds = append(past.Thresholds, x)
			}
		}
		for _, h := range p.History {
			if h.LeftAt > at {
				h.LeftAt = 0
			}
			if h.EnteredAt <= at {
				past.History = append(past.History, h)
			}
		}
		if past.Contact.RegisteredAt > at {
			past.Contact.RegisteredAt = 0
		}
		if seg.Match(p, at) != seg.Match(&past, at) {
			t.Fatal("a fact dated after t was counted")
		}
	})
}

// TestABrokenNextChangeIsNoticed proves that the property above has teeth: a copy of each condition that misses one
// kind of instant, or is a millisecond late, must violate it.
func TestABrokenNextChangeIsNoticed(t *testing.T) {
	for _, c := range []struct {
		kind, miss string
		late       crm.Instant
	}{
		{"bought", "counts from then on", 0},
		{"bought", "leaves the window", 0},
		{"bought", "", 1},
		{"last_purchase", "counts from then on", 0},
		{"last_purchase", "becomes", 0},
		{"last_purchase", "", 1},
		{"open_cart", "idle", 0},
		{"open_cart", "becomes", 0},
		{"open_cart", "closed", 0},
		{"open_cart", "", 1},
		{"bought", "counts from then on for", 0},
		{"first_purchase", "counts from then on", 0},
		{"first_purchase", "leaves the window", 0},
		{"first_purchase", "becomes", 0},
		{"first_purchase", "", 1},
		{"nth_purchase", "counts from then on", 0},
		{"nth_purchase", "leaves the window", 0},
		{"nth_purchase", "becomes", 0},
		{"nth_purchase", "", 1},
		{"days_between", "counts from then on", 0},
		{"days_between", "", 1},
		{"bought_with", "counts from then on", 0},
		{"bought_with", "leaves the window", 0},
		{"bought_with", "", 1},
		{"never_bought", "counts from then on", 0},
		{"never_bought", "", 1},
		{"recovered_cart", "counts from then on", 0},
		{"recovered_cart", "leaves the window", 0},
		{"recovered_cart", "", 1},
		{"abandoned_carts", "counts from then on", 0},
		{"abandoned_carts", "leaves the window", 0},
		{"abandoned_carts", "", 1},
		{"registered", "dated", 0},
		{"registered", "leaves the window", 0},
		{"registered", "counts from then on for", 0},
		{"registered", "becomes", 0},
		{"registered", "", 1},
		{"consent", "dated", 0},
		{"consent", "expires", 0},
		{"consent", "", 1},
		{"shop", "is dated", 0},
		{"shop", "", 1},
		{"source", "is dated", 0},
		{"source", "", 1},
		{"contactable", "counts from then on", 0},
		{"contactable", "is dated", 0},
		{"contactable", "expires", 0},
		{"contactable", "", 1},
		{"age", "turns", 0},
		{"age", "", 1},
		{"birthday", "the day comes", 0},
		{"birthday", "is over", 0},
		{"birthday", "away", 0},
		{"birthday", "ago", 0},
		{"birthday", "", 1},
		{"engaged", "counts from then on", 0},
		{"engaged", "leaves the window", 0},
		{"engaged", "", 1},
		{"not_engaged", "", 1},
		{"did", "counts from then on", 0},
		{"did", "leaves the window", 0},
		{"did", "", 1},
		{"opened", "leaves the window", 0},
		{"clicked", "counts from then on", 0},
		{"top", "thresholds", 0},
		{"top", "counts from then on", 0},
		{"bottom", "", 1},
		{"rfm", "thresholds", 0},
		{"rfm", "", 1},
		{"next_purchase", "is expected", 0},
		{"next_purchase", "did not come", 0},
		{"next_purchase", "", 1},
		{"overdue", "is overdue", 0},
		{"overdue", "counts from then on", 0},
		{"overdue", "", 1},
	} {
		t.Run(c.kind+"/"+c.miss, func(t *testing.T) {
			draw := rapid.Custom(func(t *rapid.T) bool {
				seg := compiled(t, rule.Spec{Match: ruletest.Leaf(t, c.kind)})
				p := ruletest.Profile().Draw(t, "profile")
				at := ruletest.Instant().Draw(t, "t")
				if v := violation(seg, p, at); v != "" {
					t.Fatalf("unbroken: %s", v)
				}
				return violation(seg.Break(c.miss, c.late), p, at) != ""
			})
			for seed := range 3000 {
				if draw.Example(seed) {
					return
				}
			}
			t.Fatal("nobody noticed")
		})
	}
}

func TestAStoredDefinitionIsTheSameSegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seg := compiled(t, ruletest.Spec().Draw(t, "spec"))
		text, err := seg.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := rule.Decode("s", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if again.Hash() != seg.Hash() {
			t.Fatalf("another hash after storing\n%s", text)
		}
		p, at := ruletest.Profile().Draw(t, "profile"), ruletest.Instant().Draw(t, "t")
		if again.Match(p, at) != seg.Match(p, at) || again.NextChange(p, at) != seg.NextChange(p, at) {
			t.Fatalf("the stored definition says something else\n%s", text)
		}
	})
}
