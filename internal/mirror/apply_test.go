package mirror_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func TestARefundMayComeBeforeItsOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(refund(3, 1, 250))
		b.read(order(1, "", "a@example.com", 1000))
		if o := b.profile("a@example.com").Orders[0]; o.Refunded != 250 || o.Revenue() != 750 || o.Lines[0].Refunded != 1 {
			t.Fatalf("%+v", o)
		}
		b.dirty()
		b.read(refund(4, 1, 100))
		if o := b.profile("a@example.com").Orders[0]; o.Refunded != 350 || o.Lines[0].Refunded != 2 {
			t.Fatalf("%+v", o)
		}
		if n := b.number("SELECT revenue FROM contact_stats"); n != 650 {
			t.Fatalf("revenue %d", n)
		}
		for _, d := range b.dirty() {
			if d.SourceAt != at("2026-10-20 10:00") || d.Cause != crm.CauseChange {
				t.Fatalf("%+v", d)
			}
		}
		b.read(gone(refund(3, 1, 0)))
		moved := refund(4, 2, 100)
		b.read(moved)
		if o := b.profile("a@example.com").Orders[0]; o.Refunded != 0 || o.Lines[0].Refunded != 0 {
			t.Fatalf("after one refund was deleted and one moved to another order: %+v", o)
		}
	})
}

func TestB20TheSameOrderTwiceInABatchCountsOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		res := b.read(order(1, "", "a@example.com", 900), order(1, "", "a@example.com", 1000))
		if p := b.profile("a@example.com"); res.Applied != 1 || len(p.Orders) != 1 || p.Orders[0].Total != 1000 {
			t.Fatalf("%+v %+v", res, p.Orders)
		}
	})
}

// A second identical run writes no row and marks nobody dirty: triggers refuse every write but to the three tables
// that hold positions.
func TestASecondRunWritesNoRow(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		batch := mirror.Batch{
			Facts: []crm.Fact{
				customer(5, "ana@example.com"),
				{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "5"}, Body: &crm.Address{Country: "FR"}},
				optIn(crm.KindCustomer, 5, "yes", "", ""), optIn(crm.KindCustomer, 6, "", "", ""), order(1, "5", "", 1000), order(2, "", "b@example.com", 1000), refund(3, 1, 250),
				cart(7, "c@example.com"), gone(cart(1, "")), gone(order(77, "", "", 0)), optIn(crm.KindOrder, 2, "yes", "", "b@example.com"),
				{Ref: crm.Ref{Kind: crm.KindProduct, ID: "7"}, Body: &crm.Product{Name: "Robe", Categories: []string{"2"}}},
				{Ref: crm.Ref{Kind: crm.KindCategory, ID: "2"}, Body: &crm.Category{Name: "Robes", Slug: "robes"}},
				stock("7", true, 3), event(1, "5", ""), event(2, "", "e@example.com"), statement(1, "5", "", crm.ConsentGranted), statement(2, "", "s@example.com", crm.ConsentWithdrawn),
				fromCart(order(3, "5", "", 1), "9"), byContent(cart(9, "ana@example.com"), at("2026-10-30 11:00")), foreign(4, 100, 90),
			},
			Raw:      []connectors.RawRecord{{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Body: []byte(`{"id":1}`)}},
			Rejected: []connectors.Rejected{{Ref: crm.Ref{Kind: crm.KindOrder, ID: "66"}, Reason: "total is no number", Raw: []byte(`{"id":66}`)}, {Reason: "no id", Raw: []byte("{}")}},
		}
		b.at += 1000
		first := b.apply(batch)
		b.read(gone(cart(7, "")))
		b.dirty()
		refuseWrites(t, db)
		b.at += 1000
		batch.Facts[7] = gone(cart(7, ""))
		second := b.apply(batch)
		if first.Dirty != 6 || second.Applied != 0 || second.Dirty != 0 || second.Unchanged != len(batch.Facts) || len(second.Reread) != 0 {
			t.Fatalf("first %+v, second %+v", first, second)
		}
		b.ensure("boutique", "Europe/Paris")
		if _, err := b.try(mirror.Batch{Facts: []crm.Fact{order(1, "5", "", 1001)}}); err == nil {
			t.Fatal("the triggers refuse nothing")
		}
	})
}

