package woocommerce

import (
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
	if w.Meta == nil {
		return ref, facts, nil
	}
	c.Attributes = attributes(*w.Meta)
	if n.birthday != "" {
		c.Birthday = civilDate(c.Attributes[n.birthday])
	}
	if n.consent != nil && n.consent.Customer != "" {
		at := c.ModifiedAt
		if at == 0 {
			at = c.RegisteredAt
		}
		facts = append(facts, crm.Fact{Ref: ref, Body: n.optIn(*w.Meta, n.consent.Customer, at, "")})
	}
	return ref, facts, nil
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

// optIn reads a mapped field. Of a key that occurs twice with different answers the cautious one counts.
func (n normaliser) optIn(ms []meta, key string, at crm.Instant, email string) *crm.OptIn {
	o := &crm.OptIn{Topic: n.consent.topic(), Channel: "email", SourceAt: at, Email: email, NoMeans: n.consent.noMeans()}
	for _, m := range ms {
		if string(m.Key) != key || string(m.Value) == "null" {
			continue
		}
		if v := n.consent.means(lenient.Scalar(m.Value)); o.Value != "no" {
			o.Value = v
		}
	}
	return o
}

// civilDate reads the ways in which shops keep a birthday; "" when it is none of them.
func civilDate(s string) string {
	for _, layout := range []string{time.DateOnly, "02/01/2006", "02.01.2006", "20060102", wireTime, time.DateTime} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil && t.Year() > 1800 {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}

func goneCustomer(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindCustomer, ID: id}
	return []crm.Fact{
		{Ref: ref, Gone: true, Body: &crm.Customer{}},
		{Ref: ref, Gone: true, Body: &crm.Address{}},
		{Ref: ref, Gone: true, Body: &crm.OptIn{}},
	}
}
