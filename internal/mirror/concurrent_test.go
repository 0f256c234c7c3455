package mirror_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// Two shops of one audience are synchronised at once by different processes, and people are customers of both: one
// contact each, that knows of both shops, and a withdrawal made meanwhile stands.
func TestShopsOfAnAudienceAreAppliedAtOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		shops := []mirror.Shop{b.shop, b.ensure("second", "")}
		b.read(customer(1, "p0@example.com"))
		var wg sync.WaitGroup
		errs := make(chan error, 3)
		for n, shop := range shops {
			wg.Go(func() { errs <- applyPages(t, b.m, shop, n) })
		}
		wg.Go(func() {
			who := b.profile("p0@example.com").Contact.ID
			errs <- db.Write(t.Context(), "test.withdraw", func(tx *store.Tx) error {
				_, err := b.m.SetConsent(t.Context(), tx, mirror.ConsentChange{
					ContactID: who, Topic: "marketing", Channel: "email", State: crm.ConsentWithdrawn, SourceAt: 1, SeenAt: 1, ByPerson: true,
				})
				return err
			})
		})
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 20 {
			t.Errorf("%d contacts", n)
		}
		for i := range 20 {
			p := b.profile(fmt.Sprintf("p%d@example.com", i))
			if len(p.Orders) != 10 || p.Contact.HomeShopID != p.Orders[9].ShopID || p.Contact.City != "Lyon" {
				t.Errorf("p%d: %d orders, home %d", i, len(p.Orders), p.Contact.HomeShopID)
			}
		}
		if n := b.number("SELECT SUM(sales) FROM contact_stats"); n != 200 {
			t.Errorf("%d sales counted", n)
		}
		if got := b.consent("p0@example.com"); got != crm.ConsentWithdrawn {
			t.Errorf("the withdrawal became %s", got)
		}
	})
}

func applyPages(t *testing.T, m *mirror.Mirror, shop mirror.Shop, n int) error {
	for page := range 5 {
		var facts []crm.Fact
		for i := range 20 {
			who := fmt.Sprintf("p%d@example.com", (i*(n+1)*7)%20) // another order of people in each shop
			if n == 1 {
				who = fmt.Sprintf("p%d@example.com", 19-i)
			}
			facts = append(facts, order(page*20+i+1000*n, "", who, 100), optIn(crm.KindOrder, page*20+i, "yes", "", who))
		}
		if err := m.DB().Write(t.Context(), "test.apply", func(tx *store.Tx) error {
			_, err := m.Apply(t.Context(), tx, mirror.Batch{ShopID: shop.ID, ObservedAt: crm.Instant(2e12) + crm.Instant(page), Cause: crm.CauseChange, Facts: facts})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// whileOpen runs first in a transaction, starts second, and commits first's when second waits for it.
func whileOpen(t *testing.T, db *store.DB, first func(tx *store.Tx) error, second func() error) {
	t.Helper()
	done := make(chan error, 1)
	if err := db.Write(t.Context(), "test.first", func(tx *store.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		go func() { done <- second() }()
		for waiting := 0; waiting == 0; {
			<-time.After(150 * time.Millisecond) // the server gives no signal, and refreshes the answer only when not asked for 100 ms
			if err := db.Read().GetContext(t.Context(), &waiting, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state='LOCK WAIT'"); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWhoeverIsSecondSeesWhatTheFirstWrote(t *testing.T) { // SQLite has one writer
	db := servers.Open(t, store.MySQL, store.Options{})
	b := newBench(t, db)
	other := b.ensure("second", "")
	b.read(customer(1, "ana@example.com"))
	apply := func(tx *store.Tx, shop mirror.Shop, facts ...crm.Fact) error {
		_, err := b.m.Apply(t.Context(), tx, mirror.Batch{ShopID: shop.ID, ObservedAt: b.at + 1000, Cause: crm.CauseChange, Facts: facts})
		return err
	}
	whileOpen(t, db, func(tx *store.Tx) error { return apply(tx, b.shop, order(9, "", "ana@example.com", 1)) }, func() error {
		return db.Write(t.Context(), "test.second", func(tx *store.Tx) error { return apply(tx, other, order(1, "", "ana@example.com", 1)) })
	})
	who := b.profile("ana@example.com").Contact
	if who.HomeShopID != b.shop.ID {
		t.Error("the newest order was overlooked")
	}
	whileOpen(t, db, func(tx *store.Tx) error {
		_, err := b.m.SetConsent(t.Context(), tx, mirror.ConsentChange{
			ContactID: who.ID, Topic: "marketing", Channel: "email", State: crm.ConsentWithdrawn, SourceAt: b.at, SeenAt: b.at, ByPerson: true,
		})
		return err
	}, func() error {
		return db.Write(t.Context(), "test.second", func(tx *store.Tx) error {
			return apply(tx, b.shop, optIn(crm.KindCustomer, 1, "yes", "", ""))
		})
	})
	if got := b.consent("ana@example.com"); got != crm.ConsentWithdrawn {
		t.Errorf("B15: the withdrawal became %s", got)
	}
}
