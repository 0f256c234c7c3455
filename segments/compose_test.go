package segments_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

func dormant(length rule.Length) rule.Spec {
	return rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: length}}}
}

func leans(on string) rule.Spec {
	return rule.Spec{Match: rule.Condition{All: []rule.Condition{{Segment: rule.List{on}}, {Country: rule.List{"FR"}}}}}
}

func entered(segment string, within rule.Length) rule.Spec {
	return rule.Spec{Match: rule.Condition{Entered: &rule.Passage{Segment: rule.List{segment}, Window: rule.Window{Within: within}}}}
}

// TestAnEditBelowSwitchesWhatLeansOnItAtOnce: nobody ever sees a segment by the new definition of what it leans on beside
// the old one, also when the edit is edited while it is built.
func TestAnEditBelowSwitchesWhatLeansOnItAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.page = 40
		w.crowd(t, 50, w.now.Add(-65*day))
		w.crowd(t, 50, w.now.Add(-75*day))
		file := func(length rule.Length) []*rule.Segment {
			return defineAll(t, rule.File{"dormant": dormant(length), "mid": leans("dormant"), "top": leans("mid"), "other": dormant("1d")})
		}
		w.deploy(t, file("60d")...)
		w.settle(t)
		sizes := func() []int {
			return []int{len(w.members(t, "dormant")), len(w.members(t, "mid")), len(w.members(t, "top"))}
		}
		for i, length := range []rule.Length{"70d", "80d", "74d", "62d"} {
			w.deploy(t, file(length)...)
			for range 2 * i { // the next edit comes amid the build, or after the switch
				_, _, err := w.m.Step(t.Context(), w.now.Time())
				w.must(t, err)
				if n := sizes(); n[0] != n[1] || n[1] != n[2] {
					t.Fatalf("half of an edit is seen: %v", n)
				}
			}
		}
		w.settle(t)
		if n := sizes(); n[0] != 100 || n[1] != 100 || n[2] != 100 {
			t.Fatalf("%v", n)
		}
		w.checkExact(t)
		w.checkLog(t)
		var generations int
		w.must(t, w.db.Read().GetContext(t.Context(), &generations, "SELECT MAX(generation) FROM segment_defs WHERE segment='other'"))
		if generations != 1 {
			t.Error("what does not lean on it was built anew")
		}
	})
}

// TestWhatLeansOnAnEditWaitsForWhoeverIsLate: one of those that belong together begins to be built later than the others,
// since an edit of it was under way already.
func TestWhatLeansOnAnEditWaitsForWhoeverIsLate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.page = 40
		w.crowd(t, 50, w.now.Add(-65*day))
		w.crowd(t, 150, w.now.Add(-75*day))
		file := func(length rule.Length, code string) []*rule.Segment {
			return defineAll(t, rule.File{"dormant": dormant(length), "mid": leans("dormant"), "top": {Match: rule.Condition{All: []rule.Condition{
				{Segment: rule.List{"mid"}}, {Country: rule.List{"FR", code}},
			}}}})
		}
		w.deploy(t, file("60d", "BE")...)
		w.settle(t)
		w.deploy(t, file("60d", "DE")...)
		for range 4 {
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
		}
		w.deploy(t, file("60d", "IT")...) // given up before anything of it was built
		w.deploy(t, file("70d", "DE")...)
		for range 100 {
			_, worked, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
			if n := len(w.members(t, "dormant")); n != len(w.members(t, "mid")) || n != len(w.members(t, "top")) {
				t.Fatalf("half of an edit is seen: %d, %d, %d", n, len(w.members(t, "mid")), len(w.members(t, "top")))
			}
			if !worked {
				break
			}
		}
		if n := len(w.members(t, "top")); n != 150 {
			t.Fatalf("%d", n)
		}
		w.checkExact(t)
		w.checkLog(t)
	})
}

// TestAnEntryThatIsDatedBackIsReadAsItIsRecorded: facts that arrive beside an overdue instant let somebody into a segment
// that the clock alone ended before the facts' source instant.
func TestAnEntryThatIsDatedBackIsReadAsItIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, defineAll(t, rule.File{
			"win_back": dormant("60d"),
			"once":     {Match: rule.Condition{Bought: &rule.Bought{AtLeast: "1", Window: rule.Window{Within: "30h"}}}},
			"fresh":    entered("once", "1h"),
		})...)
		id := w.contact(t, w.now.Add(-90*day))
		w.order(t, id, order{at: w.now.Add(-59 * day), total: 100, sale: true, cause: crm.CauseBackfill})
		w.settle(t)
		due := w.now.Add(day)
		w.now = w.now.Add(3 * day)
		w.order(t, id, order{at: due.Add(-time.Hour), total: 100, sale: true, source: w.now})
		w.settle(t)
		w.checkExact(t)
		w.checkLog(t)
		if n := len(w.changes(t)); n < 4 {
			t.Fatalf("%+v", w.changes(t))
		}
	})
}

