package rule

import (
	"cmp"

	"github.com/relance/relance/internal/crm"
)

// The bases on which a shop may write to people who never answered.
const (
	basisSoftOptIn = "soft_opt_in" // bought there and did not object
	basisImplied   = "implied"     // consent is taken for granted
)

// contactable answers as the gate before every marketing mail does: no address is suppressed, and consent was given, or
// nothing was ever said and the shops' basis allows to write.
type contactable struct{ is bool }

func (contactable) consent() consent {
	return consent{topic: "marketing", channel: "email", state: crm.ConsentGranted}
}

func (k contactable) match(p *crm.Profile, t crm.Instant) bool { return k.reached(p, t) == k.is }

func (k contactable) reached(p *crm.Profile, t crm.Instant) bool {
	if len(p.Contact.Suppressed) > 0 {
		return false
	}
	c := k.consent()
	s := c.stored(p)
	if s == nil || s.SourceAt > t || cmp.Or(s.State, crm.ConsentNone) == crm.ConsentNone {
		first := k.allowedFrom(p)
		return first <= t
	}
	return s.State == crm.ConsentGranted && c.at(p, t) == crm.ConsentGranted
}

// allowedFrom is since when a shop's basis allows to write to somebody who never answered.
func (k contactable) allowedFrom(p *crm.Profile) crm.Instant {
	if p.Contact.Bases[p.Contact.HomeShopID] == basisImplied {
		return 0
	}
	from := crm.Never
	for i := range p.Orders {
		if o := &p.Orders[i]; o.CountsAsSale && p.Contact.Bases[o.ShopID] == basisSoftOptIn {
			from = min(from, o.PlacedAt)
		}
	}
	return from
}

func (k contactable) next(p *crm.Profile, t crm.Instant) crm.Instant {
	at, _ := k.turn(p, t)
	return at
}

func (k contactable) turn(p *crm.Profile, t crm.Instant) (crm.Instant, reason) {
	if len(p.Contact.Suppressed) > 0 {
		return crm.Never, reason{}
	}
	next, why := k.consent().turn(p, t)
	if from := k.allowedFrom(p); from > t && from < next {
		return from, reason{text: "an order dated %s counts from then on, and its shop may write to buyers", at: from}
	}
	return next, why
}

func (k contactable) needs() crm.Needs { return crm.Needs{Orders: true, Consents: true, Account: true} }

func (k contactable) explain(p *crm.Profile, t crm.Instant) Explanation {
	value := suppressions(p)
	if len(p.Contact.Suppressed) == 0 {
		value = "consent for marketing by email is " + k.consent().at(p, t)
		if k.allowedFrom(p) <= t {
			value += ", and a shop may write to people who never answered"
		}
	}
	at, why := k.turn(p, t)
	return leaf(negated("contactable", k.is), k.match(p, t), value, at, why)
}
