package engine_test

import (
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// What a change of the catalogue means for buyers is carried out when the engine has nothing better to do; until then the
// shop is not caught up.
func TestAChangeOfTheCatalogueReachesItsBuyersWhenThereIsNothingElseToDo(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, &odd{streams: []connectors.Stream{orderStream}})
		r.settle()
		put := func(facts ...crm.Fact) {
			if err := db.Write(t.Context(), "test.apply", func(tx *store.Tx) error {
				_, err := r.m.Apply(t.Context(), tx, mirror.Batch{ShopID: r.shop.ID, ObservedAt: crm.At(r.now), Cause: crm.CauseChange, Facts: facts})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		product := crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: "7"}, Body: &crm.Product{Categories: []string{"2"}}}
		put(product, crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Body: &crm.Order{Email: "a@example.com", Lines: []crm.Line{{ProductID: "7"}}}})
		r.clearDirty()
		product.Body = &crm.Product{Categories: []string{"3"}}
		put(product)
		if done, err := r.e.CaughtUp(t.Context()); err != nil || done {
			t.Errorf("caught up before the buyers know: %v", err)
		}
		r.idle()
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause='redefined'"); n != 1 {
			t.Errorf("%d contacts marked", n)
		}
		if done, err := r.e.CaughtUp(t.Context()); err != nil || !done {
			t.Errorf("not caught up: %v", err)
		}
	})
}
