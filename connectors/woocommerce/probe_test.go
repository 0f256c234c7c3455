package woocommerce_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/fault"
)

func TestProbe(t *testing.T) {
	shop, clock := openShop(t)
	r, err := connect(t, shop, clock).Probe(t.Context())
	if err != nil || !r.OK() {
		t.Fatalf("%+v %v", r.Findings, err)
	}
	if r.Name != "Atelier Lumière" || r.Version != "9.9.5" || r.Zone != "Europe/Paris" || r.Currency != "EUR" || !r.ShopTime.Equal(clock.Now()) {
		t.Errorf("%+v", r)
	}
}

func TestProbeFindings(t *testing.T) {
	for name, c := range map[string]struct {
		config func(*woocommerce.Config)
		fault  *wooshop.Fault
		what   string
		mend   string
	}{
		"unknown key":   {config: func(c *woocommerce.Config) { c.Key = "ck_x" }, what: "key", mend: "consumer key"},
		"wrong secret":  {config: func(c *woocommerce.Config) { c.Secret = "cs_x" }, what: "key", mend: "consumer secret"},
		"no rights":     {config: func(c *woocommerce.Config) { c.Key += "_customer" }, what: "key", mend: "administrator"},
		"shop manager":  {config: func(c *woocommerce.Config) { c.Key += "_manager" }, what: "customers", mend: "administrator"},
		"clock":         {config: func(c *woocommerce.Config) { c.Clock = func() time.Time { return wooshop.RecordedAt().Add(time.Hour) } }, what: "clock", mend: "NTP"},
		"web page":      {fault: wooshop.WebPage(), what: "address", mend: "Permalinks"},
		"redirect":      {fault: wooshop.Redirect("https://www.example.com/"), what: "address", mend: "Permalinks"},
		"broken server": {fault: wooshop.ServerError(), what: "address", mend: "Try again"},
	} {
		t.Run(name, func(t *testing.T) {
			shop, clock := openShop(t)
			shop.SetFault(func(*http.Request) *wooshop.Fault { return c.fault })
			src := connect(t, shop, clock, func(cfg *woocommerce.Config) {
				if c.config != nil {
					c.config(cfg)
				}
			})
			r, _ := src.Probe(t.Context())
			if f := connectortest.FindingOf(r, c.what); f.OK || !strings.Contains(f.Mend, c.mend) || f.Text == "" {
				t.Errorf("finding %+v, want it to mend by %q; all: %+v", f, c.mend, r.Findings)
			}
		})
	}
}

// A shop manager's key brings customers without meta data: their consent is not blanked, it is not seen.
func TestShopManagerSeesNoConsent(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock, func(c *woocommerce.Config) { c.Key += "_manager" })
	p := connectortest.Crawl(t, src, woocommerce.StreamCustomers, nil, 100)
	if len(p.Facts) != 2*155 { // customer and address
		t.Errorf("%d facts", len(p.Facts))
	}
}

func TestTLSWithPrivateAuthority(t *testing.T) {
	shop, clock := openShop(t)
	url, ca, stop, err := shop.StartTLS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(url, clock)
	src, err := woocommerce.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Probe(t.Context()); fault.ClassOf(err) != fault.Operator || !strings.Contains(fault.HintOf(err), "ca_file") {
		t.Errorf("an unknown authority: %v", err)
	}
	c.CAFile = file
	if src, err = woocommerce.New(c, nil); err != nil {
		t.Fatal(err)
	}
	if r, err := src.Probe(t.Context()); err != nil || !r.OK() {
		t.Errorf("%+v %v", r, err)
	}
}

func TestValidate(t *testing.T) {
	good := config("https://boutique.example.com", &connectortest.Clock{})
	if ps := good.Validate(); len(ps) > 0 {
		t.Errorf("%+v", ps)
	}
	for name, c := range map[string]struct {
		change func(*woocommerce.Config)
		path   string
	}{
		"no url":       {func(c *woocommerce.Config) { c.URL = "" }, "$.url"},
		"other scheme": {func(c *woocommerce.Config) { c.URL = "ftp://boutique.example.com" }, "$.url"},
		"api path":     {func(c *woocommerce.Config) { c.URL += "/wp-json/wc/v3" }, "$.url"},
		"keys in url":  {func(c *woocommerce.Config) { c.URL += "?consumer_key=ck_1" }, "$.url"},
		"no key":       {func(c *woocommerce.Config) { c.Key = "" }, "$.key"},
		"exchanged":    {func(c *woocommerce.Config) { c.Key, c.Secret = c.Secret, c.Key }, "$.key"},
		"no secret":    {func(c *woocommerce.Config) { c.Secret = "" }, "$.secret"},
		"no such file": {func(c *woocommerce.Config) { c.CAFile = "/nowhere.pem" }, "$.ca_file"},
	} {
		cfg := config("https://boutique.example.com", &connectortest.Clock{})
		c.change(&cfg)
		ps := cfg.Validate()
		if len(ps) != 1 || ps[0].Path != c.path || ps[0].Want == "" {
			t.Errorf("%s: %+v", name, ps)
		}
		for _, p := range ps {
			if strings.Contains(p.Message+p.Want, wooshop.DefaultSecret) {
				t.Errorf("%s: the secret is in the message", name)
			}
		}
	}
}

func TestAMappingThatCannotBeMeant(t *testing.T) {
	for want, m := range map[string]mapping.Mapping{
		"$.mapping.statuses.en-preparation": {Statuses: map[string]string{"en-preparation": "cooking"}},
		"$.mapping.consent.customer":        {Consent: &mapping.Consent{Customer: "newsletter_optin"}},
		"$.mapping.brand":                   {Brand: "attribute."},
	} {
		cfg := config("https://boutique.example.com", &connectortest.Clock{})
		cfg.Mapping = m
		_, err := woocommerce.New(cfg, nil)
		if fault.ClassOf(err) != fault.Operator || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("want %s refused: %v", want, err)
		}
	}
}
