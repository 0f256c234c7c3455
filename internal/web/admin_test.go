package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/relance/relance/internal/web/metricstest"
)

func sampleOverview() Overview {
	now := time.Date(2026, 11, 22, 14, 5, 0, 0, time.UTC)
	return Overview{
		Version: "v0.1.0", Clock: Clock{Now: now, Speed: 360}, Sending: Sending{On: true}, Contacts: 12345, Mails: 3,
		Shops: []Shop{
			{
				Name: "boutique", Title: "Boutique Lumière", Platform: "woocommerce", Way: WayRead, Address: "https://boutique.example",
				BackfilledAt: now.Add(-time.Hour), ReadAt: now.Add(-42 * time.Second), LagSeconds: 42, HookAt: now.Add(-3 * time.Second), BusyPercent: 0.6123,
				Kinds: []Kind{
					{Kind: "customers", Source: 310, Mirrored: 310, Erased: 1, ReadAt: now.Add(-5 * time.Hour), LagSeconds: 18000},
					{Kind: "orders", Source: 421, Mirrored: 419, Quarantined: 2, ReadAt: now.Add(-42 * time.Second), LagSeconds: 42},
					{Kind: "products", Source: -1, Mirrored: 48, ReadAt: now.Add(-30 * time.Hour), LagSeconds: 108000, Late: true},
					{Kind: "carts", Source: -1, LagSeconds: -1},
				},
				Trouble: &Trouble{What: "2 of the orders cannot be understood and are in quarantine; the rest goes on.", Mend: "relance quarantine list boutique says why.", Mild: true},
				Tasks:   []Task{{"webhooks", "Give the key the permission Read/Write, or make the webhooks yourself: WooCommerce › Settings › Advanced › Webhooks."}},
			},
			{
				Name: "atelier", Platform: "prestashop", Way: WayRead, Kinds: []Kind{{Kind: "orders", Source: 9000, Mirrored: 4500, LagSeconds: -1}},
				Progress: []Progress{{"orders", 4500, 9000, 754}, {"customers", 20, 0, 0}},
			},
			{
				Name: "jardin", Platform: "magento", Way: WayRead, Kinds: []Kind{}, Fault: "The shop refuses the key: make a new one with the right read_write under WooCommerce › Settings › Advanced › REST API.",
				Trouble: &Trouble{What: "The shop refuses the key: make a new one with the right read_write under WooCommerce › Settings › Advanced › REST API."},
			},
			{
				Name: "caisse", Title: "Caisse du magasin", Platform: "push", Way: WayPush, BackfilledAt: now.Add(-time.Hour), RecordAt: now.Add(-9 * time.Second),
				Kinds: []Kind{{Kind: "orders", Source: -1, Mirrored: 77, LagSeconds: -1}},
			},
		},
		Segments: []Segment{
			{ID: "cart_left", Title: "Cart left for an hour", Size: 17, State: "live"},
			{ID: "vip", Title: "Bought three times", Size: 1204, State: "building", BuildDone: 300, BuildTotal: 1000},
		},
		Campaigns: []Campaign{
			{
				ID: "cart", Title: "Your cart is waiting", Segment: "cart_left", State: "armed", ArmedAt: now.Add(-time.Hour), Sends: []SendCount{{"accepted", 12}, {"deferred", 2}, {"refused", 3}, {"unknown", 1}, {"ready", 0}},
				CameBack: []Outcome{{"delivered", "delivered", 1190}, {"clicked", "clicked", 7}, {"bounced", "bounced", 0}},
				Earned:   []Earned{{Currency: "EUR", Orders: 31, Revenue: "1847.50", Carts: 4, CartValue: "212.00"}, {Currency: "CHF", Orders: 1, Revenue: "80.00", CartValue: "0.00"}},
				Days:     []int64{0, 4990, 12000, 0, -500, 28000, 9900},
			},
			{ID: "win_back", Title: "We miss you", Segment: "lapsed", State: "draft", Sends: []SendCount{}, CameBack: []Outcome{}, Earned: []Earned{}},
		},
		Work: Work{Unknown: 1},
	}
}

func sampleMail() Mail {
	return Mail{
		MailLine: MailLine{ID: "s1", Campaign: "cart", Step: "first", To: "anna.martin@example.com", Subject: "Votre panier <vous> attend", At: time.Date(2026, 11, 22, 14, 4, 0, 0, time.UTC)},
		From:     "Boutique Lumière <bonjour@boutique.example>",
		Headers:  []Header{{"List-Unsubscribe", "<https://r.example/u/t>"}, {"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"}},
		HTML: `<!doctype html><html><head><title>x</title></head><body style="margin:0;background:#f6efe6;font-family:Georgia"><h1 style="padding:24px">Bonjour Anna</h1>` +
			`<script>document.title="run"</script><p><a id="go" href="https://boutique.example/cart">Reprendre</a></p></body></html>`,
		Text: "Bonjour Anna",
	}
}

