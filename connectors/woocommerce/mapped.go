package woocommerce

import (
	"encoding/json"
	"html"
	"strings"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

// Roots of fields that a mapping may name, see Fields.
const (
	rootMeta      = "meta."
	rootAttribute = "attribute."
)

// normaliser turns bodies into facts. Pure: the same body gives the same facts, from a page or from a single read.
type normaliser struct {
	base   string // the shop's address, without a slash at the end
	mapped *mapping.Compiled
}

// newNormaliser takes statuses with and without WooCommerce's internal "wc-".
func newNormaliser(base string, m mapping.Mapping) (normaliser, error) {
	compiled, err := mapping.Compile(m)
	if err != nil {
		return normaliser{}, err
	}
	plain := map[string]string{}
	for status, state := range compiled.Statuses {
		plain[strings.TrimPrefix(status, "wc-")] = state
	}
	compiled.Statuses = plain
	return normaliser{base: base, mapped: compiled}, nil
}

// record is a body in which a mapping looks fields up.
type record struct {
	raw  []byte
	meta []meta
}

// value is a mapping.Lookup. Of a meta key that occurs twice the last one counts, as it does in WordPress.
func (r record) value(field string) (string, bool) {
	if vs := r.values(field); len(vs) > 0 {
		return vs[len(vs)-1], true
	}
	return "", false
}

// values gives every value of a field; what is no scalar is "". None when the record lacks the field.
func (r record) values(field string) []string {
	if key, ok := strings.CutPrefix(field, rootMeta); ok {
		var out []string
		for _, m := range r.meta {
			if string(m.Key) == key && string(m.Value) != "null" {
				out = append(out, lenient.Scalar(m.Value))
			}
		}
		return out
	}
	if name, ok := strings.CutPrefix(field, rootAttribute); ok {
		return r.attribute(name)
	}
	raw := json.RawMessage(r.raw)
	for name := range strings.SplitSeq(field, ".") {
		if raw = lenient.Field(raw, name); raw == nil {
			return nil
		}
	}
	switch {
	case string(raw) == "null":
		return nil
	case raw[0] != '[':
		return []string{lenient.Scalar(raw)}
	}
	var terms list[term]
	if json.Unmarshal(raw, &terms) != nil || len(terms) == 0 {
		return nil
	}
	return []string{html.UnescapeString(string(terms[0].Name))}
}

// attribute is the first option of a product's attribute (a variation's only one), found by its name or slug.
func (r record) attribute(name string) []string {
	var all list[struct {
		Name    text       `json:"name"`
		Slug    text       `json:"slug"`
		Option  text       `json:"option"`
		Options list[text] `json:"options"`
	}]
	if raw := lenient.Field(r.raw, "attributes"); raw == nil || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	for _, a := range all {
		if slug(string(a.Name)) != slug(name) && slug(string(a.Slug)) != slug(name) {
			continue
		}
		if len(a.Options) > 0 {
			a.Option = a.Options[0]
		}
		return []string{html.UnescapeString(string(a.Option))}
	}
	return nil
}

// slug makes "Nom de marque", "nom-de-marque" and "pa_nom-de-marque" the same.
func slug(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", "-"), "pa_")
}

// optIn is what a record says of consent, nil when nothing is mapped. Of a key that occurs twice with different answers
// the cautious one counts.
func (n normaliser) optIn(e *mapping.Expression, r record) *crm.OptIn {
	if e == nil {
		return nil
	}
	out := n.mapped.OptIn(e, func(string) (string, bool) { return "", false })
	for _, v := range r.values(e.Field) {
		one := n.mapped.OptIn(e, func(string) (string, bool) { return v, true })
		if out.Value != "no" {
			out.Value = one.Value
		}
	}
	return out
}
