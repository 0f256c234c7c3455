package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zaptest"

	"github.com/relance/relance/internal/web/metricstest"
)

// readers is a mailing list with one reader, whose token is "good".
type readers struct {
	acts  atomic.Int64
	ended atomic.Bool
}

func (l *readers) look(_ context.Context, token string) (Subscription, error) {
	switch token {
	case "good":
		return Subscription{Sender: "Boutique Lumière", Ended: l.ended.Load()}, nil
	case "down":
		return Subscription{}, errors.New("reading the token: the database is away")
	}
	return Subscription{}, ErrNotFound
}

func (l *readers) act(ctx context.Context, token string) (Subscription, error) {
	s, err := l.look(ctx, token)
	if err == nil {
		l.acts.Add(1)
		l.ended.Store(true)
		s.Ended = true
	}
	return s, err
}

func publicServer(t *testing.T, l *readers, change func(*PublicOptions)) *httptest.Server {
	t.Helper()
	o := PublicOptions{
		Receive:      func(context.Context, string, http.Header, []byte) int { return http.StatusOK },
		Subscription: l.look, Unsubscribe: l.act, Log: zaptest.NewLogger(t),
	}
	if change != nil {
		change(&o)
	}
	srv := httptest.NewServer(NewPublic(o))
	t.Cleanup(srv.Close)
	return srv
}

func ask(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

const form = "application/x-www-form-urlencoded"

func TestB43_OnlyPostUnsubscribes(t *testing.T) {
	t.Parallel()
	multi := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	for name, c := range map[string]struct {
		method, token, body, kind string
		status                    int
		acts                      bool
	}{
		"a scanner looks with HEAD":         {http.MethodHead, "good", "", "", 200, false},
		"a scanner or a person opens it":    {http.MethodGet, "good", "", "", 200, false},
		"a GET with the one-click in it":    {http.MethodGet, "good?List-Unsubscribe=One-Click", "", "", 200, false},
		"one click, RFC 8058":               {http.MethodPost, "good", "List-Unsubscribe=One-Click", form, 200, true},
		"one click, multipart":              {http.MethodPost, "good", multi, "multipart/form-data; boundary=b", 200, true},
		"one click without a type":          {http.MethodPost, "good", "List-Unsubscribe=One-Click\r\n", "", 200, true},
		"a POST without a body":             {http.MethodPost, "good", "", "", 200, true},
		"a POST of something else":          {http.MethodPost, "good", "hello=world", form, 400, false},
		"a POST of something very long":     {http.MethodPost, "good", strings.Repeat("x", maxForm+1), form, 400, false},
		"a form that asks who answers":      {http.MethodPost, "check", "check=1", form, 400, false}, // relance check knows us by it
		"PUT":                               {http.MethodPut, "good", "", "", 405, false},
		"DELETE":                            {http.MethodDelete, "good", "", "", 405, false},
		"OPTIONS":                           {http.MethodOptions, "good", "", "", 405, false},
		"a forged token, opened":            {http.MethodGet, "forged", "", "", 404, false},
		"a forged token, HEAD":              {http.MethodHead, "forged", "", "", 404, false},
		"a forged token, posted":            {http.MethodPost, "forged", "List-Unsubscribe=One-Click", form, 404, false},
		"the database is away":              {http.MethodPost, "down", "List-Unsubscribe=One-Click", form, 503, false},
		"the database is away when looking": {http.MethodGet, "down", "", "", 503, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &readers{}
			srv := publicServer(t, l, nil)
			resp, body := ask(t, c.method, srv.URL+"/u/"+c.token, c.body, "Content-Type", c.kind)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, c.status, body)
			}
			if acted := l.acts.Load() > 0; acted != c.acts {
				t.Errorf("acted: %v, want %v", acted, c.acts)
			}
			if c.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("a mail provider is not told to come back")
			}
		})
	}
}