func sampleOptions(t *testing.T) AdminOptions {
	t.Helper()
	reg := prometheus.NewRegistry()
	return AdminOptions{
		Overview: func(context.Context) (Overview, error) { return sampleOverview(), nil },
		Contacts: func(_ context.Context, after string, limit int) (ContactPage, error) {
			p := ContactPage{Total: 12345, Next: "c&2"}
			if after != "" {
				p.Next = ""
			}
			for i := range min(limit, 3) {
				p.Contacts = append(p.Contacts, Contact{
					ID: "c_" + strings.Repeat("7f3k", 3) + string(rune('a'+i)), Shop: "boutique", Locale: "fr-FR", Country: "FR", Orders: int64(i + 1),
					LastOrderAt: time.Date(2026, 11, 20+i, 9, 0, 0, 0, time.UTC), Segments: []string{"cart_left"}[:i%2],
				})
			}
			return p, nil
		},
		Mails: func(context.Context, string, int) (MailPage, error) {
			m := sampleMail().MailLine
			english := m
			english.ID, english.Subject, english.To = "s2", "Something still waits in your cart", "bo@example.org"
			return MailPage{Mails: []MailLine{m, english}}, nil
		},
		Mail: func(_ context.Context, id string) (Mail, error) {
			if id != "s1" {
				return Mail{}, ErrNotFound
			}
			return sampleMail(), nil
		},
		Ready: func(context.Context) error { return nil }, Gatherer: reg, Metrics: NewMetrics(reg, "v0.1.0"), Log: zaptest.NewLogger(t),
	}
}

func adminServer(t *testing.T, change func(*AdminOptions)) *httptest.Server {
	t.Helper()
	o := sampleOptions(t)
	if change != nil {
		change(&o)
	}
	srv := httptest.NewServer(NewAdmin(o))
	t.Cleanup(srv.Close)
	return srv
}

func TestEveryPageShowsWhatItIsFor(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, nil)
	for path, wants := range map[string][]string{
		"/": {
			"Boutique Lumière", "421", "419", "refuses the key", "needs you", `<progress max="100" value="50">`, "first read", "read 42 s ago",
			"about 12 min left", "0.61\u202f% of the shop’s time", "last webhook", "to do", "Read/Write", "are in quarantine", "relance quarantine list", "late",
			"sends by itself", "last record", "Caisse du magasin",
			"Cart left for an hour", "1\u202f204", "building", "Your cart is waiting", "armed", "outcome unknown", "12\u202f345", "faster than life",
			"Votre panier &lt;vous&gt; attend", `href="/mails/s1"`, "c_7f3k7f3k7f3ka",
		},
		"/contacts":      {"12\u202f345", "c_7f3k7f3k7f3ka", "/contacts?after=c%262"},
		"/mails":         {"an•••@example.com"},
		"/mails/s1":      {`sandbox="allow-popups allow-popups-to-escape-sandbox"`, `src="/mails/s1/html"`, "List-Unsubscribe-Post", "Bonjour Anna"},
		"/mails/s1/html": {`<head><base target="_blank">`, "Reprendre"},
		"/healthz":       {"alive"},
		"/readyz":        {"ready"},
		"/metrics":       {"relance_http_requests_total", `relance_build_info{go="go`},
		"/api/contacts":  {`"total":12345`},
		"/api/mails":     {"an•••@example.com"},
	} {
		resp, body := ask(t, http.MethodGet, srv.URL+path, "")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
}

func TestListsHideAddresses(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, nil)
	for _, path := range []string{"/", "/mails", "/contacts", "/api/status", "/api/mails", "/api/contacts"} {
		if _, body := ask(t, http.MethodGet, srv.URL+path, ""); strings.Contains(body, "anna.martin@") {
			t.Errorf("%s shows an address", path)
		}
	}
}

func TestStatusIsTheSameDataAsJSON(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, nil)
	resp, body := ask(t, http.MethodGet, srv.URL+"/api/status", "")
	if kind := resp.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("type %s", kind)
	}
	var got Overview
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleOverview(), got); diff != "" {
		t.Error(diff)
	}
}

func TestANameFromElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, func(o *AdminOptions) { o.Hosts = []string{"relance.internal"} })
	for host, want := range map[string]int{
		"127.0.0.1:8484": 200, "localhost": 200, "[::1]:8484": 200, "127.8.8.8": 200, "relance.internal:8484": 200, "RELANCE.internal": 200, "a.localhost:1": 200,
		"evil.example": 421, "evil.example:8484": 421, "127.0.0.1.evil.example": 421, "10.0.0.7:8484": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"/", "/api/status", "/metrics", "/healthz"} {
			if resp, _ := ask(t, http.MethodGet, srv.URL+path, "", "Host", host); resp.StatusCode != want {
				t.Errorf("%s on %s: %d, want %d", host, path, resp.StatusCode, want)
			}
		}
	}
}

func TestNothingButReading(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, nil)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		if resp, _ := ask(t, method, srv.URL+"/", "", "Sec-Fetch-Site", "cross-site"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", method, resp.StatusCode)
		}
		if resp, _ := ask(t, method, srv.URL+"/api/status", ""); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, resp.StatusCode)
		}
	}
}

func TestTroubleIsSaidInASentence(t *testing.T) {
	t.Parallel()
	away := errors.New("the database does not answer: connection refused")
	srv := adminServer(t, func(o *AdminOptions) {
		o.Overview = func(context.Context) (Overview, error) { return Overview{}, away }
		o.Ready = func(context.Context) error { return away }
	})
	for _, path := range []string{"/", "/api/status", "/readyz"} {
		resp, body := ask(t, http.MethodGet, srv.URL+path, "")
		if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, away.Error()) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/healthz", ""); resp.StatusCode != 200 {
		t.Errorf("the process is alive, healthz says %d", resp.StatusCode)
	}
	for _, path := range []string{"/mails/other", "/mails/other/html", "/nowhere", "/favicon.ico"} {
		if resp, body := ask(t, http.MethodGet, srv.URL+path, ""); resp.StatusCode != 404 || !strings.Contains(body, "nothing here") {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestAnEmptyInstallationSaysWhatToDo(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, func(o *AdminOptions) {
		o.Overview = func(context.Context) (Overview, error) {
			return Overview{Version: "v0.1.0", Sending: Sending{Reason: "This database was copied: run relance adopt."}}, nil
		}
		o.Contacts = func(context.Context, string, int) (ContactPage, error) { return ContactPage{}, nil }
		o.Mails, o.Mail = nil, nil
	})
	_, body := ask(t, http.MethodGet, srv.URL+"/", "")
	if _, status := ask(t, http.MethodGet, srv.URL+"/api/status", ""); strings.Contains(status, "null") {
		t.Errorf("lists are absent instead of empty: %s", status)
	}
	for _, want := range []string{"No shop yet", "relance check", "run relance adopt", "copies are not kept here"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/mails/s1", ""); resp.StatusCode != 404 {
		t.Errorf("a mail that is not kept: %d", resp.StatusCode)
	}
}

func TestPagesUseNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, nil)
	for _, path := range []string{"/", "/mails", "/mails/s1", "/contacts"} {
		resp, body := ask(t, http.MethodGet, srv.URL+path, "")
		for _, bad := range []string{`src="http`, "@import", "url(", `rel="stylesheet"`, "<script src", " style=", " onclick"} {
			if strings.Contains(strings.Split(body, "</head>")[0], bad) || bad != "url(" && strings.Contains(body, bad) && path != "/mails/s1" {
				t.Errorf("%s holds %s", path, bad)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %s", path, csp)
		}
	}
	resp, _ := ask(t, http.MethodGet, srv.URL+"/mails/s1/html", "")
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox allow-popups") || strings.Contains(csp, "allow-scripts") {
		t.Errorf("a mail's policy: %s", csp)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	o := sampleOptions(t)
	metricstest.Lint(t, o.Gatherer)
	metricstest.Documented(t, o.Gatherer, "../../docs/operations.md")
}

func TestSpansAndNumbersRead(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{0: "now", 0.4: "now", 42: "42 s", 180: "3 min", 7300: "2 h", 400000: "4 d"} {
		if got := span(seconds); got != want {
			t.Errorf("span(%v) = %s, want %s", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{-1: "–", 0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
	for given, want := range map[string]string{"a@b.fr": "•••@b.fr", "anna@b.fr": "an•••@b.fr", "nothing": "•••", "éé@b.fr": "é•••@b.fr"} {
		if got := maskEmail(given); got != want {
			t.Errorf("maskEmail(%s) = %s, want %s", given, got, want)
		}
	}
}
