package rule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/segments/rule/ruletest"
)

func compileAll(t interface{ Fatalf(string, ...any) }, f rule.File) map[string]*rule.Segment {
	segs, ps := rule.CompileAll(f)
	if len(ps) > 0 {
		t.Fatalf("%v", ps)
	}
	out := map[string]*rule.Segment{}
	for _, s := range segs {
		out[s.ID] = s
	}
	return out
}

func TestSegmentsOfSegmentsAreConstantUntilNextChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := ruletest.File(ruletest.Below()...).Draw(t, "file")
		p := ruletest.Profile().Draw(t, "profile")
		at := ruletest.Instant().Draw(t, "t") + crm.Instant(rapid.IntRange(-1, 1).Draw(t, "ms"))
		segs := compileAll(t, f)
		for id, s := range segs {
			if v := violation(s, p, at); v != "" {
				t.Fatalf("%s: %s", id, v)
			}
			kept := *p
			rule.Remember(&kept)
			for range 2 {
				if s.Match(&kept, at) != s.Match(p, at) || s.NextChange(&kept, at) != s.NextChange(p, at) {
					t.Fatalf("%s: what is remembered is not what is evaluated", id)
				}
			}
			text, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := rule.Decode(id, text)
			if err != nil || again.Hash() != s.Hash() {
				t.Fatalf("%s: stored as another segment (%v)\n%s", id, err, text)
			}
			if again.Match(p, at) != s.Match(p, at) || again.NextChange(p, at) != s.NextChange(p, at) {
				t.Fatalf("%s: the stored definition says something else\n%s", id, text)
			}
			s.Explain(p, at)
		}
	})
}

// TestABrokenHistoryIsNoticed gives the property above its teeth where windows over histories are concerned.
func TestABrokenHistoryIsNoticed(t *testing.T) {
	for _, miss := range []string{"counts from then on", "leaves the window"} {
		draw := rapid.Custom(func(t *rapid.T) bool {
			g := &rule.Passage{Segment: rule.List{"a"}, Window: rule.Window{Within: "5h"}}
			c := rule.Condition{Entered: g}
			if rapid.Bool().Draw(t, "left?") {
				c = rule.Condition{Left: g}
			}
			seg := compileAll(t, rule.File{"a": {Match: rule.Condition{Country: rule.List{"FR"}}}, "s": {Match: c}})["s"]
			p := ruletest.Profile().Draw(t, "profile")
			return violation(seg.Break(miss, 0), p, ruletest.Instant().Draw(t, "t")) != ""
		})
		if !slices.ContainsFunc(seeds(), func(seed int) bool { return draw.Example(seed) }) {
			t.Errorf("nobody noticed that %q is missed", miss)
		}
	}
}

func seeds() []int {
	out := make([]int, 2000)
	for i := range out {
		out[i] = i
	}
	return out
}

func country(codes ...string) rule.Condition { return rule.Condition{Country: codes} }
func refer(ids ...string) rule.Condition     { return rule.Condition{Segment: ids} }

func TestReferencesThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		f    rule.File
		want []string
	}{
		"unknown": {
			rule.File{"win_back": {Match: country("FR")}, "vip": {Match: refer("winback")}},
			[]string{`$.vip.match.segment: there is no segment "winback" (did you mean win_back?)`},
		},
		"circle": {
			rule.File{"a": {Match: refer("b")}, "b": {Match: rule.Condition{All: []rule.Condition{country("FR"), {Left: &rule.Passage{Segment: rule.List{"x", "c"}}}}}}, "c": {Match: refer("a")}, "x": {Match: country("FR")}},
			[]string{"$.c.match.segment: the segments refer to each other in a circle: a → b → c → a (a segment that does not lead back to a)"},
		},
		"itself": {
			rule.File{"a": {Match: refer("a")}},
			[]string{"$.a.match.segment: the segments refer to each other in a circle: a → a (a segment that does not lead back to a)"},
		},
		"broken below": { // told once, where it is
			rule.File{"a": {Match: refer("b")}, "b": {Match: country("fr")}},
			[]string{`$.b.match.country: "fr" is no country code (two capital letters (ISO 3166) such as FR)`},
		},
		"in a list": {
			rule.File{"a": {Match: country("FR")}, "b": {Match: refer("a", "z")}},
			[]string{`$.b.match.segment[1]: there is no segment "z" (did you mean a?)`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range c.f.Validate() {
				got = append(got, fmt.Sprintf("%s: %s (%s)", p.Path, p.Message, p.Want))
			}
			if name == "in a list" && len(got) == 1 && strings.HasPrefix(got[0], `$.b.match.segment[1]: there is no segment "z"`) {
				return
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := rule.Compile("a", rule.Spec{Match: refer("b")}); err == nil {
		t.Error("a reference to nothing is compiled")
	}
}

// TestTheIdentityIncludesWhatIsReferredTo: the identity of a segment includes those it refers to, and only those.
func TestTheIdentityIncludesWhatIsReferredTo(t *testing.T) {
	file := func(code, title string) rule.File {
		return rule.File{
			"base": {Title: title, Match: country(code)}, "mid": {Match: refer("base")},
			"top": {Match: rule.Condition{Entered: &rule.Passage{Segment: rule.List{"mid"}}}}, "other": {Match: country("DE")},
		}
	}
	was, retitled, edited := compileAll(t, file("FR", "")), compileAll(t, file("FR", "France")), compileAll(t, file("BE", ""))
	for id, changes := range map[string]bool{"base": true, "mid": true, "top": true, "other": false} {
		if (was[id].Hash() != edited[id].Hash()) != changes {
			t.Errorf("%s: an edit of base changes it: %v", id, !changes)
		}
		if was[id].Hash() != retitled[id].Hash() {
			t.Errorf("%s: a title changes it", id)
		}
	}
	if d := cmp.Diff([]string{"mid"}, was["top"].Refers()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"mid": was["mid"].Hash(), "base": was["base"].Hash()}, was["top"].Below()); d != "" {
		t.Error(d)
	}
}

func TestSharesAreDisjointAndFair(t *testing.T) {
	spring := func(from, percent, key string) *rule.Segment {
		s, err := rule.Compile("s", rule.Spec{Match: rule.Condition{Share: &rule.Share{From: rule.Number(from), Percent: rule.Number(percent), Key: key}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	parts := []*rule.Segment{spring("", "20", "spring"), spring("20", "12.5", "spring"), spring("32.5", "67.5", "spring")}
	autumn := spring("", "20", "autumn")
	counts, both := make([]int, len(parts)), 0
	const n = 20000
	for id := range n {
		p := &crm.Profile{Contact: crm.Contact{ID: int64(id) + 1}}
		in := 0
		for i, s := range parts {
			if s.Match(p, 0) {
				counts[i]++
				in++
			}
		}
		if in != 1 {
			t.Fatalf("contact %d is in %d of the parts", p.Contact.ID, in)
		}
		if parts[0].Match(p, 0) && autumn.Match(p, 0) {
			both++
		}
	}
	for i, want := range []int{n / 5, n / 8, n * 27 / 40} {
		if counts[i] < want*9/10 || counts[i] > want*11/10 {
			t.Errorf("part %d has %d of %d", i, counts[i], want)
		}
	}
	if both < n/25*8/10 || both > n/25*12/10 {
		t.Errorf("%d are in both shares: the keys are not independent", both)
	}
}

func buyer(id int64, orders ...crm.ProfileOrder) *crm.Profile {
	for i := range orders {
		orders[i].ID, orders[i].CountsAsSale = fmt.Sprint(i), true
	}
	return &crm.Profile{Contact: crm.Contact{ID: id, Zone: "UTC"}, Orders: orders}
}

func at(hours int) crm.Instant { return ruletest.Base().Add(time.Duration(hours) * time.Hour) }

func TestTiesAreAllIn(t *testing.T) {
	cuts := func(n int64) []int64 {
		out := make([]int64, 99)
		for i := range out {
			out[i] = n
		}
		return out
	}
	x := &crm.Thresholds{PublishedAt: at(0), Contacts: 5, Currency: "EUR", Orders: cuts(2), Revenue: cuts(500), Recency: cuts(int64(at(-5)))}
	seg := func(c rule.Condition) *rule.Segment {
		s, err := rule.Compile("s", rule.Spec{Match: c})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	top, bottom := seg(rule.Condition{Top: &rule.Top{Percent: "10", By: "orders"}}), seg(rule.Condition{Bottom: &rule.Top{Percent: "10", By: "orders"}})
	one := crm.ProfileOrder{PlacedAt: at(-5), Currency: "EUR", Total: 500}
	for n, want := range [][2]bool{{false, false}, {false, true}, {true, true}, {true, false}} {
		p := buyer(1, slices.Repeat([]crm.ProfileOrder{one}, n)...)
		p.Thresholds = []*crm.Thresholds{x}
		if got := [2]bool{top.Match(p, at(1)), bottom.Match(p, at(1))}; got != want {
			t.Errorf("%d purchases: top and bottom %v, want %v", n, got, want)
		}
		if top.Match(p, at(0)-1) {
			t.Error("thresholds count before they are published")
		}
		small := *x
		small.Contacts = rule.FewestBuyers - 1
		p.Thresholds = []*crm.Thresholds{&small}
		if top.Match(p, at(1)) || bottom.Match(p, at(1)) {
			t.Error("four buyers have a top")
		}
	}
}

// TestEveryBuyerIsInOneNamedGroup goes through all pairs of scores.
func TestEveryBuyerIsInOneNamedGroup(t *testing.T) {
	x := &crm.Thresholds{PublishedAt: at(-99), Contacts: 100, Currency: "EUR", Orders: make([]int64, 99), Revenue: make([]int64, 99), Recency: make([]int64, 99)}
	for i := range 99 {
		x.Orders[i], x.Recency[i] = int64(i/20+1), int64(at(-50+i/20*10))
	}
	names := []string{"champions", "loyal", "promising", "at_risk", "hibernating", "lost", "new"}
	for r := 1; r <= 5; r++ {
		for f := 1; f <= 5; f++ {
			p := buyer(1)
			for range f {
				p.Orders = append(p.Orders, crm.ProfileOrder{ID: fmt.Sprint(len(p.Orders)), CountsAsSale: true, Currency: "EUR", PlacedAt: at(-50 + (r-1)*10)})
			}
			p.Thresholds = []*crm.Thresholds{x}
			var in []string
			for _, name := range names {
				s, err := rule.Compile("s", rule.Spec{Match: rule.Condition{RFM: &rule.RFM{Group: name}}})
				if err != nil {
					t.Fatal(err)
				}
				if s.Match(p, at(0)) {
					in = append(in, name)
				}
			}
			exact, err := rule.Compile("s", rule.Spec{Match: rule.Condition{RFM: &rule.RFM{R: rule.List{fmt.Sprint(r)}, F: rule.List{fmt.Sprint(f)}}}})
			if err != nil || !exact.Match(p, at(0)) {
				t.Fatalf("r %d, f %d: %s (%v)", r, f, exact.Explain(p, at(0)).Value, err)
			}
			if len(in) != 1 {
				t.Errorf("r %d, f %d: %v", r, f, in)
			}
		}
	}
}

// TestConcernedFindsEverybodyWhomNewThresholdsMove: whoever matches under one version and not under the other is found.
func TestConcernedFindsEverybodyWhomNewThresholdsMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"top", "bottom", "rfm"}).Draw(t, "kind")
		seg := compiled(t, rule.Spec{Match: ruletest.Leaf(t, kind)})
		p := ruletest.Profile().Draw(t, "profile")
		was, is := ruletest.Thresholds().Draw(t, "was"), ruletest.Thresholds().Draw(t, "is")
		now := at(2 * ruletest.Reach)
		under := func(x *crm.Thresholds) bool {
			q := *p
			q.Thresholds = []*crm.Thresholds{x}
			return seg.Match(&q, now)
		}
		if under(was) != under(is) && !rule.Concerned(p, was, is, seg.Cuts(), now) {
			t.Fatal("the new thresholds move somebody who is not concerned")
		}
	})
}

func TestTheRhythmIsPlainArithmetic(t *testing.T) {
	order := func(hour int) crm.ProfileOrder { return crm.ProfileOrder{PlacedAt: at(hour)} }
	p := buyer(1, order(0), order(4), order(20)) // every ten hours: the next at 30
	soon, err := rule.Compile("s", rule.Spec{Match: rule.Condition{NextPurchase: &rule.NextPurchase{InNext: "3h"}}})
	if err != nil {
		t.Fatal(err)
	}
	late, err := rule.Compile("s", rule.Spec{Match: rule.Condition{Overdue: &rule.Overdue{Factor: "1.5"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    *rule.Segment
		from crm.Instant
		to   crm.Instant
	}{{soon, at(27), at(30)}, {late, at(35), crm.Never}} {
		if c.s.Match(p, c.from-1) || !c.s.Match(p, c.from) || c.s.NextChange(p, at(20)) != c.from {
			t.Errorf("not from %v", c.from.Time())
		}
		if c.to != crm.Never && (c.s.Match(p, c.to) || !c.s.Match(p, c.to-1)) {
			t.Errorf("not to %v", c.to.Time())
		}
	}
	two := buyer(1, order(0), order(10))
	if soon.Match(two, at(18)) || late.Match(two, at(100)) {
		t.Error("two purchases have a rhythm")
	}
	if e := soon.Explain(p, at(28)); !e.Match || !strings.Contains(e.Value, "mean of 2 times") {
		t.Errorf("%+v", e)
	}
}
