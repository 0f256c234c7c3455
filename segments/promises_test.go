package segments_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

const day = 24 * time.Hour

func ignoring() cmp.Option { return cmpopts.IgnoreFields(segments.Change{}, "ID", "Lane") }

// TestB14_HistoryNeverTriggers connects a shop with two years of orders to segments that are built already.
func TestB14_HistoryNeverTriggers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := define(t, "first_order", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}})
		w.deploy(t, winBack(t), first)
		w.settle(t)
		for i := range 40 {
			id := w.contact(t, w.now.Add(-800*day))
			w.settle(t)
			for _, age := range []int{700, 400, 61, 30, 1} { // arrives in several pages, marks settled in between
				w.order(t, id, order{at: w.now.Add(-time.Duration(age+i) * day), total: 100, sale: true, cause: crm.CauseBackfill})
				if i%2 == 0 {
					w.settle(t)
				}
			}
		}
		w.settle(t)
		if n := len(w.members(t, "first_order")); n != 40 {
			t.Fatalf("%d members", n)
		}
		if len(w.changes(t)) < 80 {
			t.Fatal("history is not recorded at all")
		}
		if p := w.pending(t); len(p) > 0 {
			t.Fatalf("history may trigger: %+v", p)
		}
		w.checkExact(t)
	})
}

// TestB14_HistoryThatArrivesBesideAnOverdueInstant: an instant has passed unseen, and before it is stepped through,
// old orders arrive for the same contact. What they change is history; what the clock changed is not.
func TestB14_HistoryThatArrivesBesideAnOverdueInstant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		loyal := define(t, "loyal", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{AtLeast: "3"}}})
		w.deploy(t, winBack(t), loyal)
		id := w.contact(t, w.now.Add(-100*day))
		placed := w.now.Add(-59 * day)
		w.order(t, id, order{at: placed, total: 100, sale: true, cause: crm.CauseBackfill})
		w.settle(t)
		w.now = w.now.Add(3 * day)
		for range 2 {
			w.order(t, id, order{at: placed.Add(-30 * day), total: 100, sale: true, source: w.now.Add(-time.Hour), cause: crm.CauseBackfill})
		}
		w.settle(t)
		want := []segments.Change{
			{ContactID: id, Segment: "loyal", Entered: true, EffectiveAt: w.now.Add(-time.Hour), RecordedAt: w.now, Cause: crm.CauseBackfill},
			{ContactID: id, Segment: "win_back", Entered: true, EffectiveAt: placed.Add(60 * day), RecordedAt: w.now, Cause: crm.CauseClock},
		}
		if d := cmp.Diff(want, w.changes(t), ignoring()); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(want[1:], w.pending(t), ignoring()); d != "" {
			t.Fatal(d)
		}
	})
}

// TestEachFlipDuringAnOutageHasItsOwnInstant: Relance sleeps for ten days; every J+60 that passed is found, at its
// millisecond and in order, also where somebody both entered and left.
func TestEachFlipDuringAnOutageHasItsOwnInstant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		window := define(t, "window", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "60d", NewerThan: "62d"}}})
		w.deploy(t, window)
		var want []segments.Change
		for i := range 5 {
			id := w.contact(t, w.now.Add(-90*day))
			at := w.now.Add(-59*day - time.Duration(i)*1234567*time.Millisecond)
			w.order(t, id, order{at: at, total: 100, sale: true, cause: crm.CauseBackfill})
			end := w.now.Add(10 * day)
			want = append(want,
				segments.Change{ContactID: id, Segment: "window", Entered: true, EffectiveAt: at.Add(60 * day), RecordedAt: end, Cause: crm.CauseClock},
				segments.Change{ContactID: id, Segment: "window", EffectiveAt: at.Add(62 * day), RecordedAt: end, Cause: crm.CauseClock})
		}
		w.settle(t)
		w.now = w.now.Add(10 * day)
		w.restart()
		w.settle(t)
		got := w.changes(t)
		slices.SortStableFunc(got, func(a, b segments.Change) int { return int(min(max(a.ContactID-b.ContactID, -1), 1)) })
		if d := cmp.Diff(want, got, ignoring()); d != "" {
			t.Fatal(d)
		}
		w.checkExact(t)
	})
}