// TestEnteringAndLeavingOtherSegments: an entry by the clock during an outage, at its instant, and its window; what is
// built or edited is no entry.
func TestEnteringAndLeavingOtherSegments(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.contact(t, w.now.Add(-90*day))
		placed := w.now.Add(-59 * day)
		w.order(t, id, order{at: placed, total: 100, sale: true, cause: crm.CauseBackfill})
		old := w.contact(t, w.now.Add(-90*day)) // in since before anything was defined
		w.order(t, old, order{at: w.now.Add(-80 * day), total: 100, sale: true, cause: crm.CauseBackfill})
		left := rule.Spec{Match: rule.Condition{Left: &rule.Passage{Segment: rule.List{"zleep"}, Window: rule.Window{Within: "10d"}}}}
		file := func(length rule.Length) []*rule.Segment { // alphabetical order is not the one that they lean on each other in
			return defineAll(t, rule.File{"zleep": dormant(length), "fresh": entered("zleep", "7d"), "later": entered("fresh", "20d"), "gone": left})
		}
		w.deploy(t, file("60d")...)
		w.settle(t)
		if m := w.members(t, "zleep"); len(m) != 1 || w.members(t, "fresh") != nil {
			t.Fatal("what was built is an entry", m)
		}
		w.now = w.now.Add(9 * day) // away: J+60 and the seven days after it pass
		w.restart()
		w.settle(t)
		j60 := placed.Add(60 * day)
		want := []segments.Change{
			{ContactID: id, Segment: "zleep", Entered: true, EffectiveAt: j60, RecordedAt: w.now, Cause: crm.CauseClock},
			{ContactID: id, Segment: "fresh", Entered: true, EffectiveAt: j60, RecordedAt: w.now, Cause: crm.CauseClock},
			{ContactID: id, Segment: "later", Entered: true, EffectiveAt: j60, RecordedAt: w.now, Cause: crm.CauseClock},
			{ContactID: id, Segment: "fresh", EffectiveAt: j60.Add(7 * day), RecordedAt: w.now, Cause: crm.CauseClock},
		}
		since := func(from int) []segments.Change {
			all := w.changes(t)
			return slices.DeleteFunc(all[min(from, len(all)):], func(c segments.Change) bool { return c.Cause == crm.CauseRedefined })
		}
		if d := cmp.Diff(want, since(1), ignoring()); d != "" {
			t.Fatal(d)
		}
		w.checkExact(t)
		before := len(w.changes(t))
		w.deploy(t, file("85d")...) // everybody leaves; nobody has left
		w.settle(t)
		w.checkExact(t)
		w.deploy(t, file("60d")...) // and comes back
		w.settle(t)
		w.checkExact(t)
		if got := since(before); len(got) != 0 || w.members(t, "gone") != nil || w.members(t, "fresh") != nil {
			t.Fatalf("an edit is something that happened: %v", got)
		}
		w.order(t, old, order{at: w.now, total: 100, sale: true})
		w.settle(t)
		if got := since(before); len(got) != 2 || got[0].Segment != "zleep" || got[0].Entered || got[1].Segment != "gone" || !got[1].Entered || got[1].Cause != crm.CauseChange {
			t.Fatalf("%+v", got)
		}
		w.checkExact(t)
		w.checkLog(t)
	})
}

