package mirror_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func (b *bench) observe(at crm.Instant, facts ...crm.Fact) (observed crm.Instant, res mirror.Result) {
	b.tb.Helper()
	err := b.m.DB().Write(b.tb.Context(), "test.observe", func(tx *store.Tx) error {
		var err error
		if observed, err = b.m.ObserveNow(b.tb.Context(), tx, b.shop.ID, at); err != nil || len(facts) == 0 {
			return err
		}
		res, err = b.m.Apply(b.tb.Context(), tx, mirror.Batch{ShopID: b.shop.ID, ObservedAt: observed, Cause: crm.CauseChange, Facts: facts})
		return err
	})
	if err != nil {
		b.tb.Error(err)
	}
	return observed, res
}

// What is sent counts over every read that began before it, also one that ends later; what is read afterwards counts
// over it.
func TestWhatIsSentIsNewerThanEveryReadSoFar(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		customer := func(name string) crm.Fact {
			return crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "1"}, Body: &crm.Customer{Email: "ana@example.com", FirstName: name}}
		}
		b.read(customer("read"))
		began := b.at + 500
		sent, res := b.observe(b.at-10_000, customer("sent")) // our clock is behind
		if sent <= b.at || res.Applied != 1 {
			t.Fatalf("observed at %d after a read at %d: %+v", sent, b.at, res)
		}
		if again, _ := b.observe(began); again <= sent || again < began {
			t.Errorf("%d does not come after %d", again, sent)
		}
		late := b.apply(mirror.Batch{ObservedAt: b.at - 1, Facts: []crm.Fact{customer("read earlier")}})
		if late.Applied != 0 || len(late.Reread) != 1 {
			t.Errorf("a read that began before: %+v", late)
		}
		b.at += 60_000
		if res := b.read(customer("read since")); res.Applied != 1 {
			t.Errorf("a read that began after: %+v", res)
		}
	})
}

func TestSendersAndTheEngineTakeTurns(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		leases := store.NewLeases(db, "engine", time.Minute)
		name := store.ShopLease(b.shop.ID)
		if got, err := leases.Acquire(t.Context(), name); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		var mu sync.Mutex
		seen := map[crm.Instant]bool{}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					observed, _ := b.observe(b.at)
					mu.Lock()
					if seen[observed] {
						t.Errorf("%d twice", observed)
					}
					seen[observed] = true
					mu.Unlock()
				}
			})
			all.Go(func() {
				err := db.Write(t.Context(), "test.engine", func(tx *store.Tx) error { return leases.Fence(t.Context(), tx, name) })
				if err != nil {
					t.Errorf("the engine lost its shop to a sender: %v", err)
				}
			})
		}
		all.Wait()
		err := db.Write(t.Context(), "test.unknown", func(tx *store.Tx) error {
			_, err := b.m.ObserveNow(t.Context(), tx, 1, b.at)
			return err
		})
		if !errors.Is(err, mirror.ErrNotFound) {
			t.Errorf("an unknown shop: %v", err)
		}
	})
}

// The gate waits for no read of a shop that cannot be read.
func TestAShopThatSendsIsFresh(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		kinds := []crm.Kind{crm.KindOrder, crm.KindCart}
		for platform, want := range map[string]bool{mirror.PlatformPush: true, mirror.PlatformImport: true, "magento": false} {
			s, err := b.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "a-" + platform, Platform: platform})
			if err != nil {
				t.Fatal(err)
			}
			if fresh, err := b.m.ReadSince(t.Context(), db.Read(), s.ID, kinds, b.at); err != nil || fresh != want {
				t.Errorf("%s: %v, %v", platform, fresh, err)
			}
		}
	})
}