// TestAPurchaseAfterAnUnseenFlipLosesNeither: J+60 passed, then the customer bought, then Relance woke up: entered
// by the clock, left by the order, each at its instant.
func TestAPurchaseAfterAnUnseenFlipLosesNeither(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t))
		id := w.contact(t, w.now.Add(-90*day))
		placed := w.now.Add(-59 * day)
		w.order(t, id, order{at: placed, total: 100, sale: true, cause: crm.CauseBackfill})
		w.settle(t)
		w.now = w.now.Add(5 * day)
		bought := w.now.Add(-day)
		w.order(t, id, order{at: bought, total: 100, sale: true})
		w.settle(t)
		want := []segments.Change{
			{ContactID: id, Segment: "win_back", Entered: true, EffectiveAt: placed.Add(60 * day), RecordedAt: w.now, Cause: crm.CauseClock},
			{ContactID: id, Segment: "win_back", EffectiveAt: bought, RecordedAt: w.now, Cause: crm.CauseChange},
		}
		if d := cmp.Diff(want, w.changes(t), ignoring()); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(want, w.pending(t), ignoring()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestAFlipByDataIsEffectiveAtItsSource(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		buyers := define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}})
		agreed := define(t, "agreed", rule.Spec{Match: rule.Condition{Consent: &rule.Consent{State: "granted"}}})
		w.deploy(t, buyers, agreed)
		id := w.contact(t, w.now.Add(-90*day))
		w.settle(t)
		w.now = w.now.Add(time.Hour)
		w.order(t, id, order{at: w.now.Add(-10 * time.Minute), source: w.now.Add(-7 * time.Minute), total: 100, sale: true})
		w.settle(t)
		said := w.now
		w.now = w.now.Add(time.Second)
		w.consent(t, id, "granted", said, said.Add(day))
		w.settle(t)
		seen := w.now
		w.now = w.now.Add(2 * day)
		w.settle(t)
		want := []segments.Change{
			{ContactID: id, Segment: "buyers", Entered: true, EffectiveAt: said.Add(-7 * time.Minute), RecordedAt: said, Cause: crm.CauseChange},
			{ContactID: id, Segment: "agreed", Entered: true, EffectiveAt: said, RecordedAt: seen, Cause: crm.CauseConsent},
			{ContactID: id, Segment: "agreed", EffectiveAt: said.Add(day), RecordedAt: w.now, Cause: crm.CauseClock},
		}
		if d := cmp.Diff(want, w.changes(t), ignoring()); d != "" {
			t.Fatal(d)
		}
	})
}

// TestAHotSecondIsTakenInBoundedSteps: 3000 contacts are due at the same millisecond.
func TestAHotSecondIsTakenInBoundedSteps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		placed := w.now.Add(-59 * day)
		w.crowd(t, 3000, placed)
		w.deploy(t, winBack(t))
		w.settle(t)
		w.now = placed.Add(60 * day)
		seen := 0
		for steps := 1; ; steps++ {
			_, worked, err := w.m.Step(t.Context(), w.now.Time())
			w.must(t, err)
			n := len(w.members(t, "win_back"))
			if n-seen > 500 {
				t.Fatalf("%d contacts in one step", n-seen)
			}
			mark, err := segments.Watermark(t.Context(), w.db.Read())
			w.must(t, err)
			if worked && mark >= w.now {
				t.Fatal("the watermark is ahead of the work")
			}
			if seen = n; !worked {
				break
			}
			if steps > 8 {
				t.Fatalf("%d after %d steps", n, steps)
			}
		}
		for _, c := range w.changes(t) {
			if c.EffectiveAt != w.now || c.Cause != crm.CauseClock {
				t.Fatalf("%+v", c)
			}
		}
		w.checkExact(t)
	})
}

