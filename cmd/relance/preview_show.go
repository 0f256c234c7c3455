package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// rawField is one field of a record as the shop sent it.
type rawField struct {
	Field string `json:"field"` // with its place: billing.city, meta_data[3].value
	Value string `json:"value"`
	name  string // what a custom field calls itself, where the record lists them: newsletter_optin
}

const (
	mostFields = 400
	mostText   = 200 // runes of one value
)

// flatten lists the fields of a JSON body; anything else is one field.
func flatten(body []byte) []rawField {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return []rawField{{Field: "(not JSON)", Value: clipped(string(body))}}
	}
	var out []rawField
	var walk func(path, name string, v any)
	walk = func(path, name string, v any) {
		if len(out) >= mostFields {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			own := selfNamed(v)
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(strings.TrimPrefix(path+"."+k, "."), own, v[k])
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), name, e)
			}
		case nil:
			out = append(out, rawField{path, "null", name})
		default:
			out = append(out, rawField{path, clipped(fmt.Sprint(v)), name})
		}
	}
	walk("", "", v)
	return out
}

// selfNamed is the name of a custom field that carries it: {"key": …, "value": …}, {"attribute_code": …, "value": …}.
func selfNamed(v map[string]any) string {
	if _, ok := v["value"]; !ok {
		return ""
	}
	for _, k := range []string{"key", "attribute_code"} {
		if s, ok := v[k].(string); ok {
			return s
		}
	}
	return ""
}

func clipped(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' { // one line, and nothing that a terminal obeys
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if r := []rune(s); len(r) > mostText {
		return string(r[:mostText]) + "…"
	}
	return s
}

// shownFact is a fact as people read it.
type shownFact struct {
	Facet  string     `json:"facet"`
	Kind   crm.Kind   `json:"kind"`
	ID     string     `json:"id"`
	Gone   bool       `json:"gone,omitempty"`
	Values []rawField `json:"values"`
}

// show lists what a facet knows; what it does not know is left out.
func show(f crm.Fact) shownFact {
	v := reflect.Indirect(reflect.ValueOf(f.Body))
	out := shownFact{Facet: strings.ToLower(v.Type().Name()), Kind: f.Ref.Kind, ID: f.Ref.ID, Gone: f.Gone, Values: []rawField{}}
	fields(&out.Values, "", v, "")
	return out
}

// fields lists those of a facet, or of one of its lines, whose amounts are in the facet's currency.
func fields(out *[]rawField, prefix string, v reflect.Value, currency string) {
	if own := v.FieldByName("Currency"); own.IsValid() {
		currency = own.String()
	}
	for i := range v.NumField() {
		name, f := prefix+v.Type().Field(i).Name, v.Field(i)
		if f.IsZero() {
			continue
		}
		switch {
		case f.Type() == reflect.TypeFor[crm.Instant]():
			*out = append(*out, rawField{Field: name, Value: crm.Instant(f.Int()).Time().Format(time.RFC3339)})
		case f.Type() == reflect.TypeFor[[]crm.Line]():
			for j := range f.Len() {
				fields(out, fmt.Sprintf("%s[%d].", name, j), f.Index(j), currency)
			}
		case isAmount(v.Type().Field(i).Name) && f.Kind() == reflect.Int64:
			code := currency
			if v.Type().Field(i).Name == "BaseTotal" {
				code = v.FieldByName("BaseCurrency").String()
			}
			*out = append(*out, rawField{Field: name, Value: strings.TrimSpace(crm.Money{Minor: f.Int(), Currency: code}.Decimal() + " " + code)})
		case f.Kind() == reflect.Map:
			for _, k := range slices.SortedFunc(slices.Values(f.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
				*out = append(*out, rawField{Field: name + "." + k.String(), Value: clipped(fmt.Sprint(f.MapIndex(k)))})
			}
		default:
			*out = append(*out, rawField{Field: name, Value: clipped(fmt.Sprint(reflect.Indirect(f)))})
		}
	}
}

// isAmount: they are kept in minor units.
func isAmount(field string) bool {
	return slices.Contains([]string{"Goods", "Shipping", "Tax", "Discount", "Total", "BaseTotal", "Amount", "Price"}, field)
}
