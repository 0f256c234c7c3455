package store_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

func TestUpsertWritesEveryRowOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		rows := make([][]any, 0, 300)
		for i := range 300 {
			rows = append(rows, []any{int64(i), 1, "k", int64(i)})
		}
		for range 3 {
			if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
				return tx.Upsert(t.Context(), "segment_due", []string{"contact_id"}, []string{"contact_id", "lane", "due_at"}, trim(rows))
			}); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := db.Read().GetContext(t.Context(), &n, "SELECT COUNT(*) FROM segment_due"); err != nil || n != 300 {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

func trim(rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, r := range rows {
		out[i] = []any{r[0], r[1], r[3]}
	}
	return out
}

func TestALeaseHasOneOwnerAndAFencedTransactionKnowsWhenItIsLost(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		a := store.NewLeases(db, "a", time.Hour)
		b := store.NewLeases(db, "b", time.Hour)
		fence := func(l *store.Leases) error {
			return db.Write(t.Context(), "test", func(tx *store.Tx) error { return l.Fence(t.Context(), tx, "lane:1", "lane:2") })
		}
		got, err := a.Acquire(t.Context(), "lane:1", "lane:2")
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		if got, err := b.Acquire(t.Context(), "lane:1"); err != nil || len(got) != 0 {
			t.Fatal("b took a held lease", got, err)
		}
		if err := fence(a); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE leases SET until_ms=0 WHERE name='lane:2'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Acquire(t.Context(), "lane:2"); err != nil || len(got) != 1 {
			t.Fatal("b did not take an expired lease", got, err)
		}
		if err := fence(a); !errors.Is(err, store.ErrLost) {
			t.Fatalf("a still decides after losing a lane: %v", err)
		}
		if err := a.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
