package mirror_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

func foreign(id int, total, base int64) crm.Fact {
	f := order(id, "", "a@example.com", total)
	o := f.Body.(*crm.Order)
	o.Currency, o.BaseCurrency, o.BaseTotal = "USD", "EUR", base
	return f
}

func ofPurchase(f crm.Fact, purchase string) crm.Fact {
	f.Body.(*crm.Order).Purchase = purchase
	return f
}

// The statistics of one contact: orders, sales, revenue, refunded, left_out, currency.
func (b *bench) stats() string {
	b.tb.Helper()
	got := texts(b.tb, b.m.DB(), "SELECT currency, orders, sales, revenue, refunded, left_out FROM contact_stats")
	if len(got) != 1 {
		b.tb.Fatalf("%d rows of statistics", len(got))
	}
	return got[0]
}

func TestB30CurrenciesAreNeverAddedTogether(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		for name, c := range map[string]struct {
			facts []crm.Fact
			want  string
		}{
			"an order counts with its own rate":      {[]crm.Fact{order(1, "", "a@example.com", 1000), foreign(2, 2000, 1850)}, `currency="EUR" left_out="0" orders="2" refunded="0" revenue="2850" sales="2"`},
			"its refund too, half-even":              {[]crm.Fact{foreign(2, 2000, 1850), refund(3, 2, 100)}, `currency="EUR" left_out="0" orders="1" refunded="92" revenue="1758" sales="1"`},
			"a full refund leaves nothing":           {[]crm.Fact{foreign(2, 2999, 2777), refund(3, 2, 1000), refund(4, 2, 1999)}, `currency="EUR" left_out="0" orders="1" refunded="2777" revenue="0" sales="1"`},
			"without a rate it is left out, counted": {[]crm.Fact{order(1, "", "a@example.com", 1000), foreign(2, 2000, 0)}, `currency="EUR" left_out="1" orders="2" refunded="0" revenue="1000" sales="2"`},
			"so is a base that is not the shop's": {[]crm.Fact{order(1, "", "a@example.com", 1000), func() crm.Fact {
				f := foreign(2, 2000, 1500)
				f.Body.(*crm.Order).BaseCurrency = "GBP"
				return f
			}()}, `currency="EUR" left_out="1" orders="2" refunded="0" revenue="1000" sales="2"`},
			"a free order needs no rate": {[]crm.Fact{foreign(2, 0, 0)}, `currency="EUR" left_out="0" orders="1" refunded="0" revenue="0" sales="1"`},
		} {
			b := newWorld(t, newBench(t, db).m, name).b
			b.at = at("2026-11-01 00:00")
			b.read(c.facts...)
			got := texts(t, db, "SELECT currency, orders, sales, revenue, refunded, left_out FROM contact_stats WHERE shop_id="+itoa(b.shop.ID))
			if diff := cmp.Diff([]string{c.want}, got); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	})
}

// An edited order of Magento is a new order in the place of a cancelled one; a PrestaShop cart of two warehouses is two
// orders with one reference.
func TestOrdersOfOnePurchaseAreOneSale(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(ofPurchase(order(1, "", "a@example.com", 1000), "REF1"), ofPurchase(order(2, "", "a@example.com", 500), "REF1"), order(3, "", "a@example.com", 10))
		if got, want := b.stats(), `currency="EUR" left_out="0" orders="3" refunded="0" revenue="1510" sales="2"`; got != want {
			t.Errorf("a split cart: %s", got)
		}
		replaced := ofPurchase(order(4, "", "a@example.com", 99), "")
		replaced.Body.(*crm.Order).State, replaced.Body.(*crm.Order).CountsAsSale = crm.StateReplaced, false
		b.read(replaced, ofPurchase(order(5, "", "a@example.com", 90), "4"), ofPurchase(order(6, "", "a@example.com", 1), "3"))
		if got, want := b.stats(), `currency="EUR" left_out="0" orders="5" refunded="0" revenue="1601" sales="3"`; got != want {
			t.Errorf("an edited order: %s", got)
		}
		var purchases []string
		for _, o := range b.profile("a@example.com").Orders {
			purchases = append(purchases, o.Purchase)
		}
		if diff := cmp.Diff([]string{"REF1", "REF1", "3", "4", "4", "3"}, purchases); diff != "" {
			t.Error(diff)
		}
		b.read(gone(order(5, "", "", 0)))
		if got, want := b.stats(), `currency="EUR" left_out="0" orders="4" refunded="0" revenue="1511" sales="2"`; got != want {
			t.Errorf("after the new order was deleted: %s", got)
		}
	})
}
