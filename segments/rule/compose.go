package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// condition compiles one node and everything below it; nil after a problem.
func (c *compiler) condition(path string, w Condition) condition {
	type kind struct {
		name  string
		given bool
		make  func(path string) condition
	}
	kinds := []kind{
		{"all", w.All != nil, func(p string) condition { return all{c.list(p, w.All)} }},
		{"any", w.Any != nil, func(p string) condition { return anyOf{c.list(p, w.Any)} }},
		{"not", w.Not != nil, func(p string) condition { return not{c.condition(p, *w.Not)} }},
		{"bought", w.Bought != nil, func(p string) condition { return c.bought(p, *w.Bought) }},
		{"last_purchase", w.LastPurchase != nil, func(p string) condition { return c.lastPurchase(p, *w.LastPurchase) }},
		{"first_purchase", w.FirstPurchase != nil, func(p string) condition { return c.firstPurchase(p, *w.FirstPurchase) }},
		{"nth_purchase", w.NthPurchase != nil, func(p string) condition { return c.nthPurchase(p, *w.NthPurchase) }},
		{"days_between", w.DaysBetween != nil, func(p string) condition { return c.daysBetween(p, *w.DaysBetween) }},
		{"bought_with", w.BoughtWith != nil, func(p string) condition { return c.boughtWith(p, *w.BoughtWith) }},
		{"never_bought", w.NeverBought != nil, func(p string) condition { return c.neverBought(p, *w.NeverBought) }},
		{"open_cart", w.OpenCart != nil, func(p string) condition { return c.openCart(p, *w.OpenCart) }},
		{"recovered_cart", w.RecoveredCart != nil, func(p string) condition { return c.recoveredCart(p, *w.RecoveredCart) }},
		{"abandoned_carts", w.AbandonedCarts != nil, func(p string) condition { return c.abandonedCarts(p, *w.AbandonedCarts) }},
		{"registered", w.Registered != nil, func(p string) condition { return c.registered(p, *w.Registered) }},
		{"country", w.Country != nil, func(p string) condition { return c.country(p, w.Country) }},
		{"locale", w.Locale != nil, func(p string) condition { return c.locale(p, w.Locale) }},
		{"consent", w.Consent != nil, func(p string) condition { return c.consent(p, *w.Consent) }},
		{"region", w.Region != nil, func(p string) condition { return c.region(p, w.Region) }},
		{"city", w.City != nil, func(p string) condition { return c.city(p, w.City) }},
		{"age", w.Age != nil, func(p string) condition { return c.age(p, *w.Age) }},
		{"birthday", w.Birthday != nil, func(p string) condition { return c.birthday(p, *w.Birthday) }},
		{"group", w.Group != nil, func(p string) condition { return c.group(p, w.Group) }},
		{"shop", w.Shop != nil, func(p string) condition { return c.inShop(p, w.Shop) }},
		{"source", w.Source != nil, func(p string) condition { return c.source(p, w.Source) }},
		{"attribute", w.Attribute != nil, func(p string) condition { return c.attribute(p, *w.Attribute) }},
		{"contactable", w.Contactable != nil, func(string) condition { return contactable{is: *w.Contactable} }},
		{"bounced", w.Bounced != nil, func(string) condition { return bounced{*w.Bounced} }},
		{"engaged", w.Engaged != nil, func(p string) condition { return c.engaged(p, *w.Engaged) }},
		{"not_engaged", w.NotEngaged != nil, func(p string) condition { return not{c.engaged(p, *w.NotEngaged)} }},
		{"did", w.Did != nil, func(p string) condition { return c.did(p, *w.Did) }},
		{"opened", w.Opened != nil, func(p string) condition { return c.acts(p, "opened a mail", List{eventOpened}, *w.Opened) }},
		{"clicked", w.Clicked != nil, func(p string) condition { return c.acts(p, "clicked in a mail", List{eventClicked}, *w.Clicked) }},
		{"at_least", w.AtLeast != nil, func(p string) condition { return c.several(p, *w.AtLeast) }},
		{"segment", w.Segment != nil, func(p string) condition { return c.reference(p, w.Segment) }},
		{"entered", w.Entered != nil, func(p string) condition { return c.passage(p, false, *w.Entered) }},
		{"left", w.Left != nil, func(p string) condition { return c.passage(p, true, *w.Left) }},
		{"share", w.Share != nil, func(p string) condition { return c.share(p, *w.Share) }},
		{"rfm", w.RFM != nil, func(p string) condition { return c.rfm(p, *w.RFM) }},
		{"top", w.Top != nil, func(p string) condition { return c.top(p, false, *w.Top) }},
		{"bottom", w.Bottom != nil, func(p string) condition { return c.top(p, true, *w.Bottom) }},
		{"next_purchase", w.NextPurchase != nil, func(p string) condition { return c.nextPurchase(p, *w.NextPurchase) }},
		{"overdue", w.Overdue != nil, func(p string) condition { return c.overdue(p, *w.Overdue) }},
	}
	var given []kind
	names := make([]string, 0, len(kinds))
	for _, k := range kinds {
		names = append(names, k.name)
		if k.given {
			given = append(given, k)
		}
	}
	switch len(given) {
	case 0:
		c.fail(path, "the condition is empty", "one of "+strings.Join(names, ", "))
		return nil
	case 1:
		return given[0].make(path + "." + given[0].name)
	}
	c.fail(path, fmt.Sprintf("%s and %s stand side by side", given[0].name, given[1].name),
		"one condition; put several under all: (each must hold) or any: (one must hold), each with a dash of its own")
	for _, k := range given {
		k.make(path + "." + k.name) // for the mistakes in it
	}
	return nil
}

