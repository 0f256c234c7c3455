package prestashop_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
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

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func openShop(t *testing.T, change ...func(*presshop.Options)) (*presshop.Shop, *clock) {
	t.Helper()
	c := &clock{at: presshop.RecordedAt()}
	o := presshop.Options{Clock: c.now}
	for _, f := range change {
		f(&o)
	}
	s, err := presshop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// connect serves a shop and gives a source that reads it.
func connect(t *testing.T, s http.Handler, c *clock, change ...func(*prestashop.Config)) *prestashop.Source {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	cfg := prestashop.Config{URL: srv.URL, Key: presshop.DefaultKey, Clock: c.now}
	for _, f := range change {
		f(&cfg)
	}
	src, err := prestashop.New(cfg, nil)
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

// bodies picks one facet of a page, by id.
func bodies[B crm.Body](p connectors.Page) map[string]B {
	out := map[string]B{}
	for _, f := range p.Facts {
		if b, ok := f.Body.(B); ok && !f.Gone {
			out[f.Ref.ID] = b
		}
	}
	return out
}

func read[B crm.Body](t *testing.T, src connectors.Source, kind crm.Kind, id string) B {
	t.Helper()
	p, err := src.Read(t.Context(), crm.Ref{Kind: kind, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := bodies[B](p)[id]
	if !ok {
		t.Fatalf("%s %s shows %+v %+v", kind, id, p.Facts, p.Rejected)
	}
	return b
}
