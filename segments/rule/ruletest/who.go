package ruletest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

func whoKinds() []string {
	return []string{
		"region", "city", "age", "birthday", "group", "shop", "source", "attribute", "contactable", "bounced",
		"engaged", "not_engaged", "did", "opened", "clicked",
	}
}

// whoLeaf draws a condition about who somebody is or what they did.
func whoLeaf(t *rapid.T, kind string) rule.Condition {
	flag := rapid.Bool().Draw(t, "flag")
	switch kind {
	case "region":
		return rule.Condition{Region: rule.List{"bretagne", "13"}}
	case "city":
		return rule.Condition{City: rule.List{"LYON"}}
	case "age":
		return rule.Condition{Age: years(t)}
	case "birthday":
		return rule.Condition{Birthday: birthday(t)}
	case "group":
		return rule.Condition{Group: rule.List{"VIP", "pro"}}
	case "shop":
		return rule.Condition{Shop: rapid.SampledFrom([]rule.List{{"boutique"}, {"salon", "boutique"}}).Draw(t, "shops")}
	case "source":
		return rule.Condition{Source: rapid.SampledFrom([]rule.List{{"google"}, {"checkout", "mail"}}).Draw(t, "sources")}
	case "attribute":
		return rule.Condition{Attribute: &rule.Attribute{Name: rapid.SampledFrom(attributeNames()).Draw(t, "attribute"), Comparison: comparison(t)}}
	case "contactable":
		return rule.Condition{Contactable: &flag}
	case "bounced":
		return rule.Condition{Bounced: &flag}
	}
	return behaviourLeaf(t, kind)
}

func behaviourLeaf(t *rapid.T, kind string) rule.Condition {
	switch kind {
	case "engaged":
		return rule.Condition{Engaged: &rule.Engaged{Window: window(t)}}
	case "not_engaged":
		return rule.Condition{NotEngaged: &rule.Engaged{Window: window(t)}}
	case "opened":
		return rule.Condition{Opened: acts(t)}
	case "clicked":
		return rule.Condition{Clicked: acts(t)}
	}
	return rule.Condition{Did: &rule.Did{Event: rapid.SampledFrom([]rule.List{{"viewed_product"}, {"searched", "mail.clicked"}}).Draw(t, "events"), Acts: *acts(t)}}
}

func years(t *rapid.T) *rule.Age {
	a := &rule.Age{}
	low := rapid.IntRange(0, 27).Draw(t, "low")
	mode := rapid.IntRange(1, 3).Draw(t, "ages")
	if mode&1 != 0 {
		a.AtLeast = rule.Bound(fmt.Sprint(low))
	}
	if mode&2 != 0 {
		a.AtMost = rule.Bound(fmt.Sprint(low + rapid.IntRange(0, 3).Draw(t, "more")))
	}
	return a
}

func birthday(t *rapid.T) *rule.Birthday {
	days := rule.Length(fmt.Sprintf("%dd", rapid.IntRange(1, 4).Draw(t, "days")))
	switch rapid.IntRange(0, 3).Draw(t, "birthday") {
	case 0:
		return &rule.Birthday{Today: true}
	case 1:
		return &rule.Birthday{InLast: days}
	case 2:
		return &rule.Birthday{InNext: "365d"}
	}
	return &rule.Birthday{InNext: days}
}

func attributeNames() []string { return []string{"fidelite", "points", "since", "tags"} }

// comparison draws one of every kind; Value draws what they are compared with.
func comparison(t *rapid.T) rule.Comparison {
	flag := rapid.Bool().Draw(t, "exists")
	return rapid.SampledFrom([]rule.Comparison{
		{Is: rule.List{"OR", "12"}},
		{IsNot: rule.List{"or"}},
		{AtLeast: "12"},
		{AtLeast: "-1", AtMost: "12,5"},
		{AtMost: "12.49"},
		{After: "2026-10-01"},
		{After: "2025-12-31", Before: "2026-10-02"},
		{Contains: "o"},
		{Exists: &flag},
	}).Draw(t, "comparison")
}

// Value draws what an attribute or a property may hold.
func Value() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "or", " Or ", "argent", "12", "12,50", "-3", "2026-10-01", "02/10/2026", "2026-10-01T23:00:00Z", `["or","bleu"]`, "[12]", "1"})
}

