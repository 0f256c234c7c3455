package mirror_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// statistics inserts n contacts of an audience; the i-th has what of gives, per shop.
func (b *bench) statistics(audience int64, n int, of func(i int) [][]any) {
	b.tb.Helper()
	if err := b.m.DB().Write(b.tb.Context(), "test", func(tx *store.Tx) error {
		var contacts, stats [][]any
		for i := range n {
			id := tx.NewID()
			contacts = append(contacts, []any{id, audience, fmt.Sprintf("s%d-%d@example.com", audience, i), 1})
			for _, row := range of(i) {
				stats = append(stats, append([]any{id}, row...))
			}
		}
		if err := tx.Insert(b.tb.Context(), "contacts", []string{"id", "audience_id", "email_norm", "live"}, contacts); err != nil {
			return err
		}
		return tx.Insert(b.tb.Context(), "contact_stats", []string{"contact_id", "shop_id", "currency", "sales", "revenue", "last_placed_at"}, stats)
	}); err != nil {
		b.tb.Fatal(err)
	}
}

func (b *bench) computed(audience int64) *crm.Thresholds {
	b.tb.Helper()
	got, err := mirror.ComputeThresholds(b.tb.Context(), b.m.DB().Read(), audience, b.at)
	if err != nil {
		b.tb.Fatal(err)
	}
	return got
}

func TestThresholdsAreThePercentilesOfBuyers(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		if got := b.computed(1); got.Contacts != 0 || got.Orders != nil || got.Recency != nil || got.Revenue != nil {
			t.Errorf("of nobody: %+v", got)
		}
		b.statistics(1, 200, func(i int) [][]any {
			switch {
			case i >= 100:
				return [][]any{{1, "EUR", 0, 0, 0}} // never bought
			case i == 0:
				return [][]any{{1, "EUR", 1, 100, 1000}, {2, "USD", 0, 0, 0}}
			case i < 3: // bought in two shops, in two currencies
				return [][]any{{1, "EUR", 1, int64(100 * (i + 1)), 500}, {2, "USD", int64(i), 999999, int64(1000 * (i + 1))}}
			}
			return [][]any{{1, "EUR", int64(i + 1), int64(100 * (i + 1)), int64(1000 * (i + 1))}}
		})
		b.statistics(2, 10, func(int) [][]any { return [][]any{{1, "EUR", 50, 1, 77}} })
		got := b.computed(1)
		if got.Contacts != 100 || got.Currency != "EUR" || got.PublishedAt != b.at {
			t.Errorf("%+v", got)
		}
		for p := 1; p <= 99; p++ { // of 100 values 1…100 the one at rank p+1
			want := int64(p + 1)
			if got.Orders[p-1] != want || got.Revenue[p-1] != 100*want || got.Recency[p-1] != 1000*want {
				t.Fatalf("at %d %%: %d orders, %d revenue, %d recency", p, got.Orders[p-1], got.Revenue[p-1], got.Recency[p-1])
			}
		}
		small := b.computed(2)
		if len(small.Orders) != 99 || small.Orders[0] != 50 || small.Orders[98] != 50 {
			t.Errorf("equals: %v", small.Orders)
		}
	})
}

// Rows come in pages; a contact whose rows lie on both sides of an edge is one contact.
func TestThresholdsAreTheSameOverPages(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.statistics(1, 5000, func(i int) [][]any {
			return [][]any{{1, "EUR", 1, int64(i), 1}, {2, "EUR", 1, int64(i), 2}, {3, "EUR", 1, 0, 3}}
		})
		got := b.computed(1)
		if got.Contacts != 5000 || got.Orders[0] != 3 || got.Orders[98] != 3 || got.Revenue[49] != 5000 || got.Recency[0] != 3 {
			t.Errorf("%d contacts, orders %v, revenue at 50 %%: %d", got.Contacts, got.Orders[:3], got.Revenue[49])
		}
	})
}

func TestManyDifferentValuesAreKeptToOneIn4096(t *testing.T) {
	b := newBench(t, servers.Open(t, store.SQLite, store.Options{}))
	r := rand.New(rand.NewPCG(1, 2))
	const n = 150_000
	order := r.Perm(n)
	b.statistics(1, n, func(i int) [][]any {
		return [][]any{{1, "EUR", 1, int64(1_000_000 + 7*order[i]), b.at - crm.Instant(1_000_000+7*order[i])}}
	})
	got := b.computed(1)
	for p := 1; p <= 99; p++ {
		exact := int64(1_000_000 + 7*(n*p/100))
		if d := exact - got.Revenue[p-1]; d < 0 || d > exact/4096+7 {
			t.Fatalf("revenue at %d %%: %d, exactly %d", p, got.Revenue[p-1], exact)
		}
		age := int64(b.at) - got.Recency[p-1]
		oldest := int64(1_000_000 + 7*(n-1-n*p/100))
		if d := oldest - age; d < -7 || d > oldest/4096+7 {
			t.Fatalf("age at %d %%: %d, exactly %d", p, age, oldest)
		}
	}
}

func TestPublishedThresholdsAreReadOldestFirst(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "a@example.com", 1))
		var want []*crm.Thresholds
		for i := range 6 {
			next := &crm.Thresholds{PublishedAt: at("2026-10-01 00:00") + crm.Instant(i)*day, Contacts: int64(i), Currency: "EUR", Recency: []int64{1}, Orders: []int64{2}, Revenue: []int64{-3}}
			if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
				return mirror.PublishThresholds(t.Context(), tx, b.shop.AudienceID, next)
			}); err != nil {
				t.Fatal(err)
			}
			want = append(want, next)
		}
		if want[5].Version != 6 {
			t.Errorf("version %d", want[5].Version)
		}
		got, err := mirror.Thresholds(t.Context(), db.Read(), b.shop.AudienceID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[2:], got); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want[2:], b.needing("a@example.com", crm.Needs{Ranks: true}).Thresholds); d != "" {
			t.Error(d)
		}
		if other, err := mirror.Thresholds(t.Context(), db.Read(), b.shop.AudienceID+1); err != nil || other != nil {
			t.Error(other, err)
		}
	})
}
