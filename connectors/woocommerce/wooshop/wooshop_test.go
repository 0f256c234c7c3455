package wooshop_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

func open(t *testing.T) *wooshop.Shop {
	t.Helper()
	s, err := wooshop.New(wooshop.Options{Clock: wooshop.RecordedAt, TLSProxy: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, s *wooshop.Shop, path, key string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if key != "" {
		r.SetBasicAuth(key, wooshop.DefaultSecret)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// Totals as the real shop answered the same questions.
func TestFiltersAnswerAsRecorded(t *testing.T) {
	s := open(t)
	const T, P = "2026-11-02T03:24:03", "2026-11-22T03:26:11"
	for query, want := range map[string]string{
		"orders?status=any&per_page=100&page=6":                 "599",
		"orders?status=any&per_page=100&page=7":                 "0", // beyond the end
		"orders?status=trash":                                   "2",
		"orders?status=completed,refunded&per_page=3":           "298",
		"orders?modified_after=" + T + "&dates_are_gmt=true":    "37",
		"orders?modified_after=" + T + "Z&dates_are_gmt=true":   "37",
		"orders?modified_after=" + T + "Z":                      "37",
		"orders?modified_after=" + T:                            "162", // read as local time
		"orders?modified_after=2026-11-02T04:24:03":             "37",
		"orders?modified_before=" + T + "&dates_are_gmt=true":   "437",
		"orders?modified_after=2030-01-01T00:00:00":             "0",
		"products?modified_after=" + P + "&dates_are_gmt=true":  "18",
		"products?modified_after=" + P + "Z&dates_are_gmt=true": "0", // posts misread the suffix
		"products?page=2&per_page=100":                          "38",
		"customers?per_page=3":                                  "151",
		"customers?role=all&page=9":                             "155",
		"customers?modified_after=2030-01-01T00:00:00":          "151", // ignored
		"refunds?page=2&per_page=100":                           "0",
		"products/categories":                                   "11",
	} {
		w := get(t, s, "/wp-json/wc/v3/"+query, wooshop.DefaultKey)
		if got := w.Header().Get("X-WP-Total"); w.Code != 200 || got != want {
			t.Errorf("%s: %d, total %s, want %s", query, w.Code, got, want)
		}
	}
}

// The refusals that a GET can bring about have the recorded bodies.
func TestRefusalsAnswerAsRecorded(t *testing.T) {
	s := open(t)
	recorded := map[string]wooshop.Refusal{}
	rs, err := wooshop.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		recorded[r.Name] = r
	}
	for name, c := range map[string][2]string{
		"auth/https-no-auth":                      {"orders", ""},
		"auth/https-basic-unknown-key":            {"orders", "ck_unknown"},
		"auth/https-basic-customer-role-key":      {"orders", wooshop.DefaultKey + "_customer"},
		"auth/https-basic-write-only-key-reading": {"orders", wooshop.DefaultKey + "_write"},
		"errors/bad-modified-after":               {"orders?modified_after=yesterday", wooshop.DefaultKey},
		"errors/bad-orderby":                      {"orders?orderby=nothing", wooshop.DefaultKey},
		"errors/bad-status":                       {"orders?status=nosuch", wooshop.DefaultKey},
		"errors/no-route":                         {"nosuch", wooshop.DefaultKey},
		"errors/order-get-unknown-id":             {"orders/9999999", wooshop.DefaultKey},
		"errors/page-0":                           {"orders?page=0", wooshop.DefaultKey},
		"errors/per-page-0":                       {"orders?per_page=0", wooshop.DefaultKey},
		"errors/per-page-101":                     {"orders?per_page=101", wooshop.DefaultKey},
		"customers/orderby-modified-refused":      {"customers?orderby=modified", wooshop.DefaultKey},
		"customers/unknown-id":                    {"customers/9999999", wooshop.DefaultKey},
		"products/unknown-id":                     {"products/9999999", wooshop.DefaultKey},
	} {
		w := get(t, s, "/wp-json/wc/v3/"+c[0], c[1])
		if want := recorded[name]; w.Code != want.Status || w.Body.String() != want.Body {
			t.Errorf("%s: %d %s", name, w.Code, cmp.Diff(want.Body, w.Body.String()))
		}
	}
}

func TestPagingByModifiedLosesRowsAsRecorded(t *testing.T) {
	s := open(t)
	seen := map[int64]bool{}
	for page := range strings.SplitSeq("123456", "") {
		w := get(t, s, "/wp-json/wc/v3/orders?orderby=modified&order=asc&_fields=id&per_page=100&page="+page, wooshop.DefaultKey)
		var rows []struct{ ID int64 }
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			seen[r.ID] = true
		}
	}
	if len(seen) == 599 {
		t.Error("nothing was lost: the shop is better than WooCommerce")
	}
}

func TestFieldsAndRights(t *testing.T) {
	s := open(t)
	w := get(t, s, "/wp-json/wc/v3/orders?include=95&_fields=id,billing.email,line_items.total", wooshop.DefaultKey)
	if got := w.Body.String(); got != `[{"id":95,"billing":{"email":"francois.dupre.32@example.net"}}]` {
		t.Error(got)
	}
	for key, want := range map[string]bool{wooshop.DefaultKey: true, wooshop.DefaultKey + "_manager": false} {
		w := get(t, s, "/wp-json/wc/v3/customers/5", key)
		if got := strings.Contains(w.Body.String(), `"meta_data"`); w.Code != 200 || got != want {
			t.Errorf("%s sees meta data: %v", key, got)
		}
	}
	if w := get(t, s, "/wp-json/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `wc\/v3`) {
		t.Error("the index wants a key")
	}
}

// What was not changed stays byte for byte, and a new order has the fields of a recorded one.
func TestChangesKeepBodies(t *testing.T) {
	s := open(t)
	before := string(s.Body("orders", 95))
	if err := s.UpdateOrder(95, wooshop.OrderChange{}); err != nil {
		t.Fatal(err)
	}
	after := string(s.Body("orders", 95))
	if !strings.Contains(after, `"date_modified_gmt":"2026-11-22T03:42:22"`) || len(after) != len(before) {
		t.Errorf("a PUT without values changed more than its date:\n%s\n%s", before, after)
	}
	id, err := s.CreateOrder(wooshop.OrderSpec{Email: "Élodie@Example.com", Items: []wooshop.Item{{ProductID: 19, VariationID: 23, Quantity: 2}, {ProductID: 72, Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	var model, made map[string]json.RawMessage
	if err := json.Unmarshal(s.Body("orders", id), &made); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(before), &model); err != nil {
		t.Fatal(err)
	}
	for k := range model {
		if made[k] == nil {
			t.Errorf("a new order lacks %s", k)
		}
	}
	if !strings.Contains(string(made["billing"]), `\u00c9lodie@Example.com`) {
		t.Errorf("billing %s", made["billing"])
	}
}

func TestLongGone(t *testing.T) {
	s := open(t)
	for name, err := range map[string]error{
		"update": s.UpdateOrder(1, wooshop.OrderChange{}), "trash": s.TrashOrder(1), "delete": s.DeleteOrder(1),
		"meta": s.SetUserMeta(99999, "a", "b"), "customer": s.DeleteCustomer(99999), "refund": s.DeleteRefund(1),
	} {
		if err == nil {
			t.Errorf("%s of what is not there", name)
		}
	}
}

// Readers and changes at the same time; run with -race.
func TestConcurrentUse(t *testing.T) {
	s := open(t)
	s.OnWebhook(func(http.Header, []byte) {})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				id, err := s.CreateOrder(wooshop.OrderSpec{Email: "a@example.com", Items: []wooshop.Item{{ProductID: 15, Quantity: 1}}})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Refund(id, "1.00", ""); err != nil {
					t.Error(err)
				}
				if w := get(t, s, "/wp-json/wc/v3/orders?per_page=20", wooshop.DefaultKey); w.Code != 200 {
					t.Error(w.Code)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.OrderIDs()); n != 619 {
		t.Errorf("%d orders", n)
	}
}

func TestClockShowsInDate(t *testing.T) {
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := wooshop.New(wooshop.Options{Clock: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "/wp-json/", "").Header().Get("Date"); got != at.Format(http.TimeFormat) {
		t.Error(got)
	}
}
