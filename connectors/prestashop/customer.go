package prestashop

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireCustomer struct {
	ID           ident `json:"id"`
	Email        text  `json:"email"`
	FirstName    text  `json:"firstname"`
	LastName     text  `json:"lastname"`
	Company      text  `json:"company"`
	Language     ident `json:"id_lang"`
	Group        ident `json:"id_default_group"`
	Birthday     text  `json:"birthday"`
	Guest        flag  `json:"is_guest"`
	Deleted      flag  `json:"deleted"`
	Active       *flag `json:"active"`
	Created      text  `json:"date_add"`
	Modified     text  `json:"date_upd"`
	NewsletterAt text  `json:"newsletter_date_add"`
	Associations struct {
		Groups list[idOnly] `json:"groups"`
	} `json:"associations"`
}

type wireAddress struct {
	ID       ident `json:"id"`
	Customer ident `json:"id_customer"`
	Country  ident `json:"id_country"`
	State    ident `json:"id_state"`
	Company  text  `json:"company"`
	Address1 text  `json:"address1"`
	Address2 text  `json:"address2"`
	Postcode text  `json:"postcode"`
	City     text  `json:"city"`
	Phone    text  `json:"phone"`
	Mobile   text  `json:"phone_mobile"`
	Deleted  flag  `json:"deleted"`
	Modified text  `json:"date_upd"`
}

// customer gives the facets of an account or guest: profile, billing address and consent. A soft-deleted one is gone.
func (n normaliser) customer(b bundle) ([]crm.Fact, error) {
	var w wireCustomer
	if err := json.Unmarshal(b.Customer, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("a customer without an id")
	}
	if w.Deleted {
		return connectors.GoneCustomer(string(w.ID)), nil
	}
	ref := crm.Ref{Kind: crm.KindCustomer, ID: string(w.ID)}
	c := &crm.Customer{
		Email: string(w.Email), FirstName: string(w.FirstName), LastName: string(w.LastName), Company: string(w.Company),
		Role: "customer", Locale: n.d.languages[string(w.Language)], Birthday: civilDate(string(w.Birthday)),
	}
	if w.Guest {
		c.Role = "guest"
	}
	var err error
	if c.RegisteredAt, err = n.instant(w.Created); err != nil {
		return nil, err
	}
	if c.ModifiedAt, err = n.instant(w.Modified); err != nil {
		return nil, err
	}
	home := n.billing(b.Addresses)
	if c.Phone = string(home.Mobile); c.Phone == "" {
		c.Phone = string(home.Phone)
	}
	if c.Company == "" {
		c.Company = string(home.Company)
	}
	look := n.customerField(b.Customer, w)
	c.Attributes = n.attributes(w, b.Customer, n.m.AttributesOf(look))
	if e := n.m.Birthday; e != nil {
		v, _ := e.Value(look)
		c.Birthday = civilDate(v)
	}
	if e := n.m.Locale; e != nil {
		c.Locale, _ = e.Value(look)
	}
	facts := []crm.Fact{{Ref: ref, Body: c}, {Ref: ref, Body: n.address(home)}}
	if o := n.optIn(b.Customer, w); o != nil {
		facts = append(facts, crm.Fact{Ref: ref, Body: o})
	}
	return facts, nil
}

// consent gives the facet customer.consent alone.
func (n normaliser) consent(b bundle) ([]crm.Fact, error) {
	var w wireCustomer
	if err := json.Unmarshal(b.Customer, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("a customer without an id")
	}
	o := n.optIn(b.Customer, w)
	if o == nil || bool(w.Deleted) {
		return nil, nil
	}
	return []crm.Fact{{Ref: crm.Ref{Kind: crm.KindCustomer, ID: string(w.ID)}, Body: o}}, nil
}

// optIn reads the mapped field; without a mapping it is PrestaShop's own: newsletter. The moment is known for that field
// alone. The newsletter block writes it by the database's clock, which can run hours ahead of the shop's: a moment that
// has not come yet is not believed.
func (n normaliser) optIn(raw json.RawMessage, w wireCustomer) *crm.OptIn {
	o := n.m.OptIn(n.m.CustomerConsent, n.customerField(raw, w))
	if o == nil {
		return nil
	}
	if o.Value == "yes" && n.m.CustomerConsent.Field == fieldNewsletter {
		if at, err := n.instant(w.NewsletterAt); err == nil && !at.Time().After(n.now) {
			o.SourceAt = at
		}
	}
	return o
}

const (
	fieldNewsletter = "newsletter"
	fieldOptIn      = "optin"
)

// customerField finds the fields that a mapping may name.
func (n normaliser) customerField(raw json.RawMessage, w wireCustomer) func(string) (string, bool) {
	return func(name string) (string, bool) {
		switch name {
		case "language":
			v, ok := n.d.languages[string(w.Language)]
			return v, ok
		case "group":
			v, ok := n.d.groups[string(w.Group)]
			return v, ok
		case "groups":
			return n.groupNames(w), true
		}
		return field(raw, strings.TrimPrefix(name, fieldRoot))
	}
}

func (n normaliser) groupNames(w wireCustomer) string {
	var names []string
	for _, g := range w.Associations.Groups {
		if name := n.d.groups[string(g.ID)]; name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// maxAttribute bounds an attribute: longer values are for no condition or merge field.
const maxAttribute = 255

// attributes are the mapped ones and what PrestaShop itself tells groups of customers apart by.
func (n normaliser) attributes(w wireCustomer, raw json.RawMessage, mapped map[string]string) map[string]string {
	out := map[string]string{}
	set := func(name, v string) {
		if v != "" && v != "0" && len(v) <= maxAttribute {
			out[name] = v
		}
	}
	set("group", n.d.groups[string(w.Group)])
	set("groups", n.groupNames(w))
	for _, name := range []string{"id_gender", "optin", "website", "siret", "ape"} {
		v, _ := field(raw, name)
		set(name, v)
	}
	if w.Active != nil && !bool(*w.Active) {
		out["active"] = "0" // the shop has blocked the account
	}
	for name, v := range mapped {
		if len(v) <= maxAttribute {
			out[name] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// billing is the address of a customer: the one that was written last of those not deleted. PrestaShop has no default
// one, and makes a new one whenever an address that an order used is edited.
func (n normaliser) billing(raws []json.RawMessage) wireAddress {
	var best wireAddress
	for _, raw := range raws {
		var w wireAddress
		if json.Unmarshal(raw, &w) != nil || bool(w.Deleted) {
			continue
		}
		if best.ID == "" || w.Modified > best.Modified || w.Modified == best.Modified && w.ID.Number() > best.ID.Number() {
			best = w
		}
	}
	return best
}

func (n normaliser) address(w wireAddress) *crm.Address {
	return &crm.Address{
		Line1: string(w.Address1), Line2: string(w.Address2), City: string(w.City), Postcode: string(w.Postcode),
		Region: n.d.regions[string(w.State)], Country: n.d.countries[string(w.Country)],
	}
}

// civilDate reads a birthday; "" when it is none.
func civilDate(s string) string {
	return lenient.CivilDate(s, time.DateOnly, wire, "02/01/2006", "02.01.2006", "20060102")
}
