package magento

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireCustomer struct {
	ID             lenient.Ident         `json:"id"`
	Email          lenient.Text          `json:"email"`
	FirstName      lenient.Text          `json:"firstname"`
	LastName       lenient.Text          `json:"lastname"`
	GroupID        lenient.Text          `json:"group_id"`
	StoreID        lenient.Text          `json:"store_id"`
	WebsiteID      lenient.Text          `json:"website_id"`
	Gender         lenient.Text          `json:"gender"`
	Born           lenient.Text          `json:"dob"`
	Created        lenient.Stamp         `json:"created_at"`
	Updated        lenient.Stamp         `json:"updated_at"`
	DefaultBilling lenient.Ident         `json:"default_billing"`
	Addresses      lenient.List[address] `json:"addresses"`
	Custom         attributes            `json:"custom_attributes"`
	Extensions     extensions            `json:"extension_attributes"`
}

// address is one of an account, an order or a cart.
type address struct {
	ID             lenient.Ident              `json:"id"`
	Email          lenient.Text               `json:"email"`
	FirstName      lenient.Text               `json:"firstname"`
	LastName       lenient.Text               `json:"lastname"`
	Company        lenient.Text               `json:"company"`
	Phone          lenient.Text               `json:"telephone"`
	Street         lenient.List[lenient.Text] `json:"street"`
	City           lenient.Text               `json:"city"`
	Postcode       lenient.Text               `json:"postcode"`
	Country        lenient.Text               `json:"country_id"`
	Region         region                     `json:"region"`
	RegionCode     lenient.Text               `json:"region_code"`
	DefaultBilling lenient.Flag               `json:"default_billing"`
}

// UnmarshalJSON implements json.Unmarshaler: PHP writes an address without any field as [].
func (a *address) UnmarshalJSON(b []byte) error {
	type plain address
	return lenient.Object(b, (*plain)(a))
}

// region is an object in accounts and a text in orders and carts.
type region struct{ code, name string }

// UnmarshalJSON implements json.Unmarshaler.
func (r *region) UnmarshalJSON(b []byte) error {
	var w struct {
		Code lenient.Text `json:"region_code"`
		Name lenient.Text `json:"region"`
	}
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &w); err != nil {
			return err
		}
		r.code, r.name = string(w.Code), string(w.Name)
		return nil
	}
	r.name = lenient.Scalar(b)
	return nil
}

// area is the code of the region where it has one: "QC", as other platforms write it.
func (a address) area() string {
	for _, s := range []string{string(a.RegionCode), a.Region.code, a.Region.name} {
		if s != "" {
			return s
		}
	}
	return ""
}

func (a address) facet() *crm.Address {
	out := &crm.Address{City: string(a.City), Region: a.area(), Postcode: string(a.Postcode), Country: strings.ToUpper(string(a.Country))}
	var lines []string
	for _, l := range a.Street {
		lines = append(lines, string(l))
	}
	if len(lines) > 0 {
		out.Line1, out.Line2 = lines[0], strings.Join(lines[1:], ", ")
	}
	return out
}

// billing is the default billing address; empty when none is marked.
func (w wireCustomer) billing() address {
	for _, a := range w.Addresses {
		if w.DefaultBilling != "" && a.ID == w.DefaultBilling {
			return a
		}
	}
	for _, a := range w.Addresses {
		if a.DefaultBilling {
			return a
		}
	}
	return address{}
}

// customer gives the facets of an account.
func (n normaliser) customer(raw []byte) (crm.Ref, []crm.Fact, error) {
	w, ref, err := decodeCustomer(raw)
	if err != nil {
		return ref, nil, err
	}
	home := w.billing()
	look := n.customerField(raw, w)
	c := &crm.Customer{
		Email: string(w.Email), FirstName: string(w.FirstName), LastName: string(w.LastName),
		Company: string(home.Company), Phone: string(home.Phone), Role: n.groups[string(w.GroupID)],
		Locale: n.views.byID[string(w.StoreID)].locale, Birthday: civilDate(string(w.Born)),
		RegisteredAt: crm.Instant(w.Created), ModifiedAt: crm.Instant(w.Updated), Attributes: n.attributes(w.Custom),
	}
	if e := n.mapped.Birthday; e != nil {
		v, _ := e.Value(look)
		c.Birthday = civilDate(v)
	}
	if e := n.mapped.Locale; e != nil {
		if v, _ := e.Value(look); locale(v) != "" {
			c.Locale = locale(v)
		}
	}
	for name, v := range n.mapped.AttributesOf(look) {
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[name] = v
	}
	facts := []crm.Fact{{Ref: ref, Body: c}, {Ref: ref, Body: home.facet()}}
	return ref, append(facts, crm.Fact{Ref: ref, Body: n.optIn(look)}), nil
}

