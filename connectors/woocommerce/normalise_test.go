package woocommerce

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

func reading(t *testing.T, m mapping.Mapping) normaliser {
	t.Helper()
	if ps := m.Validate(Fields()); len(ps) > 0 {
		t.Fatal(ps)
	}
	n, err := newNormaliser("https://shop.example", m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLenientOrder(t *testing.T) {
	n := reading(t, mapping.Mapping{
		Statuses: map[string]string{"wc-en-preparation": crm.StateAccepted},
		Consent:  &mapping.Consent{Order: "meta.optin", False: "withdrawn"},
	})
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
	n := reading(t, mapping.Mapping{})
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
	n := reading(t, mapping.Mapping{Statuses: map[string]string{"shipped-custom": crm.StateShipped, "completed": crm.StateShipped}})
	for status, want := range map[string]string{
		"checkout-draft": crm.StateDraft, "auto-draft": crm.StateDraft, "pending": crm.StatePending, "failed": crm.StateFailed,
		"on-hold": crm.StateOnHold, "processing": crm.StateAccepted, "cancelled": crm.StateCancelled, "refunded": crm.StateRefunded,
		"trash": crm.StateTrash, "shipped-custom": crm.StateShipped, "completed": crm.StateShipped, "anything": crm.StateOther,
	} {
		if got := n.state(status); got != want {
			t.Errorf("%s is %s, want %s", status, got, want)
		}
	}
	if crm.CountsAsSale(crm.StateOnHold) || crm.CountsAsSale(crm.StateOther) || !crm.CountsAsSale(crm.StateRefunded) {
		t.Error("wrong states count as sales")
	}
}

func TestLenientProductAndCustomer(t *testing.T) {
	n := reading(t, mapping.Mapping{Consent: &mapping.Consent{Customer: "meta.optin"}, Birthday: "meta.born"})
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

func TestMappedFields(t *testing.T) {
	n := reading(t, mapping.Mapping{
		Brand: "attribute.nom-de-marque", Locale: "meta.langue", Birthday: "billing.birth",
		Consent:    &mapping.Consent{Customer: `role in ["club", "customer"]`},
		Attributes: map[string]string{"club": `role == "club"`, "ville": "billing.city", "points": "meta._points", "none": "meta.none"},
	})
	_, facts, err := n.customer([]byte(`{"id":3,"role":"Club","billing":{"birth":"1980-12-24","city":"Lyon"},
	  "meta_data":[{"key":"langue","value":"de_CH_informal"},{"key":"_points","value":12}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := facts[0].Body.(*crm.Customer)
	if d := cmp.Diff(map[string]string{"club": "yes", "ville": "Lyon", "points": "12", "langue": "de_CH_informal"}, c.Attributes); d != "" || c.Locale != "de-CH" || c.Birthday != "1980-12-24" {
		t.Errorf("%+v %s", c, d)
	}
	if o := facts[2].Body.(*crm.OptIn); o.Value != "yes" {
		t.Errorf("%+v", o)
	}
	for body, want := range map[string]string{
		`{"id":1,"attributes":[{"name":"Couleur","options":["rouge"]},{"name":"Nom de marque","options":["Caf&eacute;","B"]}]}`: "Café",
		`{"id":1,"attributes":[{"slug":"pa_nom-de-marque","name":"Marque","option":"Or"}]}`:                                     "Or",
		`{"id":1,"attributes":[],"brands":[{"name":"Own"}]}`:                                                                    "Own",
		`{"id":1,"attributes":{"1":{"name":"nom de marque","options":{"2":"Zed"}}}}`:                                            "Zed",
		`{"id":1}`: "",
	} {
		_, facts, err := n.product([]byte(body), "EUR")
		if err != nil {
			t.Fatal(err)
		}
		if got := facts[0].Body.(*crm.Product).Brand; got != want {
			t.Errorf("%s: brand %q, want %q", body, got, want)
		}
	}
	n = reading(t, mapping.Mapping{Brand: "tags"})
	if _, facts, _ := n.product([]byte(`{"id":1,"tags":[{"id":4,"name":"A &amp; B"}]}`), "EUR"); facts[0].Body.(*crm.Product).Brand != "A & B" {
		t.Errorf("%+v", facts[0].Body)
	}
}

// A shop manager's key does not see meta data: nothing has turned false because of it, and what is no meta data still counts.
func TestConsentThatTheKeyDoesNotSee(t *testing.T) {
	const hidden = `{"id":3,"role":"club","billing":{}}`
	_, facts, _ := reading(t, mapping.Mapping{Consent: &mapping.Consent{Customer: "meta.optin"}}).customer([]byte(hidden))
	if len(facts) != 2 {
		t.Errorf("%+v", facts)
	}
	_, facts, _ = reading(t, mapping.Mapping{Consent: &mapping.Consent{Customer: "role == club"}}).customer([]byte(hidden))
	if len(facts) != 3 || facts[2].Body.(*crm.OptIn).Value != "yes" {
		t.Errorf("%+v", facts)
	}
}

func TestLocales(t *testing.T) {
	for in, want := range map[string]string{
		"fr_FR": "fr-FR", "de_DE_formal": "de-DE", "fr": "fr", "EN-gb": "en-GB", "": "", "français": "", "x": "", "pt_PT_ao90": "pt-PT", "fr_1": "fr",
	} {
		if got := locale(in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}

func TestDecodedSecret(t *testing.T) {
	for in, want := range map[string]string{`a&amp;b`: `a&b`, `&lt;&quot;&#039;`: `<"'`, `plain`: `plain`, `&amp;lt;`: `&lt;`} {
		if got := decodedSecret(in); got != want {
			t.Errorf("%s signs as %s, want %s", in, got, want)
		}
	}
}
