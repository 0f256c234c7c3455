package woocommerce

import (
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

func TestLenientOrder(t *testing.T) {
	n := normaliser{
		base: "https://shop.example", statuses: map[string]string{"en-preparation": crm.StateAccepted},
		consent: &ConsentMapping{Order: "optin", False: "withdrawn"},
	}
	raw := `{"id":"95","number":95,"status":"en-preparation","currency":"eur","customer_id":false,"billing":[],
	  "shipping":{"country":"be","city":"Liège"},"total":10.5,"total_tax":"","shipping_total":null,"date_created_gmt":"2026-01-02T03:04:05",
	  "date_modified_gmt":null,"meta_data":{"0":{"key":"optin","value":"1"},"3":{"key":"optin","value":{"a":1}}},
	  "line_items":{"0":{"id":1,"product_id":0,"variation_id":"0","sku":null,"name":"A & B <c>","quantity":"2.5","total":"0.005","total_tax":"0.01","image":{"id":"","src":""}}},
	  "coupon_lines":null,"refunds":[]}`
	ref, facts, err := n.order([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	o := facts[0].Body.(*crm.Order)
	want := &crm.Order{
		Number: "95", Status: "en-preparation", State: crm.StateAccepted, CountsAsSale: true, Currency: "EUR",
		Goods: 2, Total: 1050, TotalRaw: "10.5", PlacedAt: o.PlacedAt, Country: "BE", City: "Liège",
		Lines: []crm.Line{{ID: "1", Name: "A & B <c>", Quantity: 2, Total: 2}},
	}
	if d := cmp.Diff(want, o); d != "" || ref.ID != "95" || o.PlacedAt.Time().Format(wireTime) != "2026-01-02T03:04:05" {
		t.Error(d)
	}
	if c := facts[1]; !c.Gone || c.Body.(*crm.Cart).ClosedBy != "ordered" {
		t.Errorf("cart %+v", c)
	}
	// Two answers of one box: the cautious one counts.
	if d := cmp.Diff(&crm.OptIn{Topic: "marketing", Channel: "email", Value: "no", SourceAt: o.PlacedAt, NoMeans: "withdrawn"}, facts[2].Body); d != "" {
		t.Error(d)
	}
}

func TestRejectedOrders(t *testing.T) {
	n := normaliser{}
	for name, raw := range map[string]string{
		"no id":       `{"status":"completed","currency":"EUR"}`,
		"no status":   `{"id":1,"currency":"EUR"}`,
		"no currency": `{"id":1,"status":"completed"}`,
		"bad total":   `{"id":1,"status":"completed","currency":"EUR","total":"jane@example.com"}`,
		"bad date":    `{"id":1,"status":"completed","currency":"EUR","date_created_gmt":"jane@example.com"}`,
		"huge total":  `{"id":1,"status":"completed","currency":"EUR","total":"99999999999999999999999"}`,
		"bad line":    `{"id":1,"status":"completed","currency":"EUR","line_items":[{"total":"jane@example.com"}]}`,
		"a list":      `[]`,
		"a string":    `"jane@example.com"`,
	} {
		_, facts, err := n.order([]byte(raw))
		if err == nil || facts != nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		if r := lenient.Reason(err); r == "" || cmp.Equal(r, raw) || containsJane(r) {
			t.Errorf("%s: reason %q", name, r)
		}
	}
}

func containsJane(s string) bool {
	for i := range len(s) - 3 {
		if s[i:i+4] == "jane" {
			return true
		}
	}
	return false
}

func TestStates(t *testing.T) {
	n := normaliser{statuses: map[string]string{"shipped-custom": crm.StateShipped, "completed": crm.StateShipped}}
	for status, want := range map[string]string{
		"checkout-draft": crm.StateDraft, "auto-draft": crm.StateDraft, "pending": crm.StatePending, "failed": crm.StateFailed,
		"on-hold": crm.StateOnHold, "processing": crm.StateAccepted, "cancelled": crm.StateCancelled, "refunded": crm.StateRefunded,
		"trash": crm.StateTrash, "shipped-custom": crm.StateShipped, "completed": crm.StateShipped, "anything": crm.StateOther,
	} {
		if got := n.state(status); got != want {
			t.Errorf("%s is %s, want %s", status, got, want)
		}
	}
	if countsAsSale(crm.StateOnHold) || countsAsSale(crm.StateOther) || !countsAsSale(crm.StateRefunded) {
		t.Error("wrong states count as sales")
	}
}

func TestLenientProductAndCustomer(t *testing.T) {
	n := normaliser{consent: &ConsentMapping{Customer: "optin"}, birthday: "born"}
	_, facts, err := n.product([]byte(`{"id":7,"name":"A & B","price":"","manage_stock":"parent","stock_quantity":-3,"stock_status":"onbackorder",
	  "images":[],"brands":[{"id":1,"name":"Caf&eacute; &amp; Co"}],"categories":{"2":{"id":"9"}}}`), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&crm.Product{Name: "A & B", Currency: "EUR", InStock: true, Brand: "Café & Co", Categories: []string{"9"}}, facts[0].Body); d != "" {
		t.Error(d)
	}
	_, facts, err = n.customer([]byte(`{"id":3,"email":"MiXed@Example.COM","date_modified_gmt":null,"billing":{"country":"fr"},
	  "meta_data":[{"key":"born","value":"24/12/1980"},{"key":"_hidden","value":"x"},{"key":"prefs","value":{"a":1}},{"key":"optin","value":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := facts[0].Body.(*crm.Customer)
	if c.Email != "MiXed@Example.COM" || c.Birthday != "1980-12-24" || !cmp.Equal(c.Attributes, map[string]string{"born": "24/12/1980", "optin": "true"}) {
		t.Errorf("%+v", c)
	}
	if o := facts[2].Body.(*crm.OptIn); o.Value != "yes" || o.NoMeans != "silence" {
		t.Errorf("%+v", o)
	}
	// An absent field says nothing (B16), and says so.
	_, facts, _ = n.customer([]byte(`{"id":3,"meta_data":[]}`))
	if o := facts[2].Body.(*crm.OptIn); o.Value != "" {
		t.Errorf("%+v", o)
	}
}

// The library takes an unquoted false: for a boolean and drops the mapping; package config reads keys by their text.
func TestConfigAsYAML(t *testing.T) {
	var c Config
	err := yaml.UnmarshalWithOptions([]byte(`
url: https://boutique.example.com
key: ck_1
secret: cs_1
webhook_secret: s
birthday: date_naissance
statuses: {en-preparation: accepted}
consent:
  customer: newsletter_optin
  order: newsletter_optin
  yes: ["yes", "1"]
  "false": withdrawn
`), &c, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	if c.Consent == nil || c.Consent.False != "withdrawn" || len(c.Consent.Yes) != 2 || c.Statuses["en-preparation"] != crm.StateAccepted {
		t.Errorf("%+v %+v", c, c.Consent)
	}
	if ps := c.Validate(); len(ps) > 0 {
		t.Error(ps)
	}
}

func TestDecodedSecret(t *testing.T) {
	for in, want := range map[string]string{`a&amp;b`: `a&b`, `&lt;&quot;&#039;`: `<"'`, `plain`: `plain`, `&amp;lt;`: `&lt;`} {
		if got := decodedSecret(in); got != want {
			t.Errorf("%s signs as %s, want %s", in, got, want)
		}
	}
}
