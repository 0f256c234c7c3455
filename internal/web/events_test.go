package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func TestProviderEventsAreHandedOverAsTheyAreSent(t *testing.T) {
	t.Parallel()
	var got []byte
	url := publicServer(t, &readers{}, func(o *PublicOptions) {
		o.Events = func(_ context.Context, audience string, h http.Header, body []byte) int {
			switch {
			case audience != "default":
				return http.StatusNotFound
			case h.Get("X-Twilio-Email-Event-Webhook-Signature") != "s":
				return http.StatusForbidden
			case string(body) == "lost":
				return 0
			case string(body) == "later":
				return http.StatusServiceUnavailable
			}
			got = append([]byte{}, body...)
			return http.StatusNoContent
		}
	}).URL
	const raw = " [{\"a\":\"\u00e9\"}]\r\n"
	for name, c := range map[string]struct {
		method, path, signature, body string
		status                        int
	}{
		"taken":            {"POST", "/events/default", "s", raw, 200},
		"another audience": {"POST", "/events/other", "s", raw, 404},
		"no audience":      {"POST", "/events/", "s", raw, 404},
		"unsigned":         {"POST", "/events/default", "", raw, 403},
		"no answer":        {"POST", "/events/default", "s", "lost", 500},
		"not stored":       {"POST", "/events/default", "s", "later", 503},
		"looked at":        {"GET", "/events/default", "s", "", 405},
		"too large":        {"POST", "/events/default", "s", strings.Repeat("x", maxEvents+1), 413},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Twilio-Email-Event-Webhook-Signature", c.signature)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, c.status)
		}
	}
	if string(got) != raw {
		t.Errorf("the body came as %q", got)
	}
}
