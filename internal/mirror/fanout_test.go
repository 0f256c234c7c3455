package mirror_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// A best seller's change of category is one row in the page's transaction; its buyers are marked in steps of at most 500.
func TestABestSellersBuyersAreMarkedInSmallSteps(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(category("1", "", "femme"), category("2", "", "robes"), product("7", "2"))
		const buyers = 1203
		for from := 0; from < buyers; from += 401 {
			var facts []crm.Fact
			for i := from; i < from+401; i++ {
				facts = append(facts, order(i, "", fmt.Sprintf("p%d@example.com", i), 1))
			}
			b.read(facts...)
		}
		b.read(cart(1, "c@example.com"))
		b.dirty()
		b.read(product("7", "1"))
		if n := b.number("SELECT COUNT(*) FROM dirty"); n != 0 {
			t.Fatalf("%d contacts marked at once", n)
		}
		change := b.at
		b.at += 3000
		var before int64
		for steps := 0; ; steps++ {
			worked, err := b.m.FanOutStep(t.Context(), b.at)
			if err != nil {
				t.Fatal(err)
			}
			now := b.number("SELECT COUNT(*) FROM dirty")
			if now-before > 500 {
				t.Fatalf("%d contacts marked in one step", now-before)
			}
			if !worked {
				if steps != 3 {
					t.Errorf("%d steps", steps)
				}
				break
			}
			before = now
		}
		marks := b.dirty()
		if len(marks) != buyers+1 {
			t.Fatalf("%d contacts marked", len(marks))
		}
		for _, d := range marks {
			if d.SourceAt != change || d.MarkedAt != b.at || d.Cause != crm.CauseRedefined {
				t.Fatalf("%+v", d)
			}
		}
		if n := b.number("SELECT COUNT(*) FROM fanouts"); n != 0 {
			t.Errorf("%d redefinitions left", n)
		}
	})
}

// A product that moves again while its buyers are being marked begins anew: nobody is left with the first move only.
func TestAProductThatMovesAgainBeginsAnew(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		var facts []crm.Fact
		for i := range 700 {
			facts = append(facts, order(i, "", fmt.Sprintf("p%d@example.com", i), 1))
		}
		b.read(product("7", "2"))
		b.read(facts...)
		b.read(product("7", "1"))
		b.dirty()
		if worked, err := b.m.FanOutStep(t.Context(), b.at); err != nil || !worked {
			t.Fatal(worked, err)
		}
		if n := len(b.dirty()); n != 500 {
			t.Fatalf("%d marked in the first step", n)
		}
		b.read(product("7", "3"))
		b.fanOut()
		if n := len(b.dirty()); n != 700 {
			t.Fatalf("%d marked after the second move", n)
		}
	})
}

// While a catalogue is first read there is nobody to mark, and what nobody bought concerns nobody: no row is queued.
func TestWhatNobodyBoughtQueuesNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(category("1", "", "femme"), product("7", "1"), product("8", "1"))
		b.read(order(1, "", "a@example.com", 1))
		b.fanOut()
		b.read(product("8", "2"))
		if n := b.number("SELECT COUNT(*) FROM fanouts"); n != 0 {
			t.Errorf("%d rows queued", n)
		}
	})
}

// A shop's new zone is that of everybody who is at home in it, and of nobody else.
func TestAZoneThatChangesConcernsThoseAtHome(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		other := b.ensure("second", "")
		b.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{order(1, "", "other@example.com", 1)}})
		b.read(order(2, "", "a@example.com", 1), order(3, "", "b@example.com", 1))
		b.dirty()
		b.ensure("boutique", "Asia/Tokyo")
		if err := b.m.SetProbed(t.Context(), b.shop.ID, connectors.ProbeResult{Currency: "EUR", Zone: "Asia/Tokyo"}, 0); err != nil {
			t.Fatal(err)
		}
		b.fanOut()
		if marks := b.dirty(); len(marks) != 2 || marks[b.profile("other@example.com").Contact.ID].ContactID != 0 {
			t.Errorf("%d marks", len(marks))
		}
	})
}

// A product that moves while a step is marking its buyers is not taken for done with.
func TestAMoveMadeDuringAStepIsNotLost(t *testing.T) { // SQLite has one writer
	db := servers.Open(t, store.MySQL, store.Options{})
	b := newBench(t, db)
	b.read(product("7", "2"), order(1, "", "a@example.com", 1), order(2, "", "b@example.com", 1))
	b.read(product("7", "1"))
	b.dirty()
	b.at += 1000
	whileOpen(t, db, func(tx *store.Tx) error {
		_, err := b.m.Apply(t.Context(), tx, mirror.Batch{ShopID: b.shop.ID, ObservedAt: b.at, Cause: crm.CauseChange, Facts: []crm.Fact{product("7", "3")}})
		return err
	}, func() error {
		_, err := b.m.FanOutStep(t.Context(), b.at)
		return err
	})
	b.dirty()
	if b.fanOut() == 0 || len(b.dirty()) != 2 {
		t.Error("the buyers are marked for the first move only")
	}
}

// Whoever dies before or after the commit of a step leaves the rest to the next one: nobody is left out.
func TestAStepThatDiesIsTakenUpByTheNext(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, when := range []string{"before", "after"} {
			t.Run(string(engine)+" "+when, func(t *testing.T) {
				died, crash := 0, errors.New("crash")
				db := servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
					if name != "mirror.fanout" || at != when || died > 3 {
						return nil
					}
					died++
					return crash
				}})
				b := newBench(t, db)
				var facts []crm.Fact
				for i := range 1100 {
					facts = append(facts, order(i, "", fmt.Sprintf("p%d@example.com", i), 1))
				}
				b.read(category("1", "", "femme"), category("2", "1", "robes"), product("7", "2"))
				b.read(facts...)
				b.read(category("1", "", "dames"))
				b.dirty()
				for worked := true; worked; {
					var err error
					if worked, err = b.m.FanOutStep(t.Context(), b.at); err != nil && !errors.Is(err, crash) {
						t.Fatal(err)
					}
				}
				if n := len(b.dirty()); n != 1100 || died != 4 {
					t.Errorf("%d marked after %d deaths", n, died)
				}
			})
		}
	}
}
