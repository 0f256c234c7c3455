package magento_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/magento/magshop"
	"github.com/relance/relance/internal/crm"
)

func TestConformance(t *testing.T) {
	t.Run("2.4, signed requests", func(t *testing.T) {
		connectortest.Run(t, connectortest.Case{New: func(t *testing.T) connectortest.Shop { return newShop(t, signed, false) }})
	})
	t.Run("2.3, bearer token", func(t *testing.T) {
		connectortest.Run(t, connectortest.Case{New: func(t *testing.T) connectortest.Shop { return newShop(t, bearer, true) }})
	})
}

func newShop(t *testing.T, config func(string, *connectortest.Clock) magento.Config, old bool) connectortest.Shop {
	t.Helper()
	shop, clock := openShop(t, func(o *magshop.Options) { o.Old = old })
	connect := func(token string) func(string) (connectors.Source, error) {
		return func(url string) (connectors.Source, error) {
			c := config(url, clock)
			c.Token = token
			return magento.New(c, nil)
		}
	}
	id := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const wrong = "somebody0else0token0000000000004"
	return connectortest.Shop{
		Handler: shop, Connect: connect(magshop.Token), WrongKey: connect(wrong),
		Secrets: []string{magshop.Token, magshop.TokenSecret, magshop.ConsumerKey, magshop.ConsumerSecret, wrong},
		Stream:  magento.StreamOrders, Kind: crm.KindOrder,
		IDs: func() []string {
			var out []string
			for _, n := range shop.IDs("orders") {
				out = append(out, text(n))
			}
			return out
		},
		Tick: func() { clock.Add(time.Hour) },
		Touch: func(ids ...string) error {
			clock.Add(time.Second)
			for _, s := range ids {
				shop.Touch("orders", id(s))
			}
			return nil
		},
		Create: func() (string, error) {
			return text(shop.PlaceOrder(magshop.Order{Email: "somebody@example.com", Items: []magshop.Item{{ProductID: 5, Quantity: 1}}})), nil
		},
		Remove: func(s string) error { shop.Delete("orders", id(s)); return nil },
		Delete: func(s string) error { shop.Delete("orders", id(s)); return nil },
		Spoil:  func(s string) error { shop.Spoil("orders", id(s)); return nil },
		Silent: func() (crm.Ref, error) {
			shop.Subscribe(48, shop.Get("customers", 48, "extension_attributes", "is_subscribed") == "0")
			return crm.Ref{Kind: crm.KindCustomer, ID: "48"}, nil
		},
		Tasks: func() []connectors.Task {
			return []connectors.Task{{Kind: connectors.TaskUnsubscribe, Key: "48"}, {Kind: connectors.TaskUnsubscribe, Key: "999999"}}
		},
		Zone: "Europe/Paris", Now: clock.Now,
		SetClock: clock.Set,
		Skew:     clock.Skew,
	}
}
