package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
)

func (c *compiler) texts(path, what string, w List) {
	if len(w) == 0 || slices.ContainsFunc(w, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		c.fail(path, "nothing is listed", "one "+what+" or a list of them")
	}
}

// sameText compares what people and shops write: blanks around it and its case mean nothing.
func sameText(have, want string) bool {
	return strings.EqualFold(strings.TrimSpace(have), strings.TrimSpace(want))
}

func (c *compiler) region(path string, w List) condition {
	c.texts(path, "region as the shop writes it", w)
	return place{"region", w, func(k crm.Contact) string { return k.Region }, sameText}
}

func (c *compiler) city(path string, w List) condition {
	c.texts(path, "city", w)
	return place{"city", w, func(k crm.Contact) string { return k.City }, sameText}
}

// group compares the groups of the contact's accounts; the clock has no part in it.
type group struct{ list []string }

func (c *compiler) group(path string, w List) condition {
	c.texts(path, "group", w)
	return group{w}
}

func (g group) match(p *crm.Profile, _ crm.Instant) bool {
	return slices.ContainsFunc(p.Contact.Groups, func(have string) bool {
		return slices.ContainsFunc(g.list, func(want string) bool { return sameText(have, want) })
	})
}

func (g group) next(*crm.Profile, crm.Instant) crm.Instant { return crm.Never }
func (g group) needs() crm.Needs                           { return crm.Needs{Account: true} }
func (g group) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := "in no group"
	if len(p.Contact.Groups) > 0 {
		value = strings.Join(p.Contact.Groups, ", ")
	}
	return leaf("group "+strings.Join(g.list, " or "), g.match(p, t), value, crm.Never, reason{})
}

// inShop asks for an account, an order or a cart in one of the shops.
type inShop struct{ names []string }

func (c *compiler) inShop(path string, w List) condition {
	c.texts(path, "shop by its name", w)
	return inShop{w}
}

func (s inShop) match(p *crm.Profile, t crm.Instant) bool {
	return slices.ContainsFunc(p.Contact.Shops, func(k crm.ContactShop) bool { return k.Since <= t && slices.Contains(s.names, k.Name) })
}

func (s inShop) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := s.turn(p, t)
	return at
}

func (s inShop) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	next, why := crm.Never, reason{}
	for _, k := range p.Contact.Shops {
		if k.Since > t && k.Since < next && slices.Contains(s.names, k.Name) {
			next, why = k.Since, reason{text: "what there is in shop " + escape(k.Name) + " is dated %s", at: k.Since}
		}
	}
	return next, why
}

func (s inShop) needs() crm.Needs { return crm.Needs{Account: true} }
func (s inShop) explain(p *crm.Profile, t crm.Instant) Explanation {
	var names []string
	for _, k := range p.Contact.Shops {
		if k.Since <= t {
			names = append(names, k.Name)
		}
	}
	value := "in no shop"
	if names != nil {
		value = strings.Join(names, ", ")
	}
	at, why := s.turn(p, t)
	return leaf("shop "+strings.Join(s.names, " or "), s.match(p, t), value, at, why)
}

// escape lets a text of others stand in the pattern of a reason.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// source looks at how the contact's first order came in, or at what brought the buyer there.
type source struct{ list []string }

func (c *compiler) source(path string, w List) condition {
	c.texts(path, "source such as google or checkout", w)
	return source{w}
}

// first is the earliest order that counts as a sale; nil when there is none.
func (s source) first(p *crm.Profile) *crm.ProfileOrder {
	var first *crm.ProfileOrder
	for i := range p.Orders {
		if o := &p.Orders[i]; o.CountsAsSale && (first == nil || o.PlacedAt < first.PlacedAt) {
			first = o
		}
	}
	return first
}

func (s source) match(p *crm.Profile, t crm.Instant) bool {
	o := s.first(p)
	return o != nil && o.PlacedAt <= t && slices.ContainsFunc(s.list, func(want string) bool {
		return o.Via != "" && sameText(o.Via, want) || o.Source != "" && sameText(o.Source, want)
	})
}

func (s source) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := s.turn(p, t)
	return at
}

func (s source) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	if o := s.first(p); o != nil && o.PlacedAt > t {
		return o.PlacedAt, reason{text: "the first order is dated %s", at: o.PlacedAt}
	}
	return crm.Never, reason{}
}

func (s source) needs() crm.Needs { return crm.Needs{Orders: true, Source: true} }
func (s source) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := "never bought"
	if o := s.first(p); o != nil && o.PlacedAt <= t {
		value = fmt.Sprintf("first order by %q from %q", o.Via, o.Source)
	}
	at, why := s.turn(p, t)
	return leaf("source "+strings.Join(s.list, " or "), s.match(p, t), value, at, why)
}

// bounced asks whether mail to an address of the contact came back for good.
type bounced struct{ is bool }

func (b bounced) match(p *crm.Profile, _ crm.Instant) bool {
	return slices.Contains(p.Contact.Suppressed, crm.SuppressedBounced) == b.is
}

func (b bounced) next(*crm.Profile, crm.Instant) crm.Instant { return crm.Never }
func (b bounced) needs() crm.Needs                           { return crm.Needs{Account: true} }
func (b bounced) explain(p *crm.Profile, t crm.Instant) Explanation {
	return leaf(negated("bounced", b.is), b.match(p, t), suppressions(p), crm.Never, reason{})
}

func suppressions(p *crm.Profile) string {
	if len(p.Contact.Suppressed) == 0 {
		return "no address is suppressed"
	}
	return "suppressed: " + strings.Join(p.Contact.Suppressed, ", ")
}

func negated(what string, is bool) string {
	if is {
		return what
	}
	return "not " + what
}
