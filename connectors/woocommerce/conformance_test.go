package woocommerce_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/connectortest"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
)

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Case{New: newShop})
}

func newShop(t *testing.T) connectortest.Shop {
	t.Helper()
	clock := connectortest.NewClock(wooshop.RecordedAt())
	var skew atomic.Int64
	shop, err := wooshop.New(wooshop.Options{Clock: func() time.Time { return clock.Now().Add(time.Duration(skew.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(key string) func(string) (connectors.Source, error) {
		return func(url string) (connectors.Source, error) {
			c := config(url, clock)
			c.Key, c.HookURL = key, "http://127.0.0.1/hooks/boutique"
			return woocommerce.New(c, nil)
		}
	}
	id := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return connectortest.Shop{
		Handler: shop, Connect: connect(wooshop.DefaultKey), WrongKey: connect("ck_somebody_else"),
		Secrets: []string{wooshop.DefaultSecret, wooshop.DefaultKey, "ck_somebody_else", wooshop.DefaultWebhookSecret},
		Stream:  woocommerce.StreamOrders, Kind: crm.KindOrder,
		IDs:  func() []string { return texts(shop.OrderIDs()) },
		Tick: func() { clock.Add(time.Hour) },
		Touch: func(ids ...string) error {
			clock.Add(time.Second)
			for _, s := range ids {
				if err := shop.UpdateOrder(id(s), wooshop.OrderChange{}); err != nil {
					return err
				}
			}
			return nil
		},
		Create: func() (string, error) {
			n, err := shop.CreateOrder(wooshop.OrderSpec{Email: "somebody@example.com", Items: []wooshop.Item{{ProductID: 15, Quantity: 1}}})
			return strconv.FormatInt(n, 10), err
		},
		Remove: func(s string) error { return shop.TrashOrder(id(s)) },
		Delete: func(s string) error { return shop.DeleteOrder(id(s)) },
		Spoil:  func(s string) error { return shop.Spoil(id(s)) },
		Silent: func() (crm.Ref, error) {
			return crm.Ref{Kind: crm.KindCustomer, ID: "5"}, shop.SetUserMeta(5, "newsletter_optin", "yes")
		},
		Tasks: func() []connectors.Task {
			return []connectors.Task{{Kind: connectors.TaskHooks}, {Kind: connectors.TaskUnsubscribe, Key: "5"}}
		},
		Zone: "Europe/Paris", Now: clock.Now, SetClock: clock.Set, Skew: func(d time.Duration) { skew.Store(int64(d)) },
	}
}
