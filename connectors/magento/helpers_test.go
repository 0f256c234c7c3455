package magento_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/connectors/mapping"
)

// clock is the shop's clock, moved by hand.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	skew time.Duration // of the shop's
}

func (c *clock) shops() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(c.skew)
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

func openShop(t *testing.T, change ...func(*magshop.Options)) (*magshop.Shop, *clock) {
	t.Helper()
	c := &clock{at: magshop.RecordedAt()}
	o := magshop.Options{Clock: c.shops}
	for _, f := range change {
		f(&o)
	}
	s, err := magshop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func bearer(url string, c *clock) magento.Config {
	return magento.Config{URL: url, Token: magshop.Token, Clock: c.now}
}

func signed(url string, c *clock) magento.Config {
	return magento.Config{
		URL: url, Token: magshop.Token, TokenSecret: magshop.TokenSecret, ConsumerKey: magshop.ConsumerKey, ConsumerSecret: magshop.ConsumerSecret, Clock: c.now,
	}
}

// connect serves a shop and gives a source that reads it by signed requests.
func connect(t *testing.T, s *magshop.Shop, c *clock, change ...func(*magento.Config)) source {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	cfg := signed(srv.URL, c)
	for _, f := range change {
		f(&cfg)
	}
	return open(t, cfg)
}

// source is all that a Magento source is.
type source interface {
	connectors.Source
	connectors.Counter
	connectors.Normaliser
	connectors.Actor
}

func open(t *testing.T, c magento.Config) source {
	t.Helper()
	src, err := magento.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, ok := src.(source)
	if !ok {
		t.Fatal("the source lacks something")
	}
	return all
}

func mapped(m mapping.Mapping) func(*magento.Config) {
	return func(c *magento.Config) { c.Mapping = m }
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

func text(id int64) string { return strconv.FormatInt(id, 10) }

// exchange is a recorded request and its answer.
type exchange struct {
	Name, Method, Path, Query, Request string
	Status                             int
	Headers                            map[string]string
	Body                               string
}

func exchanges(t testing.TB) map[string]exchange {
	t.Helper()
	packed, err := os.ReadFile("testdata/exchanges.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var es []exchange
	if err := json.Unmarshal(b, &es); err != nil {
		t.Fatal(err)
	}
	out := map[string]exchange{}
	for _, e := range es {
		out[e.Name] = e
	}
	return out
}
