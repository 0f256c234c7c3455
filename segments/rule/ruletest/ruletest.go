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
			kinds = append(kinds, "all", "any", "not")
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
		}
		return Leaf(t, kind)
	})
}

// Kinds names the conditions that are no compositions.
func Kinds() []string {
	return []string{"bought", "last_purchase", "open_cart", "registered", "country", "locale", "consent"}
}

// Leaf draws a condition of one kind.
func Leaf(t *rapid.T, kind string) rule.Condition {
	switch kind {
	case "bought":
		return rule.Condition{Bought: bought(t)}
	case "last_purchase":
		l := &rule.LastPurchase{Goods: goods(t)}
		mode := rapid.IntRange(1, 3).Draw(t, "ages")
		if mode&1 != 0 {
			l.OlderThan = length(t, "older", 1, 40)
		}
		if mode&2 != 0 {
			l.NewerThan = length(t, "newer", 41, 90)
		}
		return rule.Condition{LastPurchase: l}
	case "open_cart":
		o := &rule.OpenCart{}
		if rapid.Bool().Draw(t, "idle?") {
			o.IdleFor = length(t, "idle", 1, 20)
		}
		if rapid.Bool().Draw(t, "younger?") {
			o.YoungerThan = length(t, "younger", 21, 60)
		}
		if rapid.Bool().Draw(t, "least?") {
			o.AtLeast = "2 EUR"
		}
		return rule.Condition{OpenCart: o}
	case "registered":
		r := &rule.Registered{}
		switch rapid.IntRange(0, 3).Draw(t, "registered") {
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
		return rule.Condition{Consent: &rule.Consent{State: rapid.SampledFrom([]string{"granted", "none", "withdrawn"}).Draw(t, "state")}}
	}
}

func bought(t *rapid.T) *rule.Bought {
	b := &rule.Bought{Goods: goods(t)}
	n := rapid.IntRange(0, 3).Draw(t, "n")
	bound := rule.Bound(fmt.Sprint(n))
	switch rapid.IntRange(0, 2).Draw(t, "of") {
	case 1:
		b.Of = "quantity"
	case 2:
		bound = rule.Bound(fmt.Sprintf("%d EUR", n*2))
	}
	switch rapid.IntRange(0, 3).Draw(t, "bound") {
	case 0:
		b.AtLeast = bound
	case 1:
		b.AtMost = bound
	case 2:
		b.Exactly = bound
	}
	switch rapid.IntRange(0, 2).Draw(t, "window") {
	case 1:
		b.Within = length(t, "within", 1, 60)
	case 2:
		b.Between = &rule.Period{From: "2026-10-24", Before: "2026-10-26"}
	}
	if b.AtLeast == "" && b.AtMost == "" && b.Exactly == "" {
		b.Of = ""
	}
	return b
}

func goods(t *rapid.T) rule.Goods {
	switch rapid.IntRange(0, 5).Draw(t, "goods") {
	case 0:
		return rule.Goods{Product: rule.List{"1", "2"}}
	case 1:
		return rule.Goods{Category: rule.List{"shoes"}}
	}
	return rule.Goods{}
}

// Spec draws a valid definition.
func Spec() *rapid.Generator[rule.Spec] {
	return rapid.Custom(func(t *rapid.T) rule.Spec { return rule.Spec{Match: Condition(2).Draw(t, "match")} })
}

// Profile draws a contact whose facts lie before and after Base.
func Profile() *rapid.Generator[*crm.Profile] {
	return rapid.Custom(func(t *rapid.T) *crm.Profile {
		p := &crm.Profile{Contact: crm.Contact{
			Zone:    rapid.SampledFrom([]string{"UTC", "Europe/Paris", "America/New_York"}).Draw(t, "zone"),
			Country: rapid.SampledFrom([]string{"", "FR", "DE"}).Draw(t, "country"),
			Locale:  rapid.SampledFrom([]string{"", "fr", "fr-BE", "de"}).Draw(t, "locale"),
		}}
		if rapid.Bool().Draw(t, "account?") {
			p.Contact.RegisteredAt = Instant().Draw(t, "registered")
		}
		p.Orders = rapid.SliceOfN(order(), 0, 5).Draw(t, "orders")
		slices.SortStableFunc(p.Orders, func(a, b crm.ProfileOrder) int { return int(a.PlacedAt/1000 - b.PlacedAt/1000) })
		p.Carts = rapid.SliceOfN(cart(), 0, 2).Draw(t, "carts")
		if rapid.Bool().Draw(t, "consent?") {
			c := crm.ConsentState{Topic: "marketing", Channel: "email", SourceAt: Instant().Draw(t, "said")}
			c.State = rapid.SampledFrom([]string{"granted", "withdrawn"}).Draw(t, "state")
			if rapid.Bool().Draw(t, "expires?") {
				c.ExpiresAt = c.SourceAt.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "expires")) * time.Hour)
			}
			p.Consents = []crm.ConsentState{c}
		}
		return p
	})
}

func order() *rapid.Generator[crm.ProfileOrder] {
	return rapid.Custom(func(t *rapid.T) crm.ProfileOrder {
		o := crm.ProfileOrder{
			CountsAsSale: rapid.IntRange(0, 4).Draw(t, "sale") > 0, PlacedAt: Instant().Draw(t, "placed"),
			Currency: rapid.SampledFrom([]string{"EUR", "EUR", "USD"}).Draw(t, "currency"), ShopID: int64(rapid.IntRange(1, 2).Draw(t, "shop")),
		}
		o.Purchase = rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(t, "purchase")
		for range rapid.IntRange(1, 2).Draw(t, "lines") {
			l := crm.ProfileLine{
				ProductID: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "product"),
				Quantity:  int64(rapid.IntRange(1, 2).Draw(t, "quantity")), Total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100,
			}
			if rapid.Bool().Draw(t, "shoes") {
				l.Categories = []string{"7", "shoes"}
			}
			o.Lines = append(o.Lines, l)
			o.Total += l.Total
		}
		if rapid.IntRange(0, 3).Draw(t, "refund") == 0 {
			o.Refunded = o.Total / 2
			o.Lines[0].Refunded = 1
		}
		return o
	})
}

func cart() *rapid.Generator[crm.ProfileCart] {
	return rapid.Custom(func(t *rapid.T) crm.ProfileCart {
		at := Instant().Draw(t, "created")
		c := crm.ProfileCart{ID: "c", Currency: "EUR", Total: int64(rapid.IntRange(1, 4).Draw(t, "total")) * 100, CreatedAt: at, ActiveAt: at}
		c.ActiveAt = at.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "active")) * time.Hour)
		if rapid.Bool().Draw(t, "closed?") {
			c.ClosedAt = c.ActiveAt.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "closed")) * time.Hour)
		}
		return c
	})
}