// TestNewThresholdsConcernFewAndTriggerNothing: published once a day of business time, at a version; only those
// between an old and a new cut point are marked.
func TestNewThresholdsConcernFewAndTriggerNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []int64
		for i := range 100 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{at: w.now.Add(-30 * day), total: int64(i+1) * 100, sale: true, cause: crm.CauseBackfill})
			ids = append(ids, id)
		}
		w.deploy(t)
		w.settle(t)
		best := rule.Spec{Match: rule.Condition{Top: &rule.Top{Percent: "10", By: "revenue"}}}
		w.deploy(t, defineAll(t, rule.File{"best": best, "buyers": {Match: rule.Condition{Bought: &rule.Bought{}}}})...)
		w.settle(t)
		w.now = w.now.Add(time.Minute) // thresholds are dated after what was exact already
		w.settle(t)
		w.checkExact(t)
		if got := w.members(t, "best"); !slices.Equal(got, ids[90:]) {
			t.Fatalf("the top is %v of %v", got, ids)
		}
		if got := w.pending(t); len(got) != 0 {
			t.Fatalf("the first thresholds start a campaign: %+v", got[0])
		}
		for i := range 5 { // five from the bottom move to the very top: the cut point rises over those who had 91…95
			w.order(t, ids[i], order{at: w.now, total: 100000, sale: true})
		}
		w.now = w.now.Add(time.Minute)
		w.settle(t)
		w.checkExact(t)
		if got := len(w.members(t, "best")); got != 15 {
			t.Fatalf("%d before the new thresholds", got)
		}
		pending := len(w.pending(t))
		w.now = w.now.Add(24 * time.Hour)
		marked := 0
		*w.fault = func(name, when string) error {
			if name == "segments.told" && when == "before" {
				versions, err := mirror.Thresholds(t.Context(), w.db.Read(), 1)
				w.must(t, err)
				if at, err := segments.Watermark(t.Context(), w.db.Read()); err != nil || at >= versions[len(versions)-1].PublishedAt {
					t.Fatalf("memberships are called exact as of %v while new thresholds are being told (%v)", at.Time(), err)
				}
			}
			if name == "segments.told" && when == "after" {
				var n int
				w.must(t, w.db.Read().GetContext(t.Context(), &n, "SELECT COUNT(*) FROM dirty WHERE cause='threshold'"))
				marked = max(marked, n)
			}
			return nil
		}
		w.settle(t)
		*w.fault = nil
		w.checkExact(t)
		w.checkLog(t)
		if got := len(w.members(t, "best")); got != 10 {
			t.Fatalf("%d after the new thresholds", got)
		}
		if marked < 5 || marked > 7 {
			t.Errorf("%d were marked", marked)
		}
		if n := len(w.pending(t)); n != pending {
			t.Errorf("thresholds started %d campaigns", n-pending)
		}
		versions, err := mirror.Thresholds(t.Context(), w.db.Read(), 1)
		if err != nil || len(versions) != 2 || versions[0].Contacts != 100 {
			t.Fatalf("%v %v", versions, err)
		}
	})
}

// TestAChangeThatWaitsWhenThresholdsMove: a contact's facts changed just before new thresholds came into force, and it is
// settled after: what the thresholds did triggers nothing, what the facts did triggers.
func TestAChangeThatWaitsWhenThresholdsMove(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []int64
		for i := range 20 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{at: w.now.Add(-30 * day), total: int64(i+1) * 100, sale: true, cause: crm.CauseBackfill})
			ids = append(ids, id)
		}
		w.deploy(t, defineAll(t, rule.File{
			"best": {Match: rule.Condition{Top: &rule.Top{Percent: "50", By: "revenue"}}}, "often": {Match: rule.Condition{Bought: &rule.Bought{AtLeast: "2"}}},
		})...)
		w.settle(t)
		w.now = w.now.Add(time.Minute)
		w.settle(t)
		for _, id := range ids[:6] { // the cut point rises over 11…13
			w.order(t, id, order{at: w.now, total: 100000, sale: true, cause: crm.CauseBackfill})
		}
		w.settle(t)
		w.now = w.now.Add(25 * time.Hour)
		w.order(t, ids[10], order{at: w.now, total: 1, sale: true}) // waits when they are published
		w.settle(t)
		w.checkExact(t)
		causes := map[string]crm.Cause{}
		for _, c := range w.changes(t) {
			if c.ContactID == ids[10] && c.RecordedAt == w.now {
				causes[c.Segment] = c.Cause
			}
		}
		if d := cmp.Diff(map[string]crm.Cause{"best": crm.CauseThreshold, "often": crm.CauseChange}, causes); d != "" {
			t.Fatal(d)
		}
	})
}

// TestALiveCartIsNotDelayedByHistory: 100 000 contacts wait after an import, and a segment is being built.
func TestALiveCartIsNotDelayedByHistory(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.crowd(t, 2000, w.now.Add(-65*day))
		id := w.contact(t, w.now.Add(-90*day))
		carts := define(t, "carts", rule.Spec{Match: rule.Condition{OpenCart: &rule.OpenCart{}}})
		w.deploy(t, carts)
		w.settle(t)
		w.deploy(t, carts, winBack(t))
		w.write(t, func(tx *store.Tx) error {
			rows := make([][]any, 100_000)
			for i := range rows {
				other := int64(i + 1)
				rows[i] = []any{other, crm.LaneOf(other), tx.NewID(), w.now - 1000, w.now - 1000, "backfill"}
			}
			return tx.Insert(w.ctx, "dirty", []string{"contact_id", "lane", "generation", "source_at", "marked_at", "cause"}, rows)
		})
		for range 2 {
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
		}
		w.cart(t, id, "c", w.now, 0)
		_, _, err := w.m.Step(t.Context(), w.now.Time())
		w.must(t, err)
		if got := w.pending(t); len(got) != 1 || got[0].Segment != "carts" || got[0].ContactID != id {
			t.Fatalf("the cart waits: %+v", got)
		}
		infos, err := segments.Infos(t.Context(), w.db.Read())
		if err != nil || infos[1].BuildDone == 0 {
			t.Errorf("the build stands still: %+v %v", infos, err)
		}
		var left int
		w.must(t, w.db.Read().GetContext(t.Context(), &left, "SELECT COUNT(*) FROM dirty"))
		if left > 99_000 {
			t.Errorf("history stands still: %d wait", left)
		}
	})
}

