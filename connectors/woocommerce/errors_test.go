package woocommerce_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// answering gives a source to which every request is answered the same.
func answering(t *testing.T, status int, h http.Header, body string) *woocommerce.Source {
	t.Helper()
	mt := httpmock.NewMockTransport()
	mt.RegisterNoResponder(func(*http.Request) (*http.Response, error) {
		r := httpmock.NewStringResponse(status, body)
		for k, v := range h {
			r.Header[http.CanonicalHeaderKey(k)] = v
		}
		return r, nil
	})
	c := config("https://boutique.example.com", connectortest.NewClock(wooshop.RecordedAt()))
	src, err := woocommerce.New(c, mt)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// Every recorded refusal has a class and, where a person can do something, a sentence.
func TestRecordedRefusals(t *testing.T) {
	rs, err := wooshop.Refusals()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // by name of the recording: part of the hint
		"auth/http-basic-refused":                  "consumer key",
		"auth/http-no-auth":                        "consumer key",
		"auth/http-oauth-missing-parameters":       "consumer secret",
		"auth/http-oauth-nonce-reused":             "consumer secret",
		"auth/http-oauth-old-timestamp":            "consumer secret",
		"auth/http-oauth-unknown-key":              "consumer secret",
		"auth/http-oauth-wrong-secret":             "consumer secret",
		"auth/http-query-keys-refused":             "proxy",
		"auth/https-basic-customer-role-key":       "administrator",
		"auth/https-basic-unknown-key":             "consumer key",
		"auth/https-basic-write-only-key-reading":  "Read permission",
		"auth/https-basic-wrong-secret":            "consumer secret",
		"auth/https-no-auth":                       "Authorization header",
		"auth/https-query-unknown-key":             "consumer key",
		"auth/https-query-wrong-secret":            "consumer secret",
		"auth/https-read-only-key-writing":         "permission",
		"auth/rest-route-style-url-permalinks-off": "consumer key",
		"auth/rest-route-style-url":                "consumer key",
		"customers/orderby-modified-refused":       "refuses a question",
		"customers/unknown-id":                     "gone",
		"products/unknown-id":                      "gone",
		"errors/bad-json":                          "refuses a question",
		"errors/bad-modified-after":                "refuses a question",
		"errors/bad-orderby":                       "refuses a question",
		"errors/bad-status":                        "refuses a question",
		"errors/customer-delete-no-force":          "refuses a question",
		"errors/no-namespace":                      "wc/v3",
		"errors/no-route":                          "wc/v3",
		"errors/order-get-unknown-id":              "gone",
		"errors/order-put-unknown-id":              "refuses a question",
		"errors/page-0":                            "refuses a question",
		"errors/per-page-0":                        "refuses a question",
		"errors/per-page-101":                      "refuses a question",
		"errors/permalinks-off-wp-json-path":       "Permalinks",
	}
	for _, r := range rs {
		hint, ok := want[r.Name]
		if !ok {
			t.Errorf("%s: not in the table", r.Name)
			continue
		}
		delete(want, r.Name)
		src := answering(t, r.Status, r.Header, r.Body)
		if hint == "gone" {
			p, err := src.Read(t.Context(), crm.Ref{Kind: crm.KindOrder, ID: "9"})
			if err != nil || len(p.Facts) == 0 || !p.Facts[0].Gone {
				t.Errorf("%s: %v %v", r.Name, p, err)
			}
			continue
		}
		_, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 100)
		if got := fault.HintOf(err); fault.ClassOf(err) != fault.Operator || !strings.Contains(got, hint) {
			t.Errorf("%s: %s, hint %q, want %q", r.Name, fault.ClassOf(err), got, hint)
		}
		if err != nil && (strings.Contains(err.Error(), "Invalid") || strings.Contains(err.Error(), "boutique")) {
			t.Errorf("%s: the shop's own words are in the error: %v", r.Name, err)
		}
	}
	if len(want) > 0 {
		t.Errorf("no recording of %v", keys(want))
	}
}

func TestOtherAnswers(t *testing.T) {
	js := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		status int
		h      http.Header
		body   string
		class  fault.Class
		hint   string
	}{
		"html with 200":           {200, http.Header{"Content-Type": {"text/html"}}, "<html>", fault.Operator, "Permalinks"},
		"html without a type":     {200, http.Header{}, " <!DOCTYPE html>", fault.Operator, "Permalinks"},
		"firewall":                {403, http.Header{"Content-Type": {"text/html"}}, "<html>", fault.Operator, "firewall"},
		"missing page":            {404, http.Header{"Content-Type": {"text/html"}}, "<html>", fault.Operator, "wc/v3"},
		"php warning in the body": {200, js, "<br />\n<b>Warning</b>: x in y.php on line 3<br />[{\"id\":1", fault.Operator, "WP_DEBUG_DISPLAY"},
		"object for a list":       {200, js, `"text"`, fault.Retry, ""},
		"half a list":             {200, js, `[{"id":1`, fault.Retry, ""},
		"empty body":              {200, js, ``, fault.Retry, ""},
		"503":                     {503, js, ``, fault.Retry, ""},
		"500 in translation":      {500, js, `{"code":"internal_server_error","message":"Une erreur critique"}`, fault.Retry, ""},
		"503 with Retry-After":    {503, http.Header{"Retry-After": {"60"}}, ``, fault.Throttled, ""},
		"429 without":             {429, js, ``, fault.Throttled, ""},
		"204":                     {204, js, ``, fault.Retry, ""},
	} {
		src := answering(t, c.status, c.h, c.body)
		_, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 100)
		if got := fault.HintOf(err); err == nil || fault.ClassOf(err) != c.class || !strings.Contains(got, c.hint) || (c.hint == "") != (got == "") {
			t.Errorf("%s: %s, hint %q: %v", name, fault.ClassOf(err), got, err)
		}
		if f, ok := errors.AsType[*fault.Error](err); ok && c.class == fault.Throttled && f.After <= 0 {
			t.Errorf("%s: waits %v", name, f.After)
		}
	}
}

// A byte order mark before the body is what an editor left in a theme's file: it is no reason to stop.
func TestByteOrderMark(t *testing.T) {
	src := answering(t, 200, http.Header{"Content-Type": {"application/json"}}, "\ufeff[]")
	if p, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 100); err != nil || p.More {
		t.Errorf("%+v %v", p, err)
	}
}
