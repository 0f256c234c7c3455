package mailer_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// An unsubscribe is written back to every shop that has an account of the person, once; the shop's record then saying no
// changes nothing more and triggers nothing.
func TestAnUnsubscribeIsWrittenBackAndItsEchoChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		second := w.addShop("atelier", "opt_in")
		account := func(shop int64, id, ticked string) {
			w.write(func(tx *store.Tx) error {
				at := crm.At(w.now)
				_, err := w.m.Apply(t.Context(), tx, mirror.Batch{ShopID: shop, ObservedAt: at, Cause: crm.CauseChange, Facts: []crm.Fact{
					{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.Customer{Email: "zoe@example.com", RegisteredAt: at}},
					{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.OptIn{Value: ticked, NoMeans: "withdrawn"}},
				}})
				return err
			})
			w.now = w.now.Add(time.Minute)
		}
		account(w.shop, "7", "yes")
		account(second, "11", "yes")
		var zoe int64
		if err := w.db.Read().GetContext(t.Context(), &zoe, "SELECT id FROM contacts WHERE email_norm='zoe@example.com'"); err != nil {
			t.Fatal(err)
		}
		token := must(w.options.Keys.Token(mailer.Subject{ContactID: zoe, AudienceID: w.audience, Topic: mailer.TopicMarketing}))(t)
		unsubscribe := func() {
			must(mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(w.now)))(t)
		}
		unsubscribe()
		unsubscribe()
		var got []connectors.Task
		for _, shop := range []int64{w.shop, second} {
			due := must(w.m.DueTasks(t.Context(), shop, crm.At(w.now), 10))(t)
			for _, row := range due {
				got = append(got, row.Task())
				w.write(func(tx *store.Tx) error {
					return w.m.DoneTask(t.Context(), tx, row, connectors.Outcome{Done: "done"}, crm.At(w.now))
				})
			}
		}
		if diff := cmp.Diff([]connectors.Task{{Kind: connectors.TaskUnsubscribe, Key: "7"}, {Kind: connectors.TaskUnsubscribe, Key: "11"}}, got); diff != "" {
			t.Fatal(diff)
		}
		w.exec("DELETE FROM dirty")
		ledger := w.count("SELECT COUNT(*) FROM consents")
		account(w.shop, "7", "no") // the echo
		account(second, "11", "no")
		unsubscribe()
		if n := w.count("SELECT COUNT(*) FROM dirty WHERE cause='consent'"); n != 0 {
			t.Errorf("the echo marks %d contacts", n)
		}
		if n := w.count("SELECT COUNT(*) FROM consents"); n != ledger {
			t.Errorf("the ledger grew from %d to %d", ledger, n)
		}
		if n := w.count("SELECT COUNT(*) FROM shop_tasks WHERE state<>'done'"); n != 0 {
			t.Errorf("%d acts are queued again", n)
		}
	})
}
