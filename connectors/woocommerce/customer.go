package woocommerce

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireCustomer struct {
	ID        ident       `json:"id"`
	Email     text        `json:"email"`
	FirstName text        `json:"first_name"`
	LastName  text        `json:"last_name"`
	Role      text        `json:"role"`
	Created   stamp       `json:"date_created_gmt"`
	Modified  stamp       `json:"date_modified_gmt"`
	Billing   person      `json:"billing"`
	Meta      *list[meta] `json:"meta_data"` // nil: a shop manager's key does not see it
}

// customer gives the facets of an account.
func (n normaliser) customer(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireCustomer
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindCustomer, raw), nil, err
	}
	ref := crm.Ref{Kind: crm.KindCustomer, ID: string(w.ID)}
	if w.ID == "" {
		return ref, nil, errors.New("a customer without an id")
	}
	c := &crm.Customer{
		Email: string(w.Email), FirstName: string(w.FirstName), LastName: string(w.LastName),
		Company: string(w.Billing.Company), Phone: string(w.Billing.Phone), Role: string(w.Role),
		RegisteredAt: crm.Instant(w.Created), ModifiedAt: crm.Instant(w.Modified),
	}
	facts := []crm.Fact{{Ref: ref, Body: c}, {Ref: ref, Body: w.Billing.address()}}
	r := record{raw: raw}
	if w.Meta != nil {
		r.meta = *w.Meta
		c.Attributes = attributes(r.meta)
	}
	n.mappedProfile(c, r)
	if e := n.mapped.CustomerConsent; e == nil || w.Meta == nil && strings.HasPrefix(e.Field, rootMeta) {
		return ref, facts, nil // what a shop manager's key does not see has not turned false
	}
	said := n.optIn(n.mapped.CustomerConsent, r)
	said.SourceAt = cmp.Or(c.ModifiedAt, c.RegisteredAt)
	return ref, append(facts, crm.Fact{Ref: ref, Body: said}), nil
}

// mappedProfile sets what the shop's mapping says about an account.
func (n normaliser) mappedProfile(c *crm.Customer, r record) {
	if e := n.mapped.Birthday; e != nil {
		v, _ := e.Value(r.value)
		c.Birthday = civilDate(v)
	}
	if e := n.mapped.Locale; e != nil {
		v, _ := e.Value(r.value)
		c.Locale = locale(v)
	}
	for name, v := range n.mapped.AttributesOf(r.value) {
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[name] = v
	}
}

func (p person) address() *crm.Address {
	return &crm.Address{
		Line1: string(p.Address1), Line2: string(p.Address2), City: string(p.City), Region: string(p.State),
		Postcode: string(p.Postcode), Country: strings.ToUpper(string(p.Country)),
	}
}

// Attributes are for merge fields and conditions: longer values are some extension's storage.
const (
	maxAttributes     = 100
	maxAttributeValue = 255
)

// attributes keeps what is scalar and public (WordPress hides keys that begin with an underscore).
func attributes(ms []meta) map[string]string {
	out := map[string]string{}
	for _, m := range ms {
		key, v := string(m.Key), lenient.Scalar(m.Value)
		if key == "" || key[0] == '_' || v == "" || len(v) > maxAttributeValue || len(out) >= maxAttributes {
			continue
		}
		out[key] = v
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// civilDate reads the ways in which shops keep a birthday; "" when it is none of them.
func civilDate(s string) string {
	return lenient.CivilDate(s, time.DateOnly, "02/01/2006", "02.01.2006", "20060102", wireTime, time.DateTime)
}

// locale writes WordPress's names as BCP 47: "de_DE_formal" is "de-DE". "" for what is no locale.
func locale(s string) string {
	lang, rest, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(s), "-", "_"), "_")
	region, _, _ := strings.Cut(rest, "_")
	lang, region = strings.ToLower(lang), strings.ToUpper(region)
	switch letters := "abcdefghijklmnopqrstuvwxyz"; {
	case len(lang) < 2 || len(lang) > 3 || strings.Trim(lang, letters) != "":
		return ""
	case len(region) != 2 || strings.Trim(strings.ToLower(region), letters) != "":
		return lang
	}
	return lang + "-" + region
}
