// Package ruletest draws definitions and profiles for property tests. Instants lie on a grid of hours around Base,
// and so do the windows, so that edges meet often. Only tests import it.
package ruletest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

// Base is in the middle of what is drawn; the end of summer time in Paris is within reach of it.
func Base() crm.Instant { return crm.At(time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)) }

// Reach is how far from Base instants are drawn.
const Reach = 60 // hours

// Instant draws one within Reach of Base.
func Instant() *rapid.Generator[crm.Instant] {
	return rapid.Custom(func(t *rapid.T) crm.Instant {
		return Base().Add(time.Duration(rapid.IntRange(-Reach, Reach).Draw(t, "hour")) * time.Hour)
	})
}

func length(t *rapid.T, name string, from, to int) rule.Length {
	return rule.Length(fmt.Sprintf("%dh", rapid.IntRange(from, to).Draw(t, name)))
}

// Condition draws a valid condition; depth bounds the composition.
func Condition(depth int) *rapid.Generator[rule.Condition] {
	return rapid.Custom(func(t *rapid.T) rule.Condition {
		kinds := Kinds()
		if depth > 0 {
			kinds = append(kinds, "all", "any", "not", "at_least")
		}
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		switch kind {
		case "all":
			return rule.Condition{All: rapid.SliceOfN(Condition(depth-1), 1, 3).Draw(t, "all")}
		case "any":
			return rule.Condition{Any: rapid.SliceOfN(Condition(depth-1), 1, 3).Draw(t, "any")}
		case "not":
			c := Condition(depth-1).Draw(t, "not")
			return rule.Condition{Not: &c}
		case "at_least":
			of := rapid.SliceOfN(Condition(depth-1), 1, 3).Draw(t, "of")
			return rule.Condition{AtLeast: &rule.Several{N: rapid.IntRange(1, len(of)).Draw(t, "n"), Of: of}}
		}
		return Leaf(t, kind)
	})
}

// Kinds names the conditions that are no compositions.
func Kinds() []string {
	kinds := append(purchaseKinds(), "registered", "country", "locale", "consent")
	return append(append(kinds, composeKinds()...), whoKinds()...)
}

// Leaf draws a condition of one kind.
func Leaf(t *rapid.T, kind string) rule.Condition {
	if slices.Contains(composeKinds(), kind) {
		return composeLeaf(t, kind)
	}
	if slices.Contains(purchaseKinds(), kind) {
		return purchaseLeaf(t, kind)
	}
	if slices.Contains(whoKinds(), kind) {
		return whoLeaf(t, kind)
	}
	switch kind {
	case "registered":
		r := &rule.Registered{}
		switch rapid.IntRange(0, 5).Draw(t, "registered") {
		case 5:
			r.Between = &rule.Period{From: "2026-10-24", Before: "2026-10-26"}
		case 4:
			r.In = rapid.SampledFrom([]string{"today", "yesterday", "this_week", "last_month"}).Draw(t, "in")
		case 0:
			is := rapid.Bool().Draw(t, "is")
			r.Is = &is
		case 1:
			r.Within = length(t, "within", 1, 90)
		case 2:
			r.OlderThan = length(t, "older", 1, 90)
		case 3:
			r.OlderThan, r.Within = length(t, "older", 1, 30), length(t, "within", 31, 90)
		}
		return rule.Condition{Registered: r}
	case "country":
		return rule.Condition{Country: rule.List{"FR", "BE"}}
	case "locale":
		return rule.Condition{Locale: rule.List{"fr"}}
	default:
		c := &rule.Consent{State: rapid.SampledFrom([]string{"granted", "none", "withdrawn"}).Draw(t, "state")}
		if rapid.IntRange(0, 3).Draw(t, "topic") == 0 {
			c.Topic, c.Channel = "news", "sms"
		}
		return rule.Condition{Consent: c}
	}
}

// Spec draws a valid definition.
func Spec() *rapid.Generator[rule.Spec] {
	return rapid.Custom(func(t *rapid.T) rule.Spec { return rule.Spec{Match: Condition(2).Draw(t, "match")} })
}

// Profile draws a contact whose facts lie before and after Base.
func Profile() *rapid.Generator[*crm.Profile] {
	return rapid.Custom(func(t *rapid.T) *crm.Profile {
		p := &crm.Profile{Contact: crm.Contact{
			Zone:    rapid.SampledFrom([]string{"UTC", "Europe/Paris", "America/New_York", "Asia/Beirut", "America/Havana"}).Draw(t, "zone"),
			Country: rapid.SampledFrom([]string{"", "FR", "DE"}).Draw(t, "country"),
			Locale:  rapid.SampledFrom([]string{"", "fr", "fr-BE", "de"}).Draw(t, "locale"),
		}}
		if rapid.Bool().Draw(t, "account?") {
			p.Contact.RegisteredAt = Instant().Draw(t, "registered")
		}
		p.Orders = orders(t)
		p.Carts = rapid.SliceOfN(cart(), 0, 2).Draw(t, "carts")
		if rapid.Bool().Draw(t, "consent?") {
			c := crm.ConsentState{Topic: "marketing", Channel: "email", SourceAt: Instant().Draw(t, "said")}
			c.State = rapid.SampledFrom([]string{"granted", "withdrawn"}).Draw(t, "state")
			if rapid.Bool().Draw(t, "expires?") {
				c.ExpiresAt = c.SourceAt.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "expires")) * time.Hour)
			}
			p.Consents = []crm.ConsentState{c}
			if rapid.Bool().Draw(t, "news?") {
				p.Consents = append(p.Consents, crm.ConsentState{Topic: "news", Channel: "sms", State: c.State, SourceAt: Instant().Draw(t, "said of news")})
			}
		}
		who(t, p)
		compose(t, p)
		return p
	})
}
