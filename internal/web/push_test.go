package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pushServer takes what the body says: its answer is the status that is sent.
func pushServer(t *testing.T, perSecond int) string {
	t.Helper()
	return publicServer(t, &readers{}, func(o *PublicOptions) {
		o.OpenAPI, o.PushPerSecond = []byte(`{"openapi":"3.1.0"}`), perSecond
		o.Push = func(_ context.Context, shop string, h http.Header, body []byte) PushAnswer {
			switch {
			case shop != "till" || h.Get("X-Relance-Signature") != "s":
				return PushAnswer{Status: http.StatusUnauthorized, Body: []byte(`{"error":"no"}`)}
			case string(body) == "later":
				return PushAnswer{Status: http.StatusTooManyRequests, Body: []byte(`{}`), RetryAfter: 1500 * time.Millisecond}
			case string(body) == "lost":
				return PushAnswer{}
			}
			return PushAnswer{Status: http.StatusAccepted, Body: []byte(`{"applied":1}`)}
		}
	}).URL
}

func TestPushRequestsAreHandedOverAsTheyAreSent(t *testing.T) {
	t.Parallel()
	url := pushServer(t, 0)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		header, value      string
	}{
		"taken":     {"POST", "/v1/shops/till/records", "x", 202, "Content-Type", "application/json"},
		"refused":   {"POST", "/v1/shops/other/records", "x", 401, "Content-Type", "application/json"},
		"busy":      {"POST", "/v1/shops/till/records", "later", 429, "Retry-After", "2"},
		"no answer": {"POST", "/v1/shops/till/records", "lost", 500, "", ""},
		"too large": {"POST", "/v1/shops/till/records", strings.Repeat("x", maxPush+1), 413, "Content-Type", "application/json"},
		"looked at": {"GET", "/v1/shops/till/records", "", 405, "Allow", "POST"},
		"put":       {"PUT", "/v1/shops/till/records", "x", 405, "Allow", "POST"},
		"described": {"GET", "/v1/openapi.json", "", 200, "Content-Type", "application/json"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Relance-Signature", "s")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		if cerr := a.Body.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
		if a.StatusCode != c.status || a.Header.Get(c.header) != c.value {
			t.Errorf("%s: %d, %s: %q", name, a.StatusCode, c.header, a.Header.Get(c.header))
		}
		if len(body) > 0 && !json.Valid(body) {
			t.Errorf("%s: %q is no JSON", name, body)
		}
	}
}

func TestPushFloodsAreHeldPerAddress(t *testing.T) {
	t.Parallel()
	url := pushServer(t, 1)
	for range 50 {
		a := post(t, url+"/v1/shops/till/records")
		if a.StatusCode == http.StatusTooManyRequests {
			if a.Header.Get("Retry-After") != "1" {
				t.Error("it is not said when to come back")
			}
			return
		}
	}
	t.Error("50 requests in a row are let through")
}

func post(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Body.Close(); err != nil {
		t.Error(err)
	}
	return a
}
