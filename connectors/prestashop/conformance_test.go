package prestashop_test

import (
	"cmp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
)

const wrongKey = "SOMEBODYELSESWEBSERVICEKEY000000"

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*presshop.Options){
		"PrestaShop 9": func(*presshop.Options) {},
		"1.7, PHP 7, one language, west of Paris": func(o *presshop.Options) {
			o.Version, o.StringNumbers, o.OneLanguage, o.Zone = "1.7.7.2", true, true, "America/Toronto"
		},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, connectortest.Case{New: func(t *testing.T) connectortest.Shop { return newShop(t, change) }})
		})
	}
}

func newShop(t *testing.T, change func(*presshop.Options)) connectortest.Shop {
	t.Helper()
	var mu sync.Mutex
	var skew time.Duration
	shop, clock := openShop(t, change, func(o *presshop.Options) {
		ours := o.Clock
		o.Clock = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return ours().Add(skew)
		}
	})
	var o presshop.Options
	change(&o)
	clock.Add(12 * time.Hour) // west of Paris what was recorded has not happened yet
	connect := func(key string) func(string) (connectors.Source, error) {
		return func(url string) (connectors.Source, error) {
			return prestashop.New(prestashop.Config{URL: url, Key: key, Clock: clock.Now}, nil)
		}
	}
	id := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	remove := func(s string) error { return shop.DeleteOrder(id(s), false) }
	return connectortest.Shop{
		Handler: shop, Connect: connect(presshop.DefaultKey), WrongKey: connect(wrongKey),
		Secrets: []string{presshop.DefaultKey, wrongKey},
		Stream:  prestashop.StreamOrders, Kind: crm.KindOrder,
		IDs:  func() []string { return texts(shop.IDs("orders")) },
		Tick: func() { clock.Add(time.Hour) },
		Touch: func(ids ...string) error {
			clock.Add(time.Second)
			var ns []int64
			for _, s := range ids {
				ns = append(ns, id(s))
			}
			return shop.Save("orders", ns...)
		},
		Create: func() (string, error) {
			ids, err := shop.Order(shop.OpenCart(1, 1, presshop.Item{Product: 3, Quantity: 1}), 2, false)
			if err != nil {
				return "", err
			}
			return strconv.FormatInt(ids[0], 10), nil
		},
		Remove: remove, Delete: remove,
		Silent: func() (crm.Ref, error) {
			return crm.Ref{Kind: crm.KindCustomer, ID: "18"}, shop.NewsletterBlock(18, shop.Text("customers", 18, "newsletter") != "1")
		},
		Tasks: func() []connectors.Task {
			return []connectors.Task{{Kind: connectors.TaskUnsubscribe, Key: "1"}, {Kind: connectors.TaskUnsubscribe, Key: "4"}, {Kind: connectors.TaskUnsubscribe, Key: "99999"}}
		},
		Zone: cmp.Or(o.Zone, "Europe/Paris"), Now: clock.Now, SetClock: clock.Set,
		Skew: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			skew = d
		},
		Spoil: func(s string) error { return shop.SQL("orders", id(s), "total_paid_tax_incl", "not a number") },
	}
}

func texts(ids []int64) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return out
}
