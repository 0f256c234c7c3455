package segments_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

func TestBuildingAndEditingNeverTrigger(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []int64
		for i := range 30 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{at: w.now.Add(-time.Duration(50+i) * day), total: 100, sale: true})
			ids = append(ids, id)
		}
		w.deploy(t)
		w.settle(t) // no definition at all: marks are still used up
		w.deploy(t, winBack(t))
		if ms := w.members(t, "win_back"); ms != nil {
			t.Fatal("members before the build")
		}
		w.settle(t)
		if got := w.members(t, "win_back"); !slices.Equal(got, ids[10:]) {
			t.Fatalf("%d members", len(got))
		}
		edited := define(t, "win_back", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "70d"}}})
		w.deploy(t, edited)
		w.settle(t)
		if got := w.members(t, "win_back"); !slices.Equal(got, ids[20:]) {
			t.Fatalf("%d members", len(got))
		}
		w.checkExact(t)
		w.checkLog(t)
		w.deploy(t)
		w.settle(t)
		causes := map[string]int{}
		for _, c := range w.changes(t) {
			causes[fmt.Sprintf("%s %v", c.Cause, c.Entered)]++
		}
		if d := cmp.Diff(map[string]int{"built true": 20, "redefined false": 20}, causes); d != "" {
			t.Fatal(d)
		}
		if p := w.pending(t); p != nil {
			t.Fatalf("pending: %v", p)
		}
		var rows int
		w.must(t, w.db.Read().GetContext(w.ctx, &rows, "SELECT COUNT(*) FROM memberships"))
		if rows > 0 {
			t.Fatalf("%d memberships of a removed segment", rows)
		}
	})
}

// TestReadersSeeTheOldDefinitionUntilTheNewOneIsBuilt goes through a build of more contacts than fit one slice.
func TestReadersSeeTheOldDefinitionUntilTheNewOneIsBuilt(t *testing.T) {
	w := newWorld(t, store.SQLite)
	w.crowd(t, 1200, w.now.Add(-65*day))
	w.deploy(t, winBack(t))
	w.settle(t)
	w.deploy(t, define(t, "win_back", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "70d"}}}))
	for i := 0; ; i++ {
		infos, err := segments.Infos(t.Context(), w.db.Read())
		w.must(t, err)
		if infos[0].BuildTotal == 0 {
			if i != 3 || infos[0].Size != 0 {
				t.Fatalf("after %d slices: %+v", i, infos)
			}
			break
		}
		if want := (segments.Info{ID: "win_back", State: "live", Size: 1200, BuildDone: int64(min(i*500, 1200)), BuildTotal: 1200}); infos[0] != want {
			t.Fatalf("after %d slices: %+v", i, infos[0])
		}
		_, _, err = w.m.Step(t.Context(), w.now.Time())
		w.must(t, err)
	}
	w.settle(t)
	w.checkExact(t)
	w.checkLog(t)
}

// crowd adds contacts with one order each, unmarked.
func (w *world) crowd(t tb, n int, placed crm.Instant) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		var contacts, orders, lines [][]any
		for i := range n {
			id := tx.NewID()
			contacts = append(contacts, []any{id, 1, crm.LaneOf(id), fmt.Sprintf("c%d@example.com", id), "FR", "UTC", 1})
			orders = append(orders, []any{1, fmt.Sprint(id), id, "completed", 1, "EUR", 1000 + i, placed, "", ""})
			lines = append(lines, []any{1, fmt.Sprint(id), "1", fmt.Sprint(i % 50), 1, 1000})
		}
		if err := tx.Insert(w.ctx, "contacts", []string{"id", "audience_id", "lane", "email_norm", "country", "zone", "live"}, contacts); err != nil {
			return err
		}
		if err := tx.Insert(w.ctx, "orders",
			[]string{"shop_id", "id", "contact_id", "state", "counts_as_sale", "currency", "total", "placed_at", "coupons", "attribution"}, orders); err != nil {
			return err
		}
		return tx.Insert(w.ctx, "order_lines", []string{"shop_id", "order_id", "line_id", "product_id", "quantity", "total"}, lines)
	})
}

// TestAnEditDuringABuildLeavesNoTrace: what was built half-way, for the first time or beside a live definition, is
// given up, and what is recorded stays in step with what readers see.
func TestAnEditDuringABuildLeavesNoTrace(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.page = 40
		w.crowd(t, 100, w.now.Add(-65*day))
		older := func(length rule.Length) *rule.Segment {
			return define(t, "s", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: length}}})
		}
		for _, length := range []rule.Length{"60d", "64d", "70d", "63d", "71d", "62d"} {
			w.deploy(t, older(length))
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
		}
		w.settle(t)
		w.checkExact(t)
		w.checkLog(t)
		before := len(w.changes(t))
		w.deploy(t, older("90d"))
		_, _, err := w.m.Step(t.Context(), w.now.Time())
		w.must(t, err)
		w.deploy(t, older("62d"))
		w.settle(t)
		if n := len(w.changes(t)); n != before {
			t.Fatalf("%d changes by an edit that was taken back", n-before)
		}
		w.checkExact(t)
	})
}

// TestNobodyLeavesBeforeTheEditThatBroughtThemIn: what an edit changes is recorded when reconciling passes; a fact dated
// between the switch and that is no earlier exit.
func TestNobodyLeavesBeforeTheEditThatBroughtThemIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c := w.contact(t, w.now.Add(-day))
		o := order{id: "o", at: w.now.Add(-time.Hour), total: 1000, sale: true}
		w.order(t, c, o)
		w.deploy(t, written(t, "loyal", "{country: BE}"))
		w.settle(t)
		w.deploy(t, written(t, "loyal", "{bought: {}}"))
		for building := true; building; {
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
			infos, err := segments.Infos(t.Context(), w.db.Read())
			w.must(t, err)
			building = infos[0].BuildTotal > 0
		}
		o.sale, o.source = false, w.now.Add(time.Hour)
		w.now = w.now.Add(2 * time.Hour)
		w.settle(t)
		w.order(t, c, o)
		w.settle(t)
		w.checkExact(t)
		w.checkLog(t)
		if changes := w.changes(t); len(changes) != 2 {
			t.Errorf("it entered by the edit and left: %+v", changes)
		}
	})
}
