package lifetest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/prestashop/presshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/sync/lifetest"
)

func TestAPrestaShopShopLives(t *testing.T) {
	lifetest.Run(t, func(t *testing.T, clock func() time.Time) lifetest.Shop {
		s, err := presshop.New(presshop.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return presta{s}
	})
}

// presta is a model shop of PrestaShop, told in the words of the life test.
type presta struct{ *presshop.Shop }

func (p presta) Connect(url string, clock func() time.Time) (connectors.Source, error) {
	return prestashop.New(prestashop.Config{URL: url, Key: presshop.DefaultKey, Clock: clock}, http.DefaultTransport)
}

func (p presta) Truth() map[crm.Ref]string {
	f, out := p.Facts(), map[crm.Ref]string{}
	for id, c := range f.Customers {
		consent := "no"
		if c.Newsletter {
			consent = "yes"
		}
		out[crm.Ref{Kind: crm.KindCustomer, ID: id}] = lifetest.CustomerText(c.Email, c.First, c.Last, consent)
	}
	for id, o := range f.Orders {
		out[crm.Ref{Kind: crm.KindOrder, ID: id}] = lifetest.OrderText(o.State, o.Currency, o.Total, o.Customer, o.Lines)
	}
	for id, r := range f.Refunds {
		out[crm.Ref{Kind: crm.KindRefund, ID: id}] = lifetest.RefundText(r.Order, r.Currency, r.Amount)
	}
	for id, c := range f.Carts {
		out[crm.Ref{Kind: crm.KindCart, ID: id}] = lifetest.CartText(c.Customer, "", c.Items)
	}
	for id, c := range f.Products {
		out[crm.Ref{Kind: crm.KindProduct, ID: id}] = lifetest.ProductText(c.Name, c.Price, c.InStock)
	}
	for id, c := range f.Categories {
		out[crm.Ref{Kind: crm.KindCategory, ID: id}] = lifetest.CategoryText(c.Name, c.Parent)
	}
	return out
}
