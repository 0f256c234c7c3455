package prestashop

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// recordedAnswer is one answer of a real shop.
type recordedAnswer struct {
	Name, Method, Path, Query string
	Status                    int
	Header                    map[string]string
	Body                      string
}

func (r recordedAnswer) answer() rest.Answer {
	h := http.Header{}
	for k, v := range r.Header {
		h.Set(k, v)
	}
	return rest.Answer{Status: r.Status, Header: h, Body: []byte(r.Body)}
}

func answers(t testing.TB) []recordedAnswer {
	t.Helper()
	f, err := os.Open("testdata/answers.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out []recordedAnswer
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// nodeOf is the name under which the answer to a path comes.
func nodeOf(path string) resource {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
	if name == "order_slip" {
		return slipTable()
	}
	return resource{path: name, node: name}
}

// Every recorded answer is either read or refused with a class, and what to do where a person is needed. No message of
// the shop gets into an error.
func TestEveryRecordedAnswerIsUnderstood(t *testing.T) {
	classes := map[string]fault.Class{
		"auth/key_inactive_json": fault.Operator, "auth/key_unknown_xml": fault.Operator, "auth/no_key": fault.Operator,
		"auth/restricted_forbidden_json": fault.Operator, "auth/webservice_disabled_json": fault.Operator, "auth/webservice_disabled_xml": fault.Operator,
		"auth/wrong_host_redirects": fault.Operator, "auth/unknown_shop_id_redirects": fault.Operator, "auth/root_json_is_500": fault.Retry,
		"auth/key_not_for_this_shop": fault.Operator, "auth/key_short_json": fault.Operator, "auth/post_not_allowed": fault.Operator,
		"dirty/module_php_warning_json": fault.Retry, "dirty/module_php_deprecation_json": fault.Retry, "dirty/module_php_warning_xml": fault.Retry,
		"filters/unknown_filter_json": fault.Operator, "filters/bad_sort": fault.Operator, "filters/bad_limit": fault.Operator,
		"filters/date_upd_range_without_date_1": fault.Operator, "filters/sort_date_without_date_1": fault.Operator, "filters/unknown_field": fault.Operator,
		"shapes/product_language_unknown": fault.Operator, "format/unknown_resource_json": fault.Operator,
	}
	codes := map[string]int{
		"auth/key_unknown_xml": 20, "auth/key_norights_json": 21, "auth/key_short_json": 18, "auth/restricted_forbidden_json": 26,
		"auth/webservice_disabled_json": 22, "filters/unknown_filter_json": 32, "filters/unknown_field": 35, "filters/bad_sort": 37,
		"filters/sort_date_without_date_1": 38, "filters/bad_limit": 39, "dirty/module_php_warning_json": 3, "dirty/module_php_deprecation_json": 15,
	}
	seen := map[string]bool{}
	for _, r := range answers(t) {
		seen[r.Name] = true
		a := r.answer()
		err := refusal("list", a)
		if want, ok := classes[r.Name]; ok && (err == nil || fault.ClassOf(err) != want) {
			t.Errorf("%s: %v, want %s", r.Name, err, want)
		}
		if want := codes[r.Name]; want != 0 && asRefused(err).code != want {
			t.Errorf("%s: %v, want code %d", r.Name, err, want)
		}
		if err != nil {
			if fault.ClassOf(err) == fault.Operator && fault.HintOf(err) == "" {
				t.Errorf("%s: nobody learns what to do: %v", r.Name, err)
			}
			if strings.Contains(err.Error(), "foo") && !strings.Contains(r.Name, "dirty") || strings.Contains(err.Error(), "Undefined") {
				t.Errorf("%s: the error quotes the shop: %v", r.Name, err)
			}
			continue
		}
		if r.Method != http.MethodGet || a.Body == nil || len(a.Body) == 0 || isXML(a) || strings.Contains(r.Query, "schema=") {
			continue
		}
		rows, err := decodeRows("list", a, nodeOf(r.Path))
		if lists := !strings.HasPrefix(r.Body, `{"customer":`) && !strings.HasPrefix(r.Body, `{"order":`) && !strings.HasPrefix(r.Body, `{"product":`); (err == nil) != lists {
			t.Errorf("%s: %d rows, %v", r.Name, len(rows), err)
		}
	}
	for name := range classes {
		if !seen[name] {
			t.Errorf("there is no recorded answer %s", name)
		}
	}
	if len(seen) < 90 {
		t.Errorf("%d recorded answers", len(seen))
	}
}

func TestARowOfAModuleIsNamed(t *testing.T) {
	for _, r := range answers(t) {
		if r.Name == "dirty/module_php_warning_json" {
			if err := refusal("list customers", r.answer()); !strings.Contains(err.Error(), "modules/somemodule/somemodule.php, line 50") {
				t.Error(err)
			}
		}
	}
}

func rowsOf(t testing.TB, name string) []json.RawMessage {
	t.Helper()
	for _, r := range answers(t) {
		if r.Name == name {
			rows, err := decodeRows("list", r.answer(), nodeOf(r.Path))
			if err != nil || len(rows) == 0 {
				t.Fatalf("%s: %d rows, %v", name, len(rows), err)
			}
			return rows
		}
	}
	t.Fatalf("no recorded %s", name)
	return nil
}

func words(t testing.TB) *dictionary {
	t.Helper()
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	d := &dictionary{
		zone: local{paris}, language: "1", languages: map[string]string{"1": "fr-FR"}, states: map[string]orderState{}, named: map[string]string{},
		currencies: map[string]currency{"1": {"EUR", decimal.NewFromInt(1)}, "2": {"CAD", decimal.RequireFromString("1.512345")}},
		countries:  map[string]string{"8": "FR"}, regions: map[string]string{}, groups: map[string]string{"3": "Client"},
	}
	d.base = d.currencies["1"]
	for _, raw := range rowsOf(t, "string_numbers/order_states") {
		d.addState(raw)
	}
	return d
}

func normaliserOf(t testing.TB, m mapping.Mapping) normaliser {
	t.Helper()
	c, err := mapping.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	if c.CustomerConsent == nil {
		c.CustomerConsent = &mapping.Expression{Field: fieldNewsletter}
	}
	return normaliser{base: "https://shop.example.com", m: c, d: words(t), now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Rows as PHP up to 8.0 returns them, all numbers texts, give the same facts.
func TestNumbersAsTexts(t *testing.T) {
	n := normaliserOf(t, mapping.Mapping{})
	orders := rowsOf(t, "string_numbers/orders")
	lines := 0
	for _, raw := range orders {
		facts, err := n.order(bundle{Order: raw})
		if err != nil {
			t.Fatal(err)
		}
		o, ok := facts[0].Body.(*crm.Order)
		if !ok || o.Total == 0 || o.CartID == "" || o.CustomerID == "" || o.PlacedAt == 0 {
			t.Errorf("order %s: %+v", facts[0].Ref.ID, o)
		}
		lines += len(o.Lines)
		for _, l := range o.Lines {
			if l.Quantity <= 0 || l.Total <= 0 || l.ProductID == "" {
				t.Errorf("line %+v", l)
			}
		}
	}
	if len(orders) != 15 || lines == 0 {
		t.Errorf("%d orders, %d lines", len(orders), lines)
	}
	for _, raw := range rowsOf(t, "string_numbers/customers") {
		facts, err := n.customer(bundle{Customer: raw, Addresses: rowsOf(t, "string_numbers/addresses")})
		if err != nil || len(facts) != 3 {
			t.Errorf("%d facts, %v", len(facts), err)
		}
	}
	for _, raw := range rowsOf(t, "string_numbers/order_slip") {
		if _, err := n.refund(bundle{Slip: raw}); err != nil {
			t.Error(err)
		}
	}
	for _, raw := range rowsOf(t, "string_numbers/carts") {
		if _, err := n.cart(bundle{Cart: raw, Products: rowsOf(t, "string_numbers/products")}); err != nil {
			t.Error(err)
		}
	}
	for _, raw := range rowsOf(t, "string_numbers/products") {
		facts, err := n.product(bundle{Product: raw})
		if err != nil || facts[0].Body.(*crm.Product).Name == "" {
			t.Errorf("%+v %v", facts, err)
		}
	}
	for _, raw := range rowsOf(t, "string_numbers/categories") {
		facts, err := n.category(bundle{Category: raw})
		if err != nil || facts[0].Body.(*crm.Category).Name == "" {
			t.Errorf("%+v %v", facts, err)
		}
	}
}

// What modules print before the data is cut off only when the rest is whole; what broke off is never a shorter list.
func TestJunkBeforeTheData(t *testing.T) {
	whole := `{"categories":[{"id":1,"associations":{"categories":[{"id":2}]}},{"id":3}]}`
	for body, rows := range map[string]int{
		whole:                                   2,
		"\nWarning: foo [1] {x} in y\n" + whole: 2,
		"<b>Notice</b>: {\"a\":1}\n" + whole:    2,
		"[]":                                    0,
		"Warning: x\n[]":                        0,
		`{"categories":{"2":{"id":2},"1":{"id":1}}}`: 2,
	} {
		got, err := decodeRows("list", rest.Answer{Body: []byte(body)}, categoryTable())
		if err != nil || len(got) != rows {
			t.Errorf("%q: %d rows, %v", body, len(got), err)
		}
	}
	for i := 1; i < len(whole); i++ {
		if got, err := decodeRows("list", rest.Answer{Body: []byte("Warning: x\n" + whole[:i])}, categoryTable()); err == nil {
			t.Fatalf("broken off after %q: %d rows", whole[:i], len(got))
		}
	}
	for _, body := range []string{"", "null", "0", `"x"`, "{}", `{"orders":[]}`, whole + "<br>Fatal error", "<html></html>", `{"categories":null}`, `{"categories":5}`} {
		if _, err := decodeRows("list", rest.Answer{Body: []byte(body)}, categoryTable()); err == nil {
			t.Errorf("%q is taken for a list", body)
		}
	}
}

// The local time of an instant is read back as that instant, or in the repeated hour as the first of the two.
func TestLocalTimes(t *testing.T) {
	for _, name := range []string{"Europe/Paris", "America/Toronto", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Chatham"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		l := local{loc}
		rapid.Check(t, func(t *rapid.T) {
			at := time.Unix(rapid.Int64Range(1_600_000_000, 2_000_000_000).Draw(t, "at"), 0).UTC()
			got, ok := l.instant(at.In(loc).Format(wire))
			back := got.Time()
			if !ok || back.In(loc).Format(wire) != at.In(loc).Format(wire) || back.After(at) || at.Sub(back) > time.Hour {
				t.Fatalf("%v in %s is read as %v", at, name, back)
			}
		})
		// A window holds whatever is written from the start of the run before until now, however the clocks change between.
		rapid.Check(t, func(t *rapid.T) {
			since := time.Unix(rapid.Int64Range(1_600_000_000, 2_000_000_000).Draw(t, "since"), 0).UTC()
			now := since.Add(time.Duration(rapid.Int64Range(0, 9*3600).Draw(t, "run")) * time.Second)
			written := since.Add(time.Duration(rapid.Int64Range(0, int64(now.Sub(since).Seconds())).Draw(t, "written")) * time.Second)
			from, to := l.window(since, now)
			if s := written.In(loc).Format(wire); s < from || s > to {
				t.Fatalf("written %s, the window is %s to %s", s, from, to)
			}
		})
	}
	paris, _ := time.LoadLocation("Europe/Paris")
	for s, want := range map[string]string{
		"2025-10-26 02:30:00": "2025-10-26T00:30:00Z", // the first of two
		"2025-03-30 02:30:00": "2025-03-30T01:30:00Z", // left out
		"2025-10-26 03:00:00": "2025-10-26T02:00:00Z",
	} {
		if got, _ := (local{paris}).instant(s); got.Time().Format(time.RFC3339) != want {
			t.Errorf("%s is %v, want %s", s, got.Time(), want)
		}
	}
	for _, none := range []string{"", "0000-00-00 00:00:00", "0000-00-00", "0"} {
		if at, ok := (local{paris}).instant(none); at != 0 || !ok {
			t.Errorf("%q is %v %v", none, at, ok)
		}
	}
	if _, ok := (local{paris}).instant("tomorrow"); ok {
		t.Error("tomorrow is a date")
	}
}

// What is asked for never holds a secret, and never "full".
func TestNoSecretIsAskedFor(t *testing.T) {
	m, err := mapping.Compile(mapping.Mapping{Attributes: map[string]string{"a": "field.passwd", "b": "field.secure_key", "c": "field.reset_password_token"}})
	if err != nil {
		t.Fatal(err)
	}
	m.CustomerConsent = &mapping.Expression{Field: fieldNewsletter}
	s := &Source{mapping: m, client: &client{absent: map[string][]string{}}}
	for _, f := range s.feeds(nil) {
		for _, res := range f.res {
			shown := s.client.display(res)
			for _, secret := range []string{"passwd", "secure_key", "token", "full", "ip_registration", "last_passwd_gen", "note"} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s asks for %s", f.Name, shown)
				}
			}
		}
	}
	if strings.Contains(settingNames, "PASSWD") || !strings.Contains(settingNames, "PS_TIMEZONE") {
		t.Error(settingNames)
	}
}
