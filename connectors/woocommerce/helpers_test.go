package woocommerce_test

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

func openShop(t *testing.T) (*wooshop.Shop, *connectortest.Clock) {
	t.Helper()
	c := connectortest.NewClock(wooshop.RecordedAt())
	s, err := wooshop.New(wooshop.Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func config(url string, c *connectortest.Clock) woocommerce.Config {
	return woocommerce.Config{
		URL: url, Key: wooshop.DefaultKey, Secret: wooshop.DefaultSecret, WebhookSecret: wooshop.DefaultWebhookSecret,
		Clock: c.Now, Mapping: mapping.Mapping{
			Consent:  &mapping.Consent{Customer: "meta.newsletter_optin", Order: "meta.newsletter_optin"},
			Birthday: "meta.date_naissance", Statuses: map[string]string{"en-preparation": "accepted"},
		},
	}
}

// connect serves a shop and gives a source that reads it.
func connect(t *testing.T, s *wooshop.Shop, c *connectortest.Clock, change ...func(*woocommerce.Config)) *woocommerce.Source {
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

func texts(ids []int64) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return out
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