func refuseWrites(t *testing.T, db *store.DB) {
	t.Helper()
	text := "SELECT name FROM sqlite_master WHERE type='table'"
	if db.Dialect() == store.MySQL {
		text = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE() AND table_type='BASE TABLE'"
	}
	var tables []string
	if err := db.Read().SelectContext(t.Context(), &tables, text); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), "test.triggers", func(tx *store.Tx) error {
		for _, table := range tables {
			if table == "leases" || table == "streams" || table == "observations" || strings.HasPrefix(table, "goose") || strings.HasPrefix(table, "sqlite") {
				continue
			}
			for _, act := range []string{"INSERT", "UPDATE", "DELETE"} {
				body := "BEGIN SELECT RAISE(ABORT, 'a second run wrote'); END"
				if tx.Dialect() == store.MySQL {
					body = "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='a second run wrote'"
				}
				if _, err := tx.ExecContext(t.Context(), fmt.Sprintf("CREATE TRIGGER no_%s_%s BEFORE %s ON %s %s", act, table, act, table, body)); err != nil {
					return fmt.Errorf("%s: %w", table, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnOlderReadThatDiffersIsReadAgainNotApplied(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "a@example.com", 1000))
		old := mirror.Batch{
			ObservedAt: b.at - 1, Facts: []crm.Fact{order(1, "", "a@example.com", 900), order(2, "", "a@example.com", 900), gone(order(3, "", "", 0))},
			Raw: []connectors.RawRecord{{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Body: []byte("old")}},
		}
		res := b.apply(old)
		if len(res.Reread) != 2 || res.Applied != 0 || res.Dirty != 0 {
			t.Fatalf("%+v", res)
		}
		if n := b.number("SELECT COUNT(*) FROM source_records"); n != 0 {
			t.Fatal("an older body was kept")
		}
		if res := b.apply(mirror.Batch{ObservedAt: b.at - 1, Facts: []crm.Fact{order(1, "", "a@example.com", 1000)}}); res.Unchanged != 1 || len(res.Reread) != 0 {
			t.Fatalf("%+v", res)
		}
	})
}

func TestDirtyMarksCarryTheNewestSourceInstantAndTheStrongestCause(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(2, "", "a@example.com", 1000), order(1, "", "a@example.com", 1000))
		c := b.profile("a@example.com").Contact
		mark := b.dirty()[c.ID]
		if mark.SourceAt != at("2026-10-02 10:00")+2000 || mark.Cause != crm.CauseChange || mark.MarkedAt != b.at {
			t.Fatalf("%+v", mark)
		}
		future := order(3, "", "a@example.com", 1)
		future.Body.(*crm.Order).ModifiedAt = b.at + day
		b.read(future)
		b.apply(mirror.Batch{Cause: crm.CauseBackfill, Facts: []crm.Fact{order(4, "", "a@example.com", 1)}})
		b.read(order(5, "", "a@example.com", 1))
		if mark := b.dirty()[c.ID]; mark.Cause != crm.CauseBackfill || mark.SourceAt != b.at-1000 {
			t.Fatalf("history must not trigger, the future is seen today: %+v", mark)
		}
	})
}

func TestAMarkMadeMeanwhileSurvivesTheClearing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "a@example.com", 1000))
		c := b.profile("a@example.com").Contact
		seen, err := b.m.DirtyBatch(t.Context(), db.Read(), []int{c.Lane}, 10)
		if err != nil || len(seen) != 1 {
			t.Fatal(seen, err)
		}
		b.read(order(1, "", "a@example.com", 1100))
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error { return b.m.ClearDirty(t.Context(), tx, seen) }); err != nil {
			t.Fatal(err)
		}
		if n, oldest, err := b.m.DirtyStats(t.Context()); err != nil || n != 1 || oldest != seen[0].MarkedAt {
			t.Fatal(n, oldest, err)
		}
	})
}

func TestTooLongValuesAreDataErrors(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		f := order(1, "", "a@example.com", 1000)
		f.Body.(*crm.Order).CustomerID = strings.Repeat("9", 65) // ids are never cut
		_, err := b.try(mirror.Batch{Facts: []crm.Fact{order(2, "", "b@example.com", 1), f}})
		if db.Dialect() == store.SQLite {
			if err != nil { // SQLite has no lengths
				t.Fatal(err)
			}
			return
		}
		if !mirror.IsDataError(err) {
			t.Fatalf("%v", err)
		}
		if n := b.number("SELECT COUNT(*) FROM orders"); n != 0 {
			t.Fatal("half a page was written")
		}
	})
}

