package ruletest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// composeKinds are conditions that compare with everybody, predict, or draw lots.
func composeKinds() []string {
	return []string{"share", "rfm", "top", "bottom", "next_purchase", "overdue"}
}

func composeLeaf(t *rapid.T, kind string) rule.Condition {
	switch kind {
	case "share":
		from := rapid.IntRange(0, 9).Draw(t, "from") * 10
		return rule.Condition{Share: &rule.Share{
			From: rule.Number(fmt.Sprint(from)), Percent: rule.Number(fmt.Sprint(rapid.IntRange(1, 100-from).Draw(t, "percent"))), Key: "spring",
		}}
	case "rfm":
		return rule.Condition{RFM: rfm(t)}
	case "top":
		return rule.Condition{Top: top(t)}
	case "bottom":
		return rule.Condition{Bottom: top(t)}
	case "next_purchase":
		return rule.Condition{NextPurchase: &rule.NextPurchase{InNext: length(t, "in_next", 1, 40)}}
	default:
		return rule.Condition{Overdue: &rule.Overdue{Factor: rapid.SampledFrom([]rule.Number{"0.5", "1", "1.5", "2"}).Draw(t, "factor")}}
	}
}

func top(t *rapid.T) *rule.Top {
	return &rule.Top{
		Percent: rule.Number(fmt.Sprint(rapid.IntRange(1, 99).Draw(t, "percent"))),
		By:      rapid.SampledFrom([]string{"revenue", "orders", "recency"}).Draw(t, "by"),
	}
}

func rfm(t *rapid.T) *rule.RFM {
	if rapid.Bool().Draw(t, "named?") {
		return &rule.RFM{Group: rapid.SampledFrom([]string{"champions", "loyal", "promising", "at_risk", "hibernating", "lost", "new"}).Draw(t, "group")}
	}
	scores := func(name string) rule.List {
		var out rule.List
		for i := 1; i <= 5; i++ {
			if rapid.Bool().Draw(t, name) {
				out = append(out, fmt.Sprint(i))
			}
		}
		return out
	}
	r := &rule.RFM{R: scores("r"), F: scores("f"), M: scores("m")}
	if r.R == nil && r.F == nil && r.M == nil {
		r.R = rule.List{"5"}
	}
	return r
}

// Below names the segments that a drawn profile has a history of.
func Below() []string { return []string{"a", "b", "c", "d"} }

// File draws definitions for ids, of which each may refer to those before it: as a part, or by when contacts entered and
// left it.
func File(ids ...string) *rapid.Generator[rule.File] {
	return rapid.Custom(func(t *rapid.T) rule.File {
		f := rule.File{}
		for i, id := range ids {
			f[id] = SpecOver(ids[:i]...).Draw(t, id)
		}
		return f
	})
}

// SpecOver draws a definition that may refer to the segments below it.
func SpecOver(below ...string) *rapid.Generator[rule.Spec] {
	return rapid.Custom(func(t *rapid.T) rule.Spec {
		s := Spec().Draw(t, "spec")
		if len(below) == 0 {
			return s
		}
		refer := func() rule.Condition { return reference(t, below) }
		switch rapid.IntRange(0, 4).Draw(t, "refers") {
		case 0:
			return s
		case 1:
			return rule.Spec{Match: refer()}
		case 2:
			return rule.Spec{Match: rule.Condition{All: []rule.Condition{refer(), s.Match}}}
		case 3:
			r := refer()
			return rule.Spec{Match: rule.Condition{Any: []rule.Condition{{Not: &r}, s.Match}}}
		}
		return rule.Spec{Match: rule.Condition{AtLeast: &rule.Several{N: 2, Of: []rule.Condition{refer(), s.Match, refer()}}}}
	})
}

func reference(t *rapid.T, below []string) rule.Condition {
	to := rule.List(rapid.SliceOfNDistinct(rapid.SampledFrom(below), 1, min(2, len(below)), rapid.ID[string]).Draw(t, "to"))
	p := &rule.Passage{Segment: to}
	switch rapid.IntRange(0, 2).Draw(t, "window") {
	case 1:
		p.Within = length(t, "within", 1, 60)
	case 2:
		p.In = rapid.SampledFrom([]string{"today", "yesterday", "this_week", "last_month"}).Draw(t, "in")
	}
	switch rapid.IntRange(0, 2).Draw(t, "reference") {
	case 0:
		return rule.Condition{Entered: p}
	case 1:
		return rule.Condition{Left: p}
	}
	return rule.Condition{Segment: to}
}

// compose gives a profile what the conditions of this file look at.
func compose(t *rapid.T, p *crm.Profile) {
	p.Contact.ID = int64(rapid.IntRange(1, 1000).Draw(t, "id"))
	p.Thresholds = rapid.SliceOfN(Thresholds(), 0, 2).Draw(t, "thresholds")
	slices.SortFunc(p.Thresholds, func(a, b *crm.Thresholds) int { return int(a.PublishedAt/1000 - b.PublishedAt/1000) })
	for range rapid.IntRange(0, 3).Draw(t, "history") {
		h := crm.ProfileMembership{Segment: rapid.SampledFrom(Below()).Draw(t, "segment"), EnteredAt: Instant().Draw(t, "entered")}
		if rapid.Bool().Draw(t, "left?") {
			h.LeftAt = h.EnteredAt.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "left")) * time.Hour)
		}
		p.History = append(p.History, h)
	}
}

// Thresholds draws cut points among the values that drawn contacts have; now and then of an audience that is too small.
func Thresholds() *rapid.Generator[*crm.Thresholds] {
	return rapid.Custom(func(t *rapid.T) *crm.Thresholds {
		x := &crm.Thresholds{PublishedAt: Instant().Draw(t, "published"), Contacts: int64(rapid.IntRange(3, 9).Draw(t, "contacts")), Currency: "EUR"}
		fill := func(value func() int64) []int64 {
			drawn := make([]int64, 5)
			for i := range drawn {
				drawn[i] = value()
			}
			slices.Sort(drawn)
			out := make([]int64, 99)
			for i := range out {
				out[i] = drawn[i*len(drawn)/len(out)]
			}
			return out
		}
		x.Recency = fill(func() int64 { return int64(Instant().Draw(t, "recency")) })
		x.Orders = fill(func() int64 { return int64(rapid.IntRange(1, 4).Draw(t, "orders")) })
		x.Revenue = fill(func() int64 { return int64(rapid.IntRange(0, 12).Draw(t, "revenue")) * 100 })
		return x
	})
}