// TestWhalesDoNotFillABatchTogether: a batch is bounded by the facts that it loads.
func TestWhalesDoNotFillABatchTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t))
		w.settle(t)
		for range 4 {
			id := w.contact(t, w.now.Add(-90*day))
			w.write(t, func(tx *store.Tx) error {
				return tx.Upsert(w.ctx, "contact_stats", []string{"contact_id", "shop_id"}, []string{"contact_id", "shop_id", "orders"}, [][]any{{id, 1, 50_000}})
			})
		}
		for range 30 {
			w.contact(t, w.now.Add(-90*day))
		}
		for i, want := range []int{33, 32, 31, 0} { // each whale alone, then all others
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
			var left int
			w.must(t, w.db.Read().GetContext(t.Context(), &left, "SELECT COUNT(*) FROM dirty"))
			if left > want && i == 3 || i < 3 && left != want {
				if i < 3 || left != 30 {
					t.Fatalf("step %d: %d are left", i, left)
				}
			}
		}
		w.settle(t)
		w.checkExact(t)
	})
}

func TestASegmentThatCampaignsUseIsNotRemoved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.crowd(t, 10, w.now.Add(-65*day))
		w.deploy(t, winBack(t))
		w.settle(t)
		m := segments.NewMaintainer(w.mirror, w.leases, nil, segments.Options{Used: map[string][]string{"win_back": {"autumn", "spring"}}})
		err := m.Deploy(t.Context(), w.now.Time())
		fe, ok := errors.AsType[*fault.Error](err)
		if !ok || fe.Class != fault.Operator || !strings.Contains(err.Error(), "win_back") || !strings.Contains(err.Error(), "autumn, spring") {
			t.Fatalf("%v", err)
		}
		w.settle(t)
		if len(w.members(t, "win_back")) != 10 {
			t.Fatal("it was removed all the same")
		}
		w.deploy(t)
		w.settle(t)
		if w.members(t, "win_back") != nil {
			t.Fatal("nobody uses it, and it stays")
		}
	})
}

func TestABuildSaysHowLongItWillTake(t *testing.T) {
	w := newWorld(t, store.SQLite)
	w.page = 100
	w.crowd(t, 1000, w.now.Add(-65*day))
	w.deploy(t, winBack(t))
	for range 5 {
		_, _, err := w.m.Step(t.Context(), w.now.Time())
		w.must(t, err)
		w.now = w.now.Add(10 * time.Second)
	}
	infos, err := segments.Infos(t.Context(), w.db.Read())
	w.must(t, err)
	if eta := infos[0].BuildETA; infos[0].BuildDone != 500 || eta < 30*time.Second || eta > 60*time.Second {
		t.Fatalf("%+v", infos[0])
	}
}

// TestEveryCommitAboutThresholdsMayFail: each fails once, before and after, and nothing differs.
func TestEveryCommitAboutThresholdsMayFail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		failed := map[string]bool{}
		for i := range 30 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{id: fmt.Sprint(id), at: w.now.Add(-30 * day), total: int64(i+1) * 100, sale: true, cause: crm.CauseBackfill})
		}
		w.page = 7
		w.deploy(t, define(t, "best", rule.Spec{Match: rule.Condition{RFM: &rule.RFM{M: rule.List{"4", "5"}}}}))
		w.settle(t)
		*w.fault = func(name, when string) error {
			if !strings.HasPrefix(name, "segments.t") || failed[name+when] {
				return nil
			}
			failed[name+when] = true
			return errCrash
		}
		for i := range 3 {
			w.now = w.now.Add(30 * time.Hour)
			w.order(t, w.contact(t, w.now), order{at: w.now, total: int64(i) * 3000, sale: true})
			for range 200 {
				_, worked, err := w.m.Step(t.Context(), w.now.Time())
				if errors.Is(err, errCrash) {
					w.restart()
					continue
				}
				w.must(t, err)
				if !worked {
					break
				}
			}
			w.checkExact(t)
		}
		if len(failed) != 4 {
			t.Fatalf("%v", failed)
		}
		w.checkLog(t)
	})
}