// A name of 300 letters costs no order: free text is cut to its column, alike on every engine; what is of no use when it
// is cut is left out.
func TestB8LongTextsAreCutAndNothingIsLost(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		long := strings.Repeat("é🍯", 2000)
		o := order(1, "", "a@example.com", 1000)
		w := o.Body.(*crm.Order)
		w.Number, w.FirstName, w.LastName, w.Status, w.Country, w.Region, w.City, w.Via = long, long, long, long, long, long, long, long
		w.Lines = []crm.Line{{ID: "1", Name: long, SKU: long, ImageURL: long, Quantity: 1, Total: 1000}}
		facts := []crm.Fact{
			o,
			{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "1"}, Body: &crm.Customer{Email: "a@example.com", FirstName: long, LastName: long, Company: long, Phone: long, Role: long, Locale: long}},
			{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "1"}, Body: &crm.Address{Line1: long, Line2: long, City: long, Region: long, Postcode: long, Country: long}},
			{Ref: crm.Ref{Kind: crm.KindProduct, ID: "1"}, Body: &crm.Product{Name: long, SKU: long, Type: long, Status: long, URL: long, ImageURL: long, Brand: long}},
			{Ref: crm.Ref{Kind: crm.KindCategory, ID: "1"}, Body: &crm.Category{Name: long, Slug: long}},
			{Ref: crm.Ref{Kind: crm.KindRefund, ID: "1"}, Body: &crm.Refund{OrderID: "1", Currency: "EUR", Reason: long}},
			{Ref: crm.Ref{Kind: crm.KindCart, ID: "9"}, Body: &crm.Cart{Email: "a@example.com", FirstName: long, LastName: long, Currency: "EUR", RecoverURL: long, Country: long, Lines: w.Lines}},
		}
		b.read(facts...)
		if w.Lines[0].Name != long {
			t.Error("the connector's own line was changed")
		}
		if n := b.number("SELECT COUNT(*) FROM orders o JOIN order_lines l ON l.order_id=o.id WHERE o.total=1000 AND o.country='' AND l.image_url=''"); n != 1 {
			t.Errorf("%d orders", n)
		}
		if res := b.apply(mirror.Batch{Facts: facts}); res.Applied != 0 {
			t.Errorf("read again it writes: %+v", res)
		}
	})
}

func TestOtherErrorsAreNoDataErrors(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		_, err := b.try(mirror.Batch{ShopID: 4711, Facts: []crm.Fact{order(1, "", "", 1)}})
		if !errors.Is(err, mirror.ErrNotFound) || mirror.IsDataError(err) {
			t.Fatal(err)
		}
	})
}

func TestB8ABadRecordIsQuarantinedUntilItApplies(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		bad := []connectors.Rejected{{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Reason: "total is no number", Raw: []byte(`{"id":1,"total":"x"}`)}}
		for range 2 {
			if res := b.apply(mirror.Batch{Facts: []crm.Fact{order(2, "", "b@example.com", 1)}, Rejected: bad}); res.Quarantined != 1 {
				t.Fatalf("%+v", res)
			}
		}
		var row struct {
			Reason   string
			Raw      []byte
			Attempts int
		}
		if err := db.Read().GetContext(t.Context(), &row, "SELECT reason, raw, attempts FROM quarantine"); err != nil || row.Attempts != 1 || row.Reason != bad[0].Reason || !bytes.Equal(row.Raw, bad[0].Raw) {
			t.Fatalf("%+v %v", row, err)
		}
		if c := count(t, b, crm.KindOrder); c.Mirrored != 1 || c.Quarantined != 1 {
			t.Fatalf("%+v", c)
		}
		b.read(order(1, "", "b@example.com", 1))
		if c := count(t, b, crm.KindOrder); c.Mirrored != 2 || c.Quarantined != 0 {
			t.Fatalf("%+v", c)
		}
	})
}

func count(t *testing.T, b *bench, kind crm.Kind) mirror.Count {
	t.Helper()
	all, err := b.m.Counts(t.Context(), b.shop.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Kind == kind {
			return c
		}
	}
	return mirror.Count{}
}

func TestRawBodiesAreKeptAsTheyCame(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for _, body := range []string{"one", strings.Repeat("two", 1000)} {
			b.at += 1000
			b.apply(mirror.Batch{Facts: []crm.Fact{order(1, "", "", 1)}, Raw: []connectors.RawRecord{{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Body: []byte(body)}}})
			var packed []byte
			if err := db.Read().GetContext(t.Context(), &packed, "SELECT raw FROM source_records"); err != nil {
				t.Fatal(err)
			}
			if got, err := mirror.Unpack(packed); err != nil || string(got) != body {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
}
