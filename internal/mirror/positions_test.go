package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func (b *bench) write(fn func(tx *store.Tx) error) {
	b.tb.Helper()
	if err := b.m.DB().Write(b.tb.Context(), "test.write", fn); err != nil {
		b.tb.Fatal(err)
	}
}

func TestAReadThatWasAskedForIsWaitedFor(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		ctx, kinds := t.Context(), []crm.Kind{crm.KindOrder, crm.KindCart}
		since := func(at crm.Instant) bool {
			ok, err := b.m.ReadSince(ctx, db.Read(), b.shop.ID, kinds, at)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if since(0) {
			t.Error("a shop without streams is fresh")
		}
		streams := []mirror.Stream{
			{ShopID: b.shop.ID, Stream: "orders", Kind: crm.KindOrder, Mode: connectors.ModeDelta, Cursor: []byte("c1"), ReadAt: 100, SourceCount: 30},
			{ShopID: b.shop.ID, Stream: "order_ids", Kind: crm.KindOrder, Mode: connectors.ModeIDs, SourceCount: 33},
			{ShopID: b.shop.ID, Stream: "trash", Kind: crm.KindOrder, Mode: connectors.ModeDelta, ReadAt: 200, SourceCount: 3},
			{ShopID: b.shop.ID, Stream: "products", Kind: crm.KindProduct, Mode: connectors.ModeDelta, ReadAt: 50},
		}
		save := func(ss ...mirror.Stream) {
			b.write(func(tx *store.Tx) error {
				for _, s := range ss {
					if err := b.m.SaveStream(ctx, tx, s); err != nil {
						return err
					}
				}
				return nil
			})
		}
		save(streams...)
		if !since(100) || since(101) {
			t.Error("the oldest delta stream of the kinds decides")
		}
		ask := func(at crm.Instant) {
			b.write(func(tx *store.Tx) error { return b.m.RequestRead(ctx, tx, b.shop.ID, kinds, at) })
		}
		ask(500)
		ask(400)
		streams[0].ReadAt, streams[2].ReadAt = 510, 510
		save(streams[0], streams[2]) // read before the wish was seen: the wish stays
		got, err := b.m.Streams(ctx, b.shop.ID)
		if err != nil {
			t.Fatal(err)
		}
		wanted := map[string]crm.Instant{}
		for _, s := range got {
			wanted[s.Stream] = s.WantedAt
		}
		if diff := cmp.Diff(map[string]crm.Instant{"orders": 500, "trash": 500, "order_ids": 0, "products": 0}, wanted); diff != "" || !since(500) {
			t.Error(diff)
		}
		if c := count(t, b, crm.KindOrder); c.Source != 33 {
			t.Errorf("the shop has %d orders", c.Source)
		}
		streams[1].CountedAt, streams[1].SourceCount = 900, 35
		save(streams[1])
		if c := count(t, b, crm.KindOrder); c.Source != 35 {
			t.Errorf("the shop has %d orders by its list of ids", c.Source)
		}
		streams[0].CountedAt, streams[0].SourceCount = 950, 31
		save(streams[0])
		if c := count(t, b, crm.KindOrder); c.Source != 35 {
			t.Errorf("%d orders: a sum is as old as its oldest part", c.Source)
		}
		streams[2].CountedAt, streams[2].SourceCount = 950, 3
		save(streams[2])
		if c := count(t, b, crm.KindOrder); c.Source != 34 {
			t.Errorf("the shop has %d orders by its newest count", c.Source)
		}
	})
}

func TestHintsAreCoalescedAndOneAskedForAgainIsNotLost(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		ctx, ref := t.Context(), crm.Ref{Kind: crm.KindOrder, ID: "1"}
		add := func(at crm.Instant) {
			b.write(func(tx *store.Tx) error {
				return b.m.AddHints(ctx, tx, b.shop.ID, []crm.Ref{ref, ref, {Kind: crm.KindOrder, ID: strings.Repeat("x", 200)}}, at)
			})
		}
		due := func(now crm.Instant) []mirror.Hint {
			hints, err := b.m.DueHints(ctx, b.shop.ID, now, 10)
			if err != nil {
				t.Fatal(err)
			}
			return hints
		}
		add(100)
		if len(due(99)) != 0 || len(due(100)) != 1 {
			t.Fatal("due at its instant")
		}
		taken := due(100)[0]
		add(200)
		b.write(func(tx *store.Tx) error { return b.m.DoneHint(ctx, tx, taken) })
		if len(due(200)) != 1 {
			t.Fatal("a wish made while the first was carried out is lost")
		}
		taken = due(200)[0]
		b.write(func(tx *store.Tx) error { return b.m.FailHint(ctx, tx, taken, 900, errors.New("shop is down")) })
		if len(due(899)) != 0 || due(900)[0].Attempts != 1 {
			t.Fatal("postponed")
		}
		add(300)
		if len(due(300)) != 1 {
			t.Fatal("a new wish does not wait for the old one's back-off")
		}
		b.write(func(tx *store.Tx) error { return b.m.DoneHint(ctx, tx, due(900)[0]) })
		if len(due(9000)) != 0 {
			t.Fatal("still there")
		}
	})
}

