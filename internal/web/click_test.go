package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/relance/relance/internal/web/metricstest"
)

// clicks leads the token "good" to an address and remembers who came.
type clicks struct {
	target string
	visits chan Visit
	record func(ctx context.Context) error
}

func (c *clicks) follow(token string) (Followed, error) {
	if token != "good" {
		return Followed{}, ErrNotFound
	}
	return Followed{Target: c.target, Record: func(ctx context.Context, v Visit) error {
		c.visits <- v
		if c.record != nil {
			return c.record(ctx)
		}
		return nil
	}}, nil
}

func newClicks() *clicks {
	return &clicks{target: "https://boutique.example/p?a=1&b=2#top", visits: make(chan Visit, 5000)}
}

func TestAClickIsRecordedAndLedOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, purpose string
		want            Visit
	}{
		"a person":                       {http.MethodGet, "", Visit{UserAgent: "Phone", IP: "127.0.0.1"}},
		"a scanner that only looks":      {http.MethodHead, "", Visit{UserAgent: "Phone", IP: "127.0.0.1", Head: true, Machine: true}},
		"a browser that fetches ahead":   {http.MethodGet, "prefetch;prerender", Visit{UserAgent: "Phone", IP: "127.0.0.1", Machine: true}},
		"a mail program with a preview":  {http.MethodGet, "preview", Visit{UserAgent: "Phone", IP: "127.0.0.1", Machine: true}},
		"another purpose is a person's ": {http.MethodGet, "x", Visit{UserAgent: "Phone", IP: "127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newClicks()
			srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Follow = l.follow })
			resp, body := ask(t, c.method, srv.URL+"/c/good", "", "User-Agent", "Phone", "Sec-Purpose", c.purpose)
			if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != l.target || body != "" {
				t.Errorf("%d to %q: %s", resp.StatusCode, resp.Header.Get("Location"), body)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			if got := <-l.visits; got != c.want {
				t.Errorf("recorded as %+v", got)
			}
		})
	}
}

func TestTheRedirectLeadsNowhereButWhereATokenLeads(t *testing.T) {
	t.Parallel()
	l := newClicks()
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Follow = l.follow })
	for _, path := range []string{"/c/forged", "/c/https://evil.example", "/c/", "/c/forged?url=https://evil.example", "/c/goods", "/c/good/https://evil.example", "/c/%2e%2e/"} {
		resp, body := ask(t, http.MethodGet, srv.URL+path, "")
		tidied := resp.StatusCode == http.StatusTemporaryRedirect && strings.HasPrefix(resp.Header.Get("Location"), "/c/") // a path with // in it
		if resp.StatusCode != http.StatusNotFound && !tidied || strings.Contains(body, "//evil.example") {
			t.Errorf("%s: %d to %q: %s", path, resp.StatusCode, resp.Header.Get("Location"), body)
		}
	}
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/c/good?url=https://evil.example", ""); resp.Header.Get("Location") != l.target {
		t.Errorf("a parameter changes where it leads: %s", resp.Header.Get("Location"))
	}
	if resp, _ := ask(t, http.MethodPost, srv.URL+"/c/good", ""); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	if n := len(l.visits); n != 1 {
		t.Errorf("%d recorded", n)
	}
}

// B43: whatever a program does with the links of a mail, nobody is unsubscribed by it.
func TestB43_NoLinkOfAMailUnsubscribesByBeingFollowed(t *testing.T) {
	t.Parallel()
	list, l := &readers{}, newClicks()
	l.target = "/l/cart"
	srv := publicServer(t, list, func(o *PublicOptions) { o.Follow, o.Landing = l.follow, landingsOf(t) })
	for _, path := range []string{"/c/good", "/l/cart", "/l/picks", "/u/good"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			resp, _ := ask(t, method, srv.URL+path, "")
			if resp.StatusCode >= 500 {
				t.Errorf("%s %s: %d", method, path, resp.StatusCode)
			}
		}
	}
	if list.acts.Load() != 0 {
		t.Error("somebody is unsubscribed")
	}
}

func TestNobodyWaitsForOurDatabase(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, "v0.1.0")
	l := newClicks()
	l.record = func(ctx context.Context) error { // a database that is away
		<-ctx.Done()
		return errors.New("the database is away")
	}
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Follow, o.Metrics = l.follow, m })
	start := time.Now()
	resp, _ := ask(t, http.MethodGet, srv.URL+"/c/good", "")
	if took := time.Since(start); resp.StatusCode != http.StatusFound || took > recordWithin/2 {
		t.Errorf("%d after %s", resp.StatusCode, took)
	}
	srv.Close() // waits for what goes on behind the reader's back
	if lost, kept := testutil.ToFloat64(m.clicks.WithLabelValues(clickLost)), testutil.ToFloat64(m.clicks.WithLabelValues(clickRecorded)); lost != 1 || kept != 0 {
		t.Errorf("%v lost, %v recorded", lost, kept)
	}
	metricstest.Lint(t, reg)
}

func TestAClickWhoseRecordPanicsIsLostAndLeadsOn(t *testing.T) {
	t.Parallel()
	m := NewMetrics(prometheus.NewRegistry(), "v0.1.0")
	l := newClicks()
	l.record = func(context.Context) error { panic("a mistake of ours") }
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Follow, o.Metrics = l.follow, m })
	if resp, _ := ask(t, http.MethodGet, srv.URL+"/c/good", ""); resp.StatusCode != http.StatusFound {
		t.Errorf("status %d", resp.StatusCode)
	}
	if lost := testutil.ToFloat64(m.clicks.WithLabelValues(clickLost)); lost != 1 {
		t.Errorf("%v lost", lost)
	}
}

func TestAWholeCompanyBehindOneAddressIsLedOn(t *testing.T) {
	t.Parallel()
	m := NewMetrics(prometheus.NewRegistry(), "v0.1.0")
	l := newClicks()
	p := NewPublic(PublicOptions{Follow: l.follow, Metrics: m})
	led := map[int]int{}
	for range 3000 {
		w := &answered{header: http.Header{}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/c/good", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "203.0.113.9:4711"
		p.ServeHTTP(w, r)
		led[w.status]++
	}
	recorded, held := testutil.ToFloat64(m.clicks.WithLabelValues(clickRecorded)), testutil.ToFloat64(m.clicks.WithLabelValues(clickHeld))
	if led[http.StatusFound] < 2000 || recorded < 1000 || held == 0 || float64(led[http.StatusFound]) != recorded+held {
		t.Errorf("answers %v, %v recorded, %v not", led, recorded, held)
	}
}

// answered is a response that nobody reads.
type answered struct {
	header http.Header
	status int
}

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) Write(b []byte) (int, error) { return len(b), nil }
func (a *answered) WriteHeader(status int)      { a.status = status }

func TestLocationsAreASCII(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://boutique.example/écharpe?q=a b": "https://boutique.example/%C3%A9charpe?q=a%20b",
		"https://boutique.example/a%20b\r\nX: y": "https://boutique.example/a%20b%0D%0AX:%20y",
		"/l/l1.k1.x":                             "/l/l1.k1.x",
	} {
		if got := location(target); got != want {
			t.Errorf("%q is led to %q", target, got)
		}
	}
}