func acts(t *rapid.T) *rule.Acts {
	a := &rule.Acts{Machine: rapid.IntRange(0, 3).Draw(t, "machine") == 0, Window: window(t)}
	n := rapid.IntRange(0, 2).Draw(t, "n")
	switch bound := rule.Bound(fmt.Sprint(n)); rapid.IntRange(0, 4).Draw(t, "bound") {
	case 0:
		a.AtLeast = bound
	case 1:
		a.AtMost = bound
	case 2:
		a.Exactly = bound
	case 3:
		a.AtLeast, a.AtMost = "1", rule.Bound(fmt.Sprint(n+1))
	}
	if rapid.Bool().Draw(t, "where?") {
		a.Where = map[string]rule.Test{}
		for _, name := range rapid.SampledFrom([][]string{{"category"}, {"brand", "category"}}).Draw(t, "properties") {
			a.Where[name] = rule.Test{Comparison: comparison(t)}
		}
	}
	return a
}

// who fills in what a profile says of the person and of what it did.
func who(t *rapid.T, p *crm.Profile) {
	c := &p.Contact
	c.Region = rapid.SampledFrom([]string{"", "Bretagne", "13 "}).Draw(t, "region")
	c.City = rapid.SampledFrom([]string{"", "Lyon", "Paris"}).Draw(t, "city")
	c.Birthday = Birthday().Draw(t, "born")
	c.HomeShopID = int64(rapid.IntRange(1, 2).Draw(t, "home"))
	if rapid.Bool().Draw(t, "attributes?") {
		c.Attributes = map[string]string{}
		for _, name := range attributeNames() {
			c.Attributes[name] = Value().Draw(t, name)
		}
		c.Groups = rapid.SampledFrom([][]string{nil, {"customer"}, {"customer", "vip"}}).Draw(t, "groups")
	}
	c.Bases = map[int64]string{1: Basis().Draw(t, "basis 1"), 2: Basis().Draw(t, "basis 2")}
	c.Suppressed = rapid.SampledFrom([][]string{nil, nil, nil, {"bounced"}, {"unsubscribed"}, {"bounced", "complained"}}).Draw(t, "suppressed")
	for _, name := range []string{"boutique", "salon"} {
		switch rapid.IntRange(0, 3).Draw(t, name) {
		case 0:
			c.Shops = append(c.Shops, crm.ContactShop{Name: name})
		case 1:
			c.Shops = append(c.Shops, crm.ContactShop{Name: name, Since: Instant().Draw(t, "since")})
		}
	}
	for i := range p.Orders {
		p.Orders[i].Via = rapid.SampledFrom([]string{"", "checkout", "admin"}).Draw(t, "via")
		p.Orders[i].Source = rapid.SampledFrom([]string{"", "google", "Mail"}).Draw(t, "source")
	}
	p.Events = rapid.SliceOfN(event(), 0, 5).Draw(t, "events")
	slices.SortStableFunc(p.Events, func(a, b crm.ProfileEvent) int { return int(a.At/1000 - b.At/1000) })
}

// Basis draws a shop's basis of consent.
func Basis() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"opt_in", "opt_in", "soft_opt_in", "implied"})
}

// Birthday draws days of birth whose birthdays are near Base, and some that are none.
func Birthday() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(t, "born?") == 0 {
			return rapid.SampledFrom([]string{"", "0000-00-00", "0000-10-25", "2000-02-29", "2026-10-25", "31/12"}).Draw(t, "odd")
		}
		d := time.Date(rapid.IntRange(1998, 2003).Draw(t, "year"), 10, rapid.IntRange(21, 29).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		return d.Format(time.DateOnly)
	})
}

func event() *rapid.Generator[crm.ProfileEvent] {
	return rapid.Custom(func(t *rapid.T) crm.ProfileEvent {
		return crm.ProfileEvent{ShopID: 1, At: Instant().Draw(t, "at"), Name: EventName().Draw(t, "name"), Properties: Properties().Draw(t, "properties")}
	})
}

// EventName draws the name of an event.
func EventName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"viewed_product", "searched", "mail.opened", "mail.clicked", "mail.clicked", "visited"})
}

// Properties draws those of an event; machine is there now and then.
func Properties() *rapid.Generator[map[string]string] {
	return rapid.Custom(func(t *rapid.T) map[string]string {
		out := map[string]string{}
		for _, name := range []string{"brand", "category"} {
			if v := Value().Draw(t, name); v != "" {
				out[name] = v
			}
		}
		if m := rapid.SampledFrom([]string{"", "", "1", "0"}).Draw(t, "machine"); m != "" {
			out["machine"] = m
		}
		return out
	})
}