func TestAShopKeepsWhatWasProbedWhereTheConfigurationIsSilent(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		ctx := t.Context()
		spec := mirror.ShopSpec{Name: "a", Audience: "clients", Platform: "woocommerce", Basis: "soft_opt_in"}
		s, err := m.EnsureShop(ctx, spec)
		if err != nil || s.Basis != "soft_opt_in" || s.Audience != "clients" {
			t.Fatalf("%+v %v", s, err)
		}
		if err := m.SetProbed(ctx, s.ID, connectors.ProbeResult{Zone: "Asia/Tokyo", Currency: "JPY"}, 5000); err != nil {
			t.Fatal(err)
		}
		b := &bench{tb: t, m: m, shop: s, at: 1000000}
		b.read(order(1, "", "a@example.com", 1))
		for _, c := range []struct {
			zone, want string
			marks      int
		}{{"", "Asia/Tokyo", 0}, {"Europe/Paris", "Europe/Paris", 1}, {"", "Asia/Tokyo", 1}} {
			b.dirty()
			spec.Zone = c.zone
			again, err := m.EnsureShop(ctx, spec)
			if err != nil || again.ID != s.ID || again.Zone != c.want || again.Currency != "JPY" || again.SkewMS != 5000 {
				t.Fatalf("%+v %v", again, err)
			}
			if z := b.profile("a@example.com").Contact.Zone; z != c.want {
				t.Errorf("the contact lives in %s", z)
			}
			b.fanOut()
			if marks := b.dirty(); len(marks) != c.marks {
				t.Errorf("%q: %d contacts marked", c.zone, len(marks))
			}
		}
		spec.Audience = "others"
		if _, err := m.EnsureShop(ctx, spec); fault.ClassOf(err) != fault.Operator {
			t.Errorf("a shop changed hands: %v", err)
		}
	})
}

func TestAFaultOfAShopIsOneSentenceUntilItIsMended(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		cause := &fault.Error{Class: fault.Operator, Op: "woocommerce: list orders", Err: errors.New("401"), Hint: "Make a new key"}
		for _, at := range []crm.Instant{100, 200} {
			if err := b.m.SetShopFault(t.Context(), b.shop.ID, cause, at); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.m.ShopByName(t.Context(), "boutique")
		if err != nil || s.Fault != cause.Error() || s.FaultClass != "operator" || s.FaultAt != 100 {
			t.Fatalf("%+v %v", s, err)
		}
		if err := b.m.SetShopFault(t.Context(), b.shop.ID, nil, 300); err != nil {
			t.Fatal(err)
		}
		all, err := b.m.Shops(t.Context())
		if err != nil || len(all) != 1 || all[0].Fault != "" || all[0].FaultAt != 0 {
			t.Fatalf("%+v %v", all, err)
		}
		b.write(func(tx *store.Tx) error {
			return errors.Join(b.m.SetBackfilled(t.Context(), tx, b.shop.ID, 7), b.m.SetBackfilled(t.Context(), tx, b.shop.ID, 8))
		})
		if s, _ := b.m.ShopByName(t.Context(), "boutique"); s.BackfilledAt != 7 {
			t.Fatal("the end of a backfill moved")
		}
	})
}

func TestIDsComeInTheOrderOfTheirText(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(10, "", "", 1), order(9, "", "", 1), order(100, "", "", 1), order(8, "", "", 1))
		b.read(gone(order(8, "", "", 0)))
		var got []string
		for after := ""; ; {
			page, err := b.m.LiveIDs(t.Context(), b.shop.ID, crm.KindOrder, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[len(page)-1]
		}
		if diff := cmp.Diff([]string{"10", "100", "9"}, got); diff != "" {
			t.Error(diff)
		}
	})
}
