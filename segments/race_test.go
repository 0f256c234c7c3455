package segments_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

// TestAChangeBetweenReadingAndWritingIsTakenUpAfterwards: facts are committed while their contact's batch is under way.
func TestAChangeBetweenReadingAndWritingIsTakenUpAfterwards(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		buyers := define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{AtLeast: "2"}}})
		w.deploy(t, buyers)
		w.settle(t)
		id := w.contact(t, w.now.Add(-day))
		w.settle(t)
		w.order(t, id, order{at: w.now.Add(-2 * time.Hour), total: 100, sale: true})
		left := 3
		segments.Between(w.m, func() {
			if left--; left >= 0 { // a second order, changed twice more
				w.order(t, id, order{id: "second", at: w.now.Add(-time.Hour), total: int64(left), sale: true, cause: crm.CauseBackfill})
			}
		})
		w.settle(t)
		got := w.changes(t)
		if len(got) != 1 || !got[0].Entered || got[0].Cause != crm.CauseBackfill || got[0].EffectiveAt != w.now.Add(-time.Hour) {
			t.Fatalf("%+v", got) // the second order is history, whichever mark it was seen under
		}
		w.checkExact(t)
	})
}

// TestB14_HistoryCommittedWhileADueContactIsRead: the same while the contact is due: without the second look at
// its mark, history would count as a flip by the clock.
func TestB14_HistoryCommittedWhileADueContactIsRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		loyal := define(t, "loyal", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{AtLeast: "2"}}})
		w.deploy(t, winBack(t), loyal)
		id := w.contact(t, w.now.Add(-100*day))
		w.order(t, id, order{at: w.now.Add(-59 * day), total: 100, sale: true, cause: crm.CauseBackfill})
		w.settle(t)
		w.now = w.now.Add(2 * day)
		once := true
		segments.Between(w.m, func() {
			if once {
				once = false
				w.order(t, id, order{at: w.now.Add(-90 * day), total: 100, sale: true, cause: crm.CauseBackfill})
			}
		})
		w.settle(t)
		for _, c := range w.pending(t) {
			if c.Segment == "loyal" {
				t.Fatalf("history is pending: %+v", c)
			}
		}
		if len(w.members(t, "loyal")) != 1 || len(w.pending(t)) != 1 {
			t.Fatalf("%v", w.changes(t))
		}
		w.checkExact(t)
	})
}

// TestABuildComesBackForWhomItLeftOut: contacts change while the build's page is under way.
func TestABuildComesBackForWhomItLeftOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.page = 20
		w.crowd(t, 60, w.now.Add(-59*day))
		ids, err := w.mirror.ContactIDs(t.Context(), w.db.Read(), 0, 100)
		w.must(t, err)
		w.deploy(t, define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}}))
		n := 0
		segments.Between(w.m, func() {
			if n < 20 {
				w.order(t, ids[(n*7)%60], order{id: "o", at: w.now.Add(-61 * day), total: int64(n), sale: true})
			}
			n++
		})
		w.settle(t)
		segments.Between(w.m, nil)
		w.settle(t)
		if p := w.pending(t); p != nil {
			t.Fatalf("a build's entry is pending: %+v", p[0])
		}
		w.checkExact(t)
		w.checkLog(t)
	})
}

func TestTheWatermarkWaitsForMarksAndInstants(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.page = 1
		w.deploy(t, winBack(t))
		w.settle(t)
		start := w.now
		placed := w.now.Add(-60*day + time.Minute)
		for range 3 {
			id := w.contact(t, w.now.Add(-90*day))
			w.now = w.now.Add(10 * time.Second)
			w.order(t, id, order{at: placed, total: 100, sale: true})
		}
		step := func() crm.Instant {
			_, _, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
			at, err := segments.Watermark(t.Context(), w.db.Read())
			w.must(t, err)
			return at
		}
		for i := range 3 { // marks of :00, :10 and :20
			if at, want := step(), max(start, start.Add(time.Duration(i)*10*time.Second)-1); at != want {
				t.Fatalf("step %d: watermark %v", i, at.Time())
			}
		}
		if at := step(); at != w.now {
			t.Fatalf("nothing left: watermark %v", at.Time())
		}
		w.now = w.now.Add(time.Hour)
		if at, want := step(), placed.Add(60*day)-1; at != want {
			t.Fatalf("due contacts are waiting: watermark %v, want %v", at.Time(), want.Time())
		}
		w.settle(t)
		w.checkExact(t)
	})
}