// newsletter gives what an account says of marketing mail, and nothing else.
func (n normaliser) newsletter(raw []byte) (crm.Ref, []crm.Fact, error) {
	w, ref, err := decodeCustomer(raw)
	if err != nil {
		return ref, nil, err
	}
	return ref, []crm.Fact{{Ref: ref, Body: n.optIn(n.customerField(raw, w))}}, nil
}

func decodeCustomer(raw []byte) (wireCustomer, crm.Ref, error) {
	var w wireCustomer
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, lostRef(crm.KindCustomer, raw, "id"), err
	}
	ref := crm.Ref{Kind: crm.KindCustomer, ID: string(w.ID)}
	if w.ID == "" {
		return w, ref, errors.New("a customer without an id")
	}
	return w, ref, nil
}

// optIn has no instant of the shop's: ticking the box moves no date.
func (n normaliser) optIn(look func(string) (string, bool)) *crm.OptIn {
	return n.mapped.OptIn(&n.said, look)
}

// consentField is what the newsletter stream has to ask for besides, so that the mapped consent can be read.
func consentField(field string) string {
	switch {
	case strings.HasPrefix(field, rootExtension), field == "store":
		return ""
	case strings.HasPrefix(field, rootCustom):
		return ",custom_attributes"
	case field == "group":
		return ",group_id"
	}
	return "," + field
}

func (n normaliser) customerField(raw []byte, w wireCustomer) func(string) (string, bool) {
	return func(field string) (string, bool) {
		code, custom := strings.CutPrefix(field, rootCustom)
		name, extension := strings.CutPrefix(field, rootExtension)
		switch {
		case custom:
			v, ok := w.Custom.get(code)
			return labelled(v, n.options[code]), ok
		case extension:
			return w.Extensions.get(name)
		case field == "group":
			return n.groups[string(w.GroupID)], w.GroupID != ""
		case field == "store":
			return n.views.byID[string(w.StoreID)].code, w.StoreID != ""
		}
		v, ok := scalar(raw, field)
		return labelled(v, n.options[field]), ok
	}
}

// Attributes are for merge fields and conditions: longer values are some module's storage.
const (
	maxAttributes     = 100
	maxAttributeValue = 255
)

func (n normaliser) attributes(as attributes) map[string]string {
	out := map[string]string{}
	for _, a := range as {
		code := string(a.Code)
		v := labelled(a.text(), n.options[code])
		if code == "" || v == "" || len(v) > maxAttributeValue || len(out) >= maxAttributes {
			continue
		}
		out[code] = v
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// civilDate reads 1967-05-04 and "1967-05-04 00:00:00"; "" when it is neither.
func civilDate(s string) string {
	return lenient.CivilDate(s, time.DateOnly, wireTime, "02/01/2006", "02.01.2006")
}

// locale writes Magento's names as BCP 47: "fr_CA" is "fr-CA", "zh_Hans_CN" is "zh-CN". "" for what is no locale.
func locale(s string) string {
	parts := strings.Split(strings.ReplaceAll(strings.TrimSpace(s), "-", "_"), "_")
	letters := func(s string, least, most int) bool {
		return len(s) >= least && len(s) <= most && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz") == ""
	}
	if !letters(parts[0], 2, 3) {
		return ""
	}
	lang := strings.ToLower(parts[0])
	if last := parts[len(parts)-1]; len(parts) > 1 && letters(last, 2, 2) {
		return lang + "-" + strings.ToUpper(last)
	}
	return lang
}
