package prestashop

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// fuzzed feeds a body to a normaliser: it may be refused, it must not panic or hang.
func fuzzed(f *testing.F, kind crm.Kind, wrap func(raw json.RawMessage) bundle, seeds ...string) {
	n := normaliserOf(f, mapping.Mapping{
		Consent: &mapping.Consent{Customer: "optin", Order: "field.box"}, Brand: "field.marque", Attributes: map[string]string{"a": "field.x"},
	})
	for _, name := range seeds {
		rows := rowsOf(f, name)
		for _, raw := range rows[:min(len(rows), 2)] {
			f.Add([]byte(raw))
		}
	}
	f.Add([]byte(`{"id":1,"id_currency":1,"total_paid_tax_incl":"1e999999999","associations":{"order_rows":[{"product_quantity":1e99}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return
		}
		b := wrap(body)
		if facts, err := n.facts(kind, b); err == nil {
			for _, fact := range facts {
				if fact.Ref.ID == "" || fact.Body == nil {
					t.Fatalf("%s gives %+v", body, fact)
				}
			}
		}
		if _, err := decodeRows("list", rest.Answer{Body: body}, slipTable()); err != nil && fault.ClassOf(err) == "" {
			t.Fatal(err)
		}
	})
}

func FuzzOrder(f *testing.F) {
	fuzzed(f, crm.KindOrder, func(raw json.RawMessage) bundle {
		return bundle{Order: raw, Customer: raw, Addresses: []json.RawMessage{raw}, Histories: []json.RawMessage{raw}}
	}, "string_numbers/orders")
}

func FuzzCustomer(f *testing.F) {
	fuzzed(f, crm.KindCustomer, func(raw json.RawMessage) bundle { return bundle{Customer: raw, Addresses: []json.RawMessage{raw}} }, "string_numbers/customers")
}

func FuzzCart(f *testing.F) {
	fuzzed(f, crm.KindCart, func(raw json.RawMessage) bundle {
		return bundle{Cart: raw, Products: []json.RawMessage{raw}, Combinations: []json.RawMessage{raw}, Options: []json.RawMessage{raw}}
	}, "string_numbers/carts", "string_numbers/products")
}

func FuzzProduct(f *testing.F) {
	fuzzed(f, crm.KindProduct, func(raw json.RawMessage) bundle {
		return bundle{Product: raw, Combinations: []json.RawMessage{raw}, Brands: []json.RawMessage{raw}}
	}, "string_numbers/products", "shapes/product_all_languages")
}

func FuzzRefund(f *testing.F) {
	fuzzed(f, crm.KindRefund, func(raw json.RawMessage) bundle { return bundle{Slip: raw, Order: raw} }, "string_numbers/order_slip")
}

// FuzzAnswer: whatever a shop answers, it is a list, or an error with a class.
func FuzzAnswer(f *testing.F) {
	for _, r := range answers(f) {
		if len(r.Body) < 4000 {
			f.Add(r.Status, r.Header["Content-Type"], []byte(r.Body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		a := rest.Answer{Status: status, Header: http.Header{"Content-Type": {kind}}, Body: body}
		err := refusal("list", a)
		if err == nil {
			_, err = decodeRows("list", a, slipTable())
		}
		if err != nil && fault.ClassOf(err) == "" {
			t.Fatal(err)
		}
		_, _, _ = readRights(body) // nothing but a panic is wrong
		_ = phpHome(string(bytes.TrimSpace(body)))
	})
}
