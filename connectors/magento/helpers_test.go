package magento_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/connectors/mapping"
)

func openShop(t *testing.T, change ...func(*magshop.Options)) (*magshop.Shop, *connectortest.Clock) {
	t.Helper()
	c := connectortest.NewClock(magshop.RecordedAt())
	o := magshop.Options{Clock: c.Shops}
	for _, f := range change {
		f(&o)
	}
	s, err := magshop.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func bearer(url string, c *connectortest.Clock) magento.Config {
	return magento.Config{URL: url, Token: magshop.Token, Clock: c.Now}
}

func signed(url string, c *connectortest.Clock) magento.Config {
	return magento.Config{
		URL: url, Token: magshop.Token, TokenSecret: magshop.TokenSecret, ConsumerKey: magshop.ConsumerKey, ConsumerSecret: magshop.ConsumerSecret, Clock: c.Now,
	}
}

// connect serves a shop and gives a source that reads it by signed requests.
func connect(t *testing.T, s *magshop.Shop, c *connectortest.Clock, change ...func(*magento.Config)) source {
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