func (c *compiler) list(path string, ws []Condition) []condition {
	if len(ws) == 0 {
		c.fail(path, "the list is empty", "one condition or more, each with a dash")
	}
	out := make([]condition, len(ws))
	for i, w := range ws {
		out[i] = c.condition(fmt.Sprintf("%s[%d]", path, i), w)
	}
	return out
}

type all struct{ of []condition }

func (a all) match(p *crm.Profile, t crm.Instant) bool {
	for _, c := range a.of {
		if !c.match(p, t) {
			return false
		}
	}
	return true
}

func (a all) next(p *crm.Profile, t crm.Instant) crm.Instant { return earliest(a.of, p, t) }
func (a all) needs() crm.Needs                               { return union(a.of) }
func (a all) explain(p *crm.Profile, t crm.Instant) Explanation {
	return explainAll("all of", a.of, a.match(p, t), p, t)
}

type anyOf struct{ of []condition }

func (a anyOf) match(p *crm.Profile, t crm.Instant) bool {
	for _, c := range a.of {
		if c.match(p, t) {
			return true
		}
	}
	return false
}

func (a anyOf) next(p *crm.Profile, t crm.Instant) crm.Instant { return earliest(a.of, p, t) }
func (a anyOf) needs() crm.Needs                               { return union(a.of) }
func (a anyOf) explain(p *crm.Profile, t crm.Instant) Explanation {
	return explainAll("any of", a.of, a.match(p, t), p, t)
}

type not struct{ of condition }

func (n not) match(p *crm.Profile, t crm.Instant) bool       { return !n.of.match(p, t) }
func (n not) next(p *crm.Profile, t crm.Instant) crm.Instant { return n.of.next(p, t) }
func (n not) needs() crm.Needs                               { return n.of.needs() }
func (n not) explain(p *crm.Profile, t crm.Instant) Explanation {
	return explainAll("not", []condition{n.of}, n.match(p, t), p, t)
}

func earliest(cs []condition, p *crm.Profile, t crm.Instant) crm.Instant {
	next := crm.Never
	for _, c := range cs {
		next = min(next, c.next(p, t))
	}
	return next
}

func union(cs []condition) crm.Needs {
	var n crm.Needs
	for _, c := range cs {
		n = Union(n, c.needs())
	}
	return n
}

// Union is what both need.
func Union(a, b crm.Needs) crm.Needs {
	return crm.Needs{
		Orders: a.Orders || b.Orders, Lines: a.Lines || b.Lines, Carts: a.Carts || b.Carts, Consents: a.Consents || b.Consents,
		Source: a.Source || b.Source, Coupons: a.Coupons || b.Coupons, Moments: a.Moments || b.Moments, Account: a.Account || b.Account, Ranks: a.Ranks || b.Ranks,
		Events: unionNames(a.Events, b.Events), History: unionNames(a.History, b.History),
	}
}

func unionNames(a, b []string) []string {
	if len(a)+len(b) == 0 {
		return nil
	}
	names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
	if slices.Contains(names, crm.AllEvents) {
		return []string{crm.AllEvents}
	}
	return names
}
