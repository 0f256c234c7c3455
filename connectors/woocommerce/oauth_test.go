package woocommerce_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/fault"
)

// wire keeps everything that is sent to a server.
type wire struct {
	mu   sync.Mutex
	seen []string
}

func (w *wire) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		key, secret, _ := r.BasicAuth()
		w.seen = append(w.seen, r.Method+" "+r.URL.String()+" "+key+":"+secret)
		w.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

func (w *wire) holds(s string) bool { return w.count(s) > 0 }

func (w *wire) count(s string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, line := range w.seen {
		if strings.Contains(line, s) {
			n++
		}
	}
	return n
}

// reads tells whether the source gets orders, twice: the second time without looking for a way again.
func reads(t *testing.T, src *woocommerce.Source, w *wire) {
	t.Helper()
	for i := range 2 {
		before := w.count("")
		p, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 3)
		if err != nil || len(p.Raw) != 3 {
			t.Fatalf("time %d: %d orders, %v", i+1, len(p.Raw), err)
		}
		if n := w.count("") - before; i == 1 && n != 1 {
			t.Errorf("%d requests for a page", n)
		}
	}
}

func TestPlainHTTPIsSigned(t *testing.T) {
	shop, clock := openShop(t)
	w := &wire{}
	srv := httptest.NewServer(w.watch(shop))
	defer srv.Close()
	src, err := woocommerce.New(config(srv.URL, clock), nil)
	if err != nil {
		t.Fatal(err)
	}
	reads(t, src, w)
	if w.holds(wooshop.DefaultSecret) || w.holds("consumer_secret") || !w.holds("oauth_signature=") || w.count("") != 2 {
		t.Errorf("on the wire: %v", w.seen)
	}
}

// The shop sees another address than the one it is asked at: a proxy stands before it.
func TestBehindProxies(t *testing.T) {
	for name, c := range map[string]struct {
		home             string
		https, tellsTLS  bool
		strips, wrongKey bool
		ahead            time.Duration
	}{
		"https, and the shop knows":          {https: true, tellsTLS: true},
		"https, and the shop is not told":    {https: true},
		"https, the header is stripped":      {https: true, tellsTLS: true, strips: true},
		"plain, another host":                {home: "http://boutique.example.com"},
		"plain, TLS in between":              {tellsTLS: true},
		"https, not told, another host":      {https: true, home: "https://boutique.example.com"},
		"plain, a clock two hours ahead":     {ahead: 2 * time.Hour},
		"https, not told, a clock far ahead": {https: true, ahead: -26 * time.Hour},
		"https, a wrong key":                 {https: true, tellsTLS: true, wrongKey: true},
		"plain, a wrong key":                 {wrongKey: true},
	} {
		t.Run(name, func(t *testing.T) {
			clock := connectortest.NewClock(wooshop.RecordedAt())
			shop, err := wooshop.New(wooshop.Options{Home: c.home, TLSProxy: c.tellsTLS, Clock: func() time.Time { return clock.Now().Add(c.ahead) }})
			if err != nil {
				t.Fatal(err)
			}
			w := &wire{}
			proxy := w.watch(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				r.TLS = nil
				if c.strips {
					r.Header.Del("Authorization")
				}
				shop.ServeHTTP(rw, r)
			}))
			serve := httptest.NewServer
			if c.https {
				serve = httptest.NewTLSServer
			}
			srv := serve(proxy)
			defer srv.Close()
			cfg := config(srv.URL, clock)
			if c.wrongKey {
				cfg.Key = "ck_somebody_else"
			}
			src, err := woocommerce.New(cfg, srv.Client().Transport)
			if err != nil {
				t.Fatal(err)
			}
			if !c.wrongKey {
				reads(t, src, w)
				return
			}
			_, err = src.Pull(t.Context(), woocommerce.StreamOrders, nil, 3)
			if fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "consumer key") {
				t.Error(err, fault.HintOf(err))
			}
		})
	}
}

// Over plain http to another machine the key itself is not even tried.
func TestPlainHTTPNeverCarriesTheKey(t *testing.T) {
	var seen http.Header
	var url string
	src, err := woocommerce.New(config("http://boutique.example.com", connectortest.NewClock(wooshop.RecordedAt())), roundTrip(func(r *http.Request) *http.Response {
		if r.Header.Get("Authorization") != "" {
			seen = maps.Clone(r.Header)
		}
		url += r.URL.String()
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.WriteString(`{"code":"woocommerce_rest_cannot_view"}`)
		return w.Result()
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Pull(t.Context(), woocommerce.StreamOrders, nil, 3); fault.ClassOf(err) != fault.Operator {
		t.Error(err)
	}
	if seen != nil || strings.Contains(url, wooshop.DefaultSecret) {
		t.Errorf("the key went out: %v %s", seen, url)
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func jsonAnswer(body string) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.WriteString(body)
	return w.Result()
}
