package prestashop_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
)

func openShop(t *testing.T, change ...func(*presshop.Options)) (*presshop.Shop, *connectortest.Clock) {
	t.Helper()
	c := connectortest.NewClock(presshop.RecordedAt())
	o := presshop.Options{Clock: c.Now}
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
func connect(t *testing.T, s http.Handler, c *connectortest.Clock, change ...func(*prestashop.Config)) *prestashop.Source {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	cfg := prestashop.Config{URL: srv.URL, Key: presshop.DefaultKey, Clock: c.Now}
	for _, f := range change {
		f(&cfg)
	}
	src, err := prestashop.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return src
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
