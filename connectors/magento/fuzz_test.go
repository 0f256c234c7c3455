package magento

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/internal/crm"
)

func seeds(f *testing.F) []string {
	f.Helper()
	file, err := os.Open("testdata/exchanges.json.gz")
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	r, err := gzip.NewReader(file)
	if err != nil {
		f.Fatal(err)
	}
	var es []struct{ Body string }
	if err := json.NewDecoder(r).Decode(&es); err != nil {
		f.Fatal(err)
	}
	out := make([]string, 0, len(es))
	for _, e := range es {
		if len(e.Body) < 20_000 {
			out = append(out, e.Body)
		}
	}
	return out
}

// No body makes a normaliser panic or give facts without an id; what is understood is understood the same way again.
func FuzzRecords(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add([]byte(body))
		var w struct{ Items []json.RawMessage }
		if json.Unmarshal([]byte(body), &w) == nil && len(w.Items) > 0 {
			f.Add([]byte(w.Items[0]))
		}
	}
	c, err := mapping.Compile(mapping.Mapping{Attributes: map[string]string{"a": "custom.fidelite", "b": "gender"}, Consent: &mapping.Consent{Order: `extension.optin == "1"`}})
	if err != nil {
		f.Fatal(err)
	}
	said, err := mapping.Parse(subscribed)
	if err != nil {
		f.Fatal(err)
	}
	n := normaliser{mapped: c, said: said, today: "2026-11-22"}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []crm.Kind{crm.KindCustomer, crm.KindOrder, crm.KindRefund, crm.KindCart, crm.KindProduct, crm.KindCategory} {
			page := connectors.Page{}
			add(&page, []json.RawMessage{body}, n.of(kind))
			if len(page.Rejected)+len(page.Raw) != 1 {
				t.Errorf("%s: neither understood nor rejected", kind)
			}
			for _, fact := range page.Facts {
				if fact.Ref.ID == "" || fact.Ref.Kind != kind || fact.Body == nil {
					t.Errorf("%s: %+v", kind, fact)
				}
			}
		}
	})
}

// No answer makes a Pull panic, end without saying how, or come back without a cursor.
func FuzzAnswers(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add([]byte(body), uint8(0))
		f.Add([]byte(body), uint8(1))
	}
	f.Fuzz(func(t *testing.T, body []byte, code uint8) {
		status := []int{200, 401, 400, 404, 503}[int(code)%5]
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path != "/rest/V1/orders" {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"message":"nothing"}`))
				return
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}))
		defer srv.Close()
		src, err := New(Config{URL: srv.URL, Token: "a"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []connectors.Cursor{nil, connectors.Cursor(`{"v":1,"since":"2026-01-01 00:00:00"}`), body} {
			p, err := src.Pull(context.Background(), StreamOrders, at, 10)
			if err == nil && len(p.Next) == 0 {
				t.Error("no cursor")
			}
		}
	})
}
