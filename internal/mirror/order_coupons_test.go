package mirror_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func TestOrdersTellWhichCodesTheyUsed(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		with := func(id int, codes ...string) crm.Fact {
			f := order(id, "", "a@example.com", 1000)
			f.Body.(*crm.Order).Coupons = codes
			return f
		}
		used := func() []string {
			return texts(t, db, "SELECT order_id, code_key FROM order_coupons ORDER BY order_id, code_key")
		}
		b.read(with(1, "NOËL", " noël", "B"), with(2), with(3, "C"))
		if diff := cmp.Diff([]string{`code_key="b" order_id="1"`, `code_key="c" order_id="3"`, `code_key="noël" order_id="1"`}, used()); diff != "" {
			t.Error(diff)
		}
		b.read(with(1, "B"), with(2, "D"), gone(with(3)))
		if diff := cmp.Diff([]string{`code_key="b" order_id="1"`, `code_key="c" order_id="3"`, `code_key="d" order_id="2"`}, used()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOffersAreWhatTheCatalogueSaysNow(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		offer := func(id, parent string, price int64, change func(*crm.Product)) crm.Fact {
			p := &crm.Product{ParentID: parent, Name: id, Status: "publish", Price: price, Currency: "EUR", InStock: true}
			if change != nil {
				change(p)
			}
			return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: id}, Body: p}
		}
		b.read(
			offer("1", "0", 0, func(p *crm.Product) { p.URL, p.ImageURL, p.Brand = "u", "i", "Alba" }),
			offer("1a", "1", 300, nil), offer("1b", "1", 200, nil), offer("1c", "1", 100, func(p *crm.Product) { p.InStock = false }),
			offer("2", "", 500, func(p *crm.Product) { p.Status = "draft" }), offer("3", "", 500, nil), offer("4", "", 500, nil),
			crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: "3"}, Body: &crm.Stock{InStock: false}},
		)
		b.read(gone(offer("4", "", 0, nil)))
		var keys []mirror.RecordKey
		for _, id := range []string{"1", "1b", "2", "3", "4", "none"} {
			keys = append(keys, mirror.RecordKey{ShopID: b.shop.ID, ID: id})
		}
		got, err := b.m.Offers(t.Context(), db.Read(), keys)
		if err != nil || len(got) != 5 {
			t.Fatalf("%v %v", got, err)
		}
		sold := map[string]bool{}
		for k, o := range got {
			sold[k.ID] = o.Sold()
		}
		if diff := cmp.Diff(map[string]bool{"1": true, "1b": true, "2": false, "3": false, "4": false}, sold); diff != "" {
			t.Error(diff)
		}
		if o := got[keys[0]]; o.Price != 200 || o.Currency != "EUR" || o.Family() != "1" {
			t.Errorf("a product has its cheapest variation's price: %+v", o)
		}
		if o := got[keys[1]]; o.URL != "u" || o.ImageURL != "i" || o.Brand != "Alba" || o.Family() != "1" {
			t.Errorf("a variation has what its product has: %+v", o)
		}
	})
}
