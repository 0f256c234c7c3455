package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

// withEveryPlatform lays out one shop of each platform, the three that are read on loopback.
func (r *rig) withEveryPlatform(t *testing.T) (presta *presshop.Shop, magento *magshop.Shop) {
	t.Helper()
	serve := func(h http.Handler, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	woo, err := wooshop.New(wooshop.Options{})
	wooURL := serve(woo, err)
	presta, err = presshop.New(presshop.Options{})
	prestaURL := serve(presta, err)
	magento, err = magshop.New(magshop.Options{})
	magentoURL := serve(magento, err)
	r.must("init")
	r.write("shops/boutique.yaml", fmt.Sprintf("platform: woocommerce\nwoocommerce: {url: %q, key: %s, secret: %s}\n", wooURL, wooshop.DefaultKey, wooshop.DefaultSecret))
	r.write("shops/atelier.yaml", fmt.Sprintf("platform: prestashop\nprestashop: {url: %q, key: %s}\n", prestaURL, presshop.DefaultKey))
	r.write("shops/jardin.yaml", fmt.Sprintf("platform: magento\nmagento: {url: %q, token: %s, token_secret: %s, consumer_key: %s, consumer_secret: %s}\n",
		magentoURL, magshop.Token, magshop.TokenSecret, magshop.ConsumerKey, magshop.ConsumerSecret))
	r.write("shops/caisse.yaml", "platform: push\nzone: Europe/Paris\npush: {secrets: [till-till-till-till-till-till-till-till]}\n")
	return presta, magento
}

// Four shops of four platforms in one installation: probed, mirrored, shown, diagnosed, each as what it is.
func TestEveryPlatformInOneInstallation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	presta, magento := r.withEveryPlatform(t)
	_, out, _ := r.run("check") // without https and a public address not everything is ok
	wants(t, out, "boutique\n", "atelier\n", "jardin\n", "caisse\n", "PrestaShop ", "Magento", "Relance asks nothing of it")

	said := syncJSON(t, r)
	for shop, orders := range map[string]int{"atelier": len(presta.IDs("orders")), "jardin": len(magento.IDs("orders"))} {
		if c := said.Shops[shop]["orders"]; int(c.Mirrored+c.Quarantined) != orders {
			t.Errorf("%s: %+v, the shop has %d orders", shop, c, orders)
		}
	}
	var a statusAnswer
	if err := json.Unmarshal([]byte(r.must("status", "--json")), &a); err != nil {
		t.Fatal(err)
	}
	for name, platform := range map[string]string{"boutique": "woocommerce", "atelier": "prestashop", "jardin": "magento", "caisse": "push"} {
		s := a.Shops[name]
		if s.Platform != platform || !s.Backfilled || s.Fault != "" {
			t.Errorf("%s: %s, backfilled %t, fault %q", name, s.Platform, s.Backfilled, s.Fault)
		}
		for _, k := range s.Shop.Kinds {
			if k.Source >= 0 && k.Source != k.Mirrored+k.Quarantined && k.Kind != "carts" {
				t.Errorf("%s %s: %d in the shop, %d mirrored, %d in quarantine", name, k.Kind, k.Source, k.Mirrored, k.Quarantined)
			}
		}
		doctor := r.must("doctor", name)
		wants(t, doctor, "platform", platform)
		if strings.Contains(doctor, presshop.DefaultKey) || strings.Contains(doctor, magshop.ConsumerSecret) || strings.Contains(doctor, "till-till") {
			t.Errorf("the diagnosis of %s shows a secret", name)
		}
	}
	wants(t, r.must("status"), "it sends its records itself", "atelier  prestashop  http://", "jardin  magento  http://")
	wants(t, r.must("shop", "preview", "atelier", "customer", fmt.Sprint(presta.IDs("customers")[0])), "consent.customer", "the platform's own box", "What would be stored")
	wants(t, r.must("shop", "preview", "jardin", "order", fmt.Sprint(magento.IDs("orders")[0])), "grand_total", "TotalRaw")
	code, _, errs := r.run("shop", "preview", "caisse", "order", "1")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "sends its records itself")
}

// A shop never becomes one of another platform: its numbers would name other people.
func TestAShopNeverChangesItsPlatform(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.withEveryPlatform(t)
	r.must("sync", "--once", "--shop", "caisse")
	r.write("shops/caisse.yaml", strings.ReplaceAll("platform: prestashop\nprestashop: {url: 'http://127.0.0.1:1', key: KEY}\n", "KEY", presshop.DefaultKey))
	code, _, errs := r.run("sync", "--once", "--shop", "caisse")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "its records come from push already", "a name is for ever")
}
