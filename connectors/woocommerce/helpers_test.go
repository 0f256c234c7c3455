package woocommerce_test

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

// clock is the shop's clock, moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openShop(t *testing.T) (*wooshop.Shop, *clock) {
	t.Helper()
	c := &clock{at: wooshop.RecordedAt()}
	s, err := wooshop.New(wooshop.Options{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func config(url string, c *clock) woocommerce.Config {
	return woocommerce.Config{
		URL: url, Key: wooshop.DefaultKey, Secret: wooshop.DefaultSecret, WebhookSecret: wooshop.DefaultWebhookSecret,
		Clock: c.now, Mapping: mapping.Mapping{
			Consent:  &mapping.Consent{Customer: "meta.newsletter_optin", Order: "meta.newsletter_optin"},
			Birthday: "meta.date_naissance", Statuses: map[string]string{"en-preparation": "accepted"},
		},
	}
}

// connect serves a shop and gives a source that reads it.
func connect(t *testing.T, s *wooshop.Shop, c *clock, change ...func(*woocommerce.Config)) *woocommerce.Source {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	cfg := config(srv.URL, c)
	for _, f := range change {
		f(&cfg)
	}
	src, err := woocommerce.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// crawl runs one stream to its end and gives all its pages as one.
func crawl(t *testing.T, src connectors.Source, stream string, at connectors.Cursor, size int) connectors.Page {
	t.Helper()
	all := connectors.Page{}
	for n := 0; ; n++ {
		p, err := src.Pull(t.Context(), stream, at, size)
		if err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
		if n == 0 {
			all.Total = p.Total
		}
		all.Facts = append(all.Facts, p.Facts...)
		all.Raw = append(all.Raw, p.Raw...)
		all.Rejected = append(all.Rejected, p.Rejected...)
		all.IDs = append(all.IDs, p.IDs...)
		if all.Next, at = p.Next, p.Next; !p.More {
			return all
		}
		if n > 2000 {
			t.Fatalf("%s does not end", stream)
		}
	}
}

func texts(ids []int64) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return out
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
