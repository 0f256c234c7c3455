// Package mapping is the `mapping:` block of a shop's file: which of a platform's own fields hold what Relance needs to
// know (brand, birthday, locale, consent, attributes of its own). One small language for every platform; a connector
// says which fields there are and finds their values in a record.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Mapping is the block as written. Every string but those of Statuses and Consent.Topic is an expression, see Parse.
type Mapping struct {
	Brand      string            `yaml:"brand,omitempty" json:"brand,omitempty" jsonschema:"description=Field of a product that holds its brand,example=attribute.Marque"`
	Birthday   string            `yaml:"birthday,omitempty" json:"birthday,omitempty" jsonschema:"description=Field of a customer that holds the date of birth,example=meta.billing_birthday"`
	Locale     string            `yaml:"locale,omitempty" json:"locale,omitempty" jsonschema:"description=Field of a customer that holds the language,example=meta.locale"`
	Consent    *Consent          `yaml:"consent,omitempty" json:"consent,omitempty" jsonschema:"description=Which fields say that somebody wants marketing mail"`
	Attributes map[string]string `yaml:"attributes,omitempty" json:"attributes,omitempty" jsonschema:"description=Attributes of a contact and the customer's fields that hold them"`
	Statuses   map[string]string `yaml:"statuses,omitempty" json:"statuses,omitempty" jsonschema:"description=Order statuses of the shop's own and the state they mean"`
}

// Consent says which fields hold an explicit opt-in. A field that a record lacks says nothing.
type Consent struct {
	Customer string `yaml:"customer,omitempty" json:"customer,omitempty" jsonschema:"description=Condition on a customer that means yes,example=meta.newsletter_optin == yes"`
	Order    string `yaml:"order,omitempty" json:"order,omitempty" jsonschema:"description=Condition on an order (the box at the checkout) that means yes"`
	False    string `yaml:"false,omitempty" json:"false,omitempty" jsonschema:"enum=silence,enum=withdrawn,description=What it means that the condition turns false; default: silence"`
	Topic    string `yaml:"topic,omitempty" json:"topic,omitempty" jsonschema:"description=Topic of the consent; default: marketing"`
}

// What the `false:` of a consent may say.
const (
	Silence   = "silence"
	Withdrawn = "withdrawn"
)

// Fields says which fields the records of a platform have. A root that ends in "." is followed by any name
// ("meta.": meta.newsletter_optin); others are complete names ("gender").
type Fields struct {
	Customer, Order, Product []string
	Statuses                 bool // the shop's own statuses can be mapped
}

// States are what a status of the shop's own may mean.
func States() []string {
	return []string{
		crm.StatePending, crm.StateFailed, crm.StateOnHold, crm.StateAccepted, crm.StateShipped,
		crm.StateCompleted, crm.StateCancelled, crm.StateRefunded, crm.StateOther,
	}
}

// Rules names the mapping for connectors.Normaliser: equal mappings, equal names.
func (m Mapping) Rules() string {
	body, err := json.Marshal(m)
	if err != nil { // strings and maps of strings always can
		return ""
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:6])
}

// Validate finds what cannot be meant. Paths are below the block.
func (m Mapping) Validate(f Fields) []fault.Problem {
	v := validator{}
	v.expression("$.brand", m.Brand, f.Product, "a product")
	v.expression("$.birthday", m.Birthday, f.Customer, "a customer")
	v.expression("$.locale", m.Locale, f.Customer, "a customer")
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		path := "$.attributes." + name
		switch {
		case strings.HasPrefix(name, "relance."):
			v.add(path, "attributes that begin with relance. are Relance's own", "another name")
		case m.Attributes[name] == "":
			v.add(path, "no field is given", "a field of a customer: "+strings.Join(f.Customer, " "))
		default:
			v.expression(path, m.Attributes[name], f.Customer, "a customer")
		}
	}
	for _, status := range slices.Sorted(maps.Keys(m.Statuses)) {
		state := m.Statuses[status]
		switch {
		case !f.Statuses:
			v.add("$.statuses."+status, "this platform's states are fixed", "no statuses")
		case !slices.Contains(States(), state):
			v.add("$.statuses."+status, fmt.Sprintf("%q is not a state", state), "one of "+strings.Join(States(), ", "))
		}
	}
	v.consent(m.Consent, f)
	return v.found
}

type validator struct{ found []fault.Problem }

func (v *validator) add(path, message, want string) {
	v.found = append(v.found, fault.Problem{Path: path, Message: message, Want: want})
}

func (v *validator) consent(c *Consent, f Fields) {
	if c == nil {
		return
	}
	if c.Customer == "" && c.Order == "" {
		v.add("$.consent", "neither customer nor order is given", `a condition, for example customer: meta.newsletter_optin == "yes"`)
	}
	v.expression("$.consent.customer", c.Customer, f.Customer, "a customer")
	v.expression("$.consent.order", c.Order, f.Order, "an order")
	if c.False != "" && c.False != Silence && c.False != Withdrawn {
		v.add("$.consent.false", fmt.Sprintf("%q is not known", c.False), "silence (an unticked box says nothing) or withdrawn")
	}
}

func (v *validator) expression(path, text string, fields []string, of string) {
	if text == "" {
		return
	}
	e, err := Parse(text)
	if err != nil {
		v.add(path, err.Error(), `a field, or a comparison: meta.newsletter_optin == "yes"`)
		return
	}
	if len(fields) == 0 {
		v.add(path, "on this platform "+of+" has no fields to map", "no mapping")
		return
	}
	if !has(fields, e.Field) {
		v.add(path, fmt.Sprintf("%s has no field %q", of, e.Field), "one of "+shown(fields))
	}
}

func has(fields []string, name string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		if strings.HasSuffix(f, ".") {
			return strings.HasPrefix(name, f) && len(name) > len(f)
		}
		return f == name
	})
}

func shown(fields []string) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f
		if strings.HasSuffix(f, ".") {
			out[i] += "…"
		}
	}
	return strings.Join(out, ", ")
}