func TestUnsubscribingAgainIsFine(t *testing.T) {
	t.Parallel()
	l := &readers{}
	srv := publicServer(t, l, nil)
	for range 3 {
		if resp, body := ask(t, http.MethodPost, srv.URL+"/u/good", "List-Unsubscribe=One-Click", "Content-Type", form); resp.StatusCode != 200 || !strings.Contains(body, "You are unsubscribed") {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	if _, body := ask(t, http.MethodGet, srv.URL+"/u/good", ""); strings.Contains(body, "<button") {
		t.Error("the page still offers a button to who is unsubscribed")
	}
}

func TestUnsubscribePageSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	srv := publicServer(t, &readers{}, nil)
	for accept, want := range map[string]string{
		"": `lang="en"`, "fr-BE,fr;q=0.9,en;q=0.5": `lang="fr"`, "de-DE,de": `lang="en"`, "en-GB": `lang="en"`, "de,fr;q=0.5": `lang="fr"`,
	} {
		_, body := ask(t, http.MethodGet, srv.URL+"/u/good", "", "Accept-Language", accept)
		if !strings.Contains(body, want) {
			t.Errorf("Accept-Language %q: page lacks %s", accept, want)
		}
	}
	if _, body := ask(t, http.MethodGet, srv.URL+"/u/good", "", "Accept-Language", "fr"); !strings.Contains(body, "Me désabonner") || strings.Count(body, "<button") != 1 {
		t.Error("the French page has not its one button")
	}
}

func TestPublicAnswersCarrySecurityHeaders(t *testing.T) {
	t.Parallel()
	srv := publicServer(t, &readers{}, nil)
	for _, path := range []string{"/u/good", "/u/forged", "/nowhere", "/"} {
		resp, _ := ask(t, http.MethodGet, srv.URL+path, "")
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestAWebhookIsHandedOverAndAnsweredExactly200(t *testing.T) {
	t.Parallel()
	for given, want := range map[int]int{200: 200, 201: 200, 202: 200, 204: 200, 401: 401, 404: 404, 413: 413, 503: 503, 0: 500, 302: 500} {
		srv := publicServer(t, &readers{}, func(o *PublicOptions) {
			o.Receive = func(_ context.Context, shop string, h http.Header, body []byte) int {
				if shop != "boutique" || h.Get("X-WC-Webhook-Signature") != "sig" || !bytes.Equal(body, []byte("raw \xff bytes")) {
					t.Errorf("handed over: %s %v %q", shop, h, body)
				}
				return given
			}
		})
		resp, _ := ask(t, http.MethodPost, srv.URL+"/hooks/boutique", "raw \xff bytes", "X-WC-Webhook-Signature", "sig")
		if resp.StatusCode != want {
			t.Errorf("receiver said %d, answer is %d, want %d", given, resp.StatusCode, want)
		}
		if loc := resp.Header.Get("Location"); loc != "" {
			t.Errorf("a redirect to %s", loc)
		}
	}
}

func TestAWebhookHasALargestSize(t *testing.T) {
	t.Parallel()
	var received atomic.Int64
	srv := publicServer(t, &readers{}, func(o *PublicOptions) {
		o.Receive = func(context.Context, string, http.Header, []byte) int { received.Add(1); return 200 }
	})
	whole := strings.Repeat("x", maxHook)
	if resp, _ := ask(t, http.MethodPost, srv.URL+"/hooks/boutique", whole); resp.StatusCode != 200 {
		t.Errorf("a megabyte: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, http.MethodPost, srv.URL+"/hooks/boutique", whole+"x"); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("more than a megabyte: %d", resp.StatusCode)
	}
	if received.Load() != 1 {
		t.Errorf("%d bodies were handed over", received.Load())
	}
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/hooks/boutique", ""); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

func TestFloodsAreHeldPerAddress(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, "v0.1.0")
	srv := publicServer(t, &readers{}, func(o *PublicOptions) {
		o.Metrics = m
		o.HooksPerSecond = 1
		o.TrustedProxies = loopback(t)
	})
	post := func(from string) int {
		resp, _ := ask(t, http.MethodPost, srv.URL+"/hooks/boutique", "", "X-Forwarded-For", from)
		return resp.StatusCode
	}
	if a, b, c := post("203.0.113.1"), post("203.0.113.1"), post("203.0.113.1"); a != 200 || b != 200 || c != http.StatusTooManyRequests {
		t.Errorf("first address: %d %d %d", a, b, c)
	}
	if got := post("203.0.113.2"); got != 200 {
		t.Errorf("second address: %d", got)
	}
	if n := testutil.ToFloat64(m.requests.WithLabelValues("public", "4xx")); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	metricstest.Lint(t, reg)
}
