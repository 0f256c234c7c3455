package woocommerce

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
)

func fuzzed(f *testing.F) *Source {
	f.Helper()
	src, err := New(Config{
		URL: "https://shop.example", Key: "ck_1", Secret: "cs_1", WebhookSecret: "s", Mapping: mapping.Mapping{
			Brand: "attribute.marque", Birthday: "meta.born", Locale: "meta.locale", Attributes: map[string]string{"city": "billing.city"},
			Consent: &mapping.Consent{Customer: `meta.optin in ["yes", "1"]`, Order: `meta.optin != "0"`},
		},
	}, http.DefaultTransport)
	if err != nil {
		f.Fatal(err)
	}
	src.currency = "EUR" // is not asked for
	return src
}

// No body panics; one that cannot be read gives no facts at all, with a reason; one that can names its record, and gives
// the same again.
func FuzzNormalise(f *testing.F) {
	shop, err := wooshop.New(wooshop.Options{})
	if err != nil {
		f.Fatal(err)
	}
	kinds := []crm.Kind{crm.KindOrder, crm.KindCustomer, crm.KindProduct, crm.KindRefund, crm.KindCategory, crm.KindCart}
	for i, name := range []string{"orders", "customers", "products", "refunds", "categories"} {
		for n, raw := range shop.Bodies(name) {
			if n%97 == 0 {
				f.Add(byte(i), raw)
			}
		}
	}
	for _, raw := range []string{
		`{"id":"7","status":"x","currency":"eur","total":1e400,"line_items":{"a":{"quantity":"9e99"}},"meta_data":[null,{"key":1}]}`,
		`{"id":3,"billing":[],"meta_data":{"1":{"key":"optin","value":[]}}}`, `[]`, `{"id":-1}`, `{"id":1,"parent_id":{},"variations":[[]]}`,
	} {
		for i := range kinds {
			f.Add(byte(i), []byte(raw))
		}
	}
	src := fuzzed(f)
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		raw := connectors.RawRecord{Ref: crm.Ref{Kind: kinds[int(kind)%len(kinds)]}, Body: body}
		p, err := src.Normalise(t.Context(), raw)
		if err != nil || len(p.Rejected) > 1 || len(p.Rejected) == 1 == (len(p.Facts) > 0) {
			t.Fatalf("%d facts, %d rejected, %v", len(p.Facts), len(p.Rejected), err)
		}
		for _, r := range p.Rejected {
			if r.Reason == "" {
				t.Fatal("rejected without a reason")
			}
		}
		for _, fact := range p.Facts {
			if n, err := strconv.ParseInt(fact.Ref.ID, 10, 64); err != nil || n <= 0 || fact.Body == nil {
				t.Fatalf("fact %+v", fact)
			}
		}
		_ = with(body, "currency", "EUR")
		_ = parentOfRow(body)
		_ = idOf(body)
	})
}

// No delivery panics, and what it names can be read again.
func FuzzDecode(f *testing.F) {
	ds, err := wooshop.Deliveries()
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range ds {
		f.Add(d.Header.Get(headerTopic), d.Header.Get(headerSignature), d.Body)
	}
	f.Add("order.updated", "%%%", []byte(`{"id":{"id":5}}`))
	f.Add("action.woocommerce_delete_order", "", []byte(`{"action":"x","arg":[5]}`))
	src := fuzzed(f)
	f.Fuzz(func(t *testing.T, topic, signature string, body []byte) {
		h := http.Header{headerTopic: {topic}, headerSignature: {signature}}
		if ping, err := src.Verify(h, body); ping || err == nil && signature == "" {
			t.Fatal("let in without a signature")
		}
		for _, ref := range src.Decode(h, body) {
			if n, err := strconv.ParseInt(ref.ID, 10, 64); err != nil || n <= 0 {
				t.Fatalf("names %+v", ref)
			}
		}
	})
}

// An answer that is no list is never taken for an empty one: it would end a run, and what is missing from a run of ids
// counts as gone.
func FuzzList(f *testing.F) {
	for _, s := range []string{`[]`, `[{"id":1}]`, `null`, `{}`, ``, `<b>Notice</b>[]`, `[`, " [\n] "} {
		f.Add([]byte(s))
	}
	src := fuzzed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var a answer
		a.Body = body
		rows, err := decodeList[parentRow](src.client, "list", a)
		if err == nil && (len(body) == 0 || lenient.Scalar(body) != "" && body[0] == '"' || string(body) == "null") {
			t.Fatalf("%q is a list of %d", body, len(rows))
		}
	})
}