// TestAWhaleIsSteppedThroughInParts: one contact with more overdue instants than a transaction takes, and a mark.
func TestAWhaleIsSteppedThroughInParts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		burst := define(t, "burst", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{Exactly: "1", Window: rule.Window{Within: "10m"}}}})
		w.deploy(t, burst)
		id := w.contact(t, w.now.Add(-day))
		w.write(t, func(tx *store.Tx) error {
			for i := range 400 { // every half hour to come: enters at the order, leaves ten minutes later
				if err := w.putOrder(tx, id, order{at: w.now.Add(time.Duration(i+1) * 30 * time.Minute), total: 100, sale: true}); err != nil {
					return err
				}
			}
			return nil
		})
		w.settle(t)
		w.now = w.now.Add(30 * day)
		w.order(t, id, order{at: w.now.Add(-20 * day), total: 100, sale: true, cause: crm.CauseConsent})
		w.settle(t)
		causes := map[crm.Cause]int{}
		for _, c := range w.changes(t) {
			causes[c.Cause]++
		}
		if d := cmp.Diff(map[crm.Cause]int{crm.CauseConsent: 401, crm.CauseClock: 401}, causes); d != "" {
			t.Fatal(d) // the mark speaks for every fact, to the last instant
		}
		w.checkExact(t)
		w.checkLog(t)
	})
}

func TestOrphansLeaveAndTheClockForgetsThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t), define(t, "nobody_bought", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{Exactly: "0"}}}))
		id := w.contact(t, w.now.Add(-90*day))
		w.order(t, id, order{at: w.now.Add(-10 * day), total: 100, sale: true})
		w.settle(t)
		w.live(t, id, false)
		w.settle(t)
		w.now = w.now.Add(100 * day)
		w.settle(t)
		if got := w.members(t, "win_back"); got != nil {
			t.Fatalf("members %v", got)
		}
		w.checkExact(t)
		w.live(t, id, true)
		w.settle(t)
		if got := w.members(t, "win_back"); len(got) != 1 {
			t.Fatalf("members %v", got)
		}
		w.checkExact(t)
		w.checkLog(t)
	})
}

// TestTheClockNeverGoesBackwards: a restart on a machine whose clock is a day behind changes nothing.
func TestTheClockNeverGoesBackwards(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t))
		id := w.contact(t, w.now.Add(-90*day))
		w.order(t, id, order{at: w.now.Add(-60 * day), total: 100, sale: true})
		w.settle(t)
		mark, err := segments.Watermark(t.Context(), w.db.Read())
		w.must(t, err)
		right := w.now
		w.now = w.now.Add(-day)
		w.restart()
		w.write(t, func(tx *store.Tx) error { return w.mark(tx, id, w.now, w.now, "") })
		w.settle(t)
		if got := w.members(t, "win_back"); len(got) != 1 {
			t.Fatal("the flip was taken back")
		}
		if at, err := segments.Watermark(t.Context(), w.db.Read()); err != nil || at < mark {
			t.Fatalf("the watermark went back to %v", at.Time())
		}
		w.now = right
		w.settle(t)
		w.checkExact(t)
	})
}

// TestEachProcessSettlesAndBuildsItsOwnLanes: two maintainers with half the lanes each.
func TestEachProcessSettlesAndBuildsItsOwnLanes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(t, w.leases.Release(t.Context()))
		names := store.LaneLeases(crm.Lanes)
		w.must(t, errOf(w.leases.Acquire(t.Context(), names[:32]...)))
		other := store.NewLeases(w.db, "other", time.Hour)
		w.must(t, errOf(other.Acquire(t.Context(), names[32:]...)))
		w.crowd(t, 300, w.now.Add(-59*day))
		w.deploy(t, winBack(t))
		b := segments.NewMaintainer(w.mirror, other, w.defs, segments.Options{})
		w.must(t, b.Deploy(t.Context(), w.now.Time()))
		w.settle(t)
		if infos, err := segments.Infos(t.Context(), w.db.Read()); err != nil || infos[0].State != segments.StateBuilding {
			t.Fatalf("live before the other's lanes were built: %+v %v", infos, err)
		}
		both := func() {
			for range 50 {
				_, x, err := b.Step(t.Context(), w.now.Time())
				w.must(t, err)
				_, y, err := w.m.Step(t.Context(), w.now.Time())
				w.must(t, err)
				if !x && !y {
					return
				}
			}
			t.Fatal("never settles")
		}
		both()
		w.now = w.now.Add(2 * day)
		_, _, err := w.m.Step(t.Context(), w.now.Time())
		w.must(t, err)
		if n := len(w.members(t, "win_back")); n == 0 || n == 300 {
			t.Fatalf("%d of 300 by the owner of half the lanes", n)
		}
		both()
		w.checkExact(t)
	})
}
