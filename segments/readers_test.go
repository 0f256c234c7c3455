package segments_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

func TestTheFeedGivesEachChangeUntilItIsConsumed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}}))
		w.settle(t)
		var ids []int64
		for range 5 {
			id := w.contact(t, w.now.Add(-day))
			w.settle(t)
			w.order(t, id, order{at: w.now, total: 100, sale: true})
			ids = append(ids, id)
		}
		w.settle(t)
		p := w.pending(t)
		if len(p) != 5 {
			t.Fatalf("%d pending", len(p))
		}
		for i, c := range p {
			if c.ContactID != ids[i] || !c.Entered || c.Lane != crm.LaneOf(ids[i]) {
				t.Fatalf("%+v", c)
			}
		}
		one, err := segments.Pending(t.Context(), w.db.Read(), []int{p[0].Lane}, 1)
		if err != nil || len(one) != 1 || one[0].Lane != p[0].Lane {
			t.Fatalf("%v %v", one, err)
		}
		w.write(t, func(tx *store.Tx) error { return segments.ClearPending(t.Context(), tx, []int64{p[0].ID, p[2].ID}) })
		if left := w.pending(t); len(left) != 3 || left[0].ID != p[1].ID {
			t.Fatalf("%+v", left)
		}
		is, err := segments.IsMember(t.Context(), w.db.Read(), ids[0], "buyers")
		if err != nil || !is {
			t.Fatal(is, err)
		}
		if is, err = segments.IsMember(t.Context(), w.db.Read(), ids[0], "strangers"); err != nil || is {
			t.Fatal(is, err)
		}
		for segment, want := range map[string][]int64{"buyers": ids, "strangers": nil, "nothing": nil} {
			among, err := segments.MembersAmong(t.Context(), w.db.Read(), append([]int64{7, ids[0]}, ids...), segment)
			if err != nil || !slices.Equal(slices.Sorted(maps.Keys(among)), slices.Sorted(slices.Values(want))) {
				t.Fatal(segment, among, err)
			}
		}
	})
}

func TestExplainAndMembersAtAnInstant(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t))
		var ids []int64
		for i := range 3 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{at: w.now.Add(-time.Duration(58+i) * day), total: 100, sale: true, cause: crm.CauseBackfill})
			ids = append(ids, id)
		}
		w.settle(t)
		for at, want := range map[time.Duration][]int64{-day: nil, 0: ids[2:], day: ids[1:], 2 * day: ids} {
			var got []int64
			for after := int64(0); ; {
				page, next, err := segments.MembersAt(t.Context(), w.mirror, w.defs[0], w.now.Add(at), after, 2)
				w.must(t, err)
				got = append(got, page...)
				if after = next; next == 0 {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("at %v: %v", at, got)
			}
		}
		why, err := segments.Explain(t.Context(), w.mirror, "win_back", ids[1], w.now)
		w.must(t, err)
		if why.Member || why.Explanation.Match || !why.Explanation.NextChange.Equal(w.now.Add(day).Time()) || len(why.Changes) != 0 {
			t.Errorf("%+v", why)
		}
		if why, err = segments.Explain(t.Context(), w.mirror, "win_back", ids[2], w.now); err != nil || !why.Member || len(why.Changes) != 1 {
			t.Errorf("%+v %v", why, err)
		}
		if _, err = segments.Explain(t.Context(), w.mirror, "nothing", ids[0], w.now); !errors.Is(err, segments.ErrUnknown) {
			t.Error(err)
		}
		if _, err = segments.Explain(t.Context(), w.mirror, "win_back", 7, w.now); !errors.Is(err, mirror.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestVerifyFindsWhatSomebodyBroke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.crowd(t, 600, w.now.Add(-59*day))
		w.deploy(t, winBack(t), define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}}))
		w.settle(t)
		w.checkExact(t)
		ids, err := w.mirror.ContactIDs(t.Context(), w.db.Read(), 0, 4)
		w.must(t, err)
		w.write(t, func(tx *store.Tx) error {
			for _, q := range []string{
				fmt.Sprintf("DELETE FROM memberships WHERE segment='buyers' AND contact_id=%d", ids[0]),
				fmt.Sprintf("DELETE FROM segment_due WHERE contact_id=%d", ids[1]),
				fmt.Sprintf("INSERT INTO memberships(contact_id, segment, generation, lane, since) VALUES (%d,'win_back',1,%d,1)", ids[2], crm.LaneOf(ids[2])),
				fmt.Sprintf("UPDATE contacts SET live=0 WHERE id=%d", ids[3]),
			} {
				if _, err := tx.ExecContext(t.Context(), q); err != nil {
					return err
				}
			}
			return nil
		})
		r, err := segments.Verify(t.Context(), w.mirror, w.now.Time())
		w.must(t, err)
		got := map[int64]string{}
		for _, d := range r.Differences {
			got[d.ContactID] = fmt.Sprintf("%s %v %v %v", d.Segment, d.Stored, d.Computed, d.Detail != "")
		}
		want := map[int64]string{
			ids[0]: "buyers false true false", ids[1]: "win_back false false true", ids[2]: "win_back true false false", ids[3]: "buyers true false false",
		}
		if d := cmp.Diff(want, got); d != "" || len(r.Differences) != 4 {
			t.Fatal(d, r.Differences)
		}
		// While a change of the catalogue is on its way to contacts, nobody claims that they are up to date.
		w.write(t, func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "INSERT INTO fanouts(shop_id, kind, id) VALUES (1,'product','7')")
			return err
		})
		during, err := segments.Verify(t.Context(), w.mirror, w.now.Time())
		w.must(t, err)
		if listed := len(during.Differences); listed != 0 || during.Unsettled != r.Unsettled+4 {
			t.Errorf("%d differences, %d unsettled", listed, during.Unsettled)
		}
	})
}

// TestEveryCommitMayFail enumerates the maintainer's commits: each fails once, before and after, and nothing differs.
func TestEveryCommitMayFail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		failed := map[string]bool{}
		*w.fault = func(name, when string) error {
			if !strings.HasPrefix(name, "segments.") || failed[name+when] {
				return nil
			}
			failed[name+when] = true
			return errCrash
		}
		survive := func() {
			for range 200 {
				_, worked, err := w.m.Step(t.Context(), w.now.Time())
				switch {
				case errors.Is(err, errCrash):
					w.restart()
				case err != nil:
					t.Fatal(err)
				case !worked:
					return
				}
			}
			t.Fatal("never settles")
		}
		deploy := func(defs ...*rule.Segment) {
			w.defs = defs
			w.restart()
			for range 3 {
				if err := w.m.Deploy(t.Context(), w.now.Time()); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			survive()
		}
		w.crowd(t, 700, w.now.Add(-59*day))
		buyers := define(t, "buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}})
		deploy(winBack(t), buyers)
		w.now = w.now.Add(2 * day)
		w.order(t, w.contact(t, w.now.Add(-day)), order{at: w.now.Add(-61 * day), total: 100, sale: true})
		survive()
		deploy(define(t, "win_back", rule.Spec{Match: rule.Condition{LastPurchase: &rule.LastPurchase{OlderThan: "65d"}}}))
		w.checkExact(t)
		w.checkLog(t)
		var want []string
		for _, name := range []string{"build", "deploy", "forget", "reconcile", "settle", "switch", "watermark"} {
			want = append(want, "segments."+name+"after", "segments."+name+"before")
		}
		var got []string
		for name := range failed {
			got = append(got, name)
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestALostLeaseWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, winBack(t))
		w.settle(t)
		id := w.contact(t, w.now.Add(-90*day))
		w.order(t, id, order{at: w.now.Add(-61 * day), total: 100, sale: true})
		w.write(t, func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE leases SET owner='other', epoch=epoch+1")
			return err
		})
		_, worked, err := w.m.Step(t.Context(), w.now.Time())
		if err != nil || worked {
			t.Fatal(worked, err)
		}
		if got := w.members(t, "win_back"); got != nil {
			t.Fatalf("members %v", got)
		}
	})
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, store.SQLite)
	reg := prometheus.NewPedanticRegistry()
	w.crowd(t, 30, w.now.Add(-59*day))
	w.deploy(t, winBack(t))
	w.m = segments.NewMaintainer(w.mirror, w.leases, w.defs, segments.Options{Metrics: segments.NewMetrics(reg)})
	w.settle(t)
	w.now = w.now.Add(2 * day)
	w.settle(t)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP relance_segments_size Members of a segment.
# TYPE relance_segments_size gauge
relance_segments_size{segment="win_back"} 30
# HELP relance_segments_evaluations_total Definitions evaluated for a contact at an instant.
# TYPE relance_segments_evaluations_total counter
relance_segments_evaluations_total 60
`), "relance_segments_size", "relance_segments_evaluations_total"); err != nil {
		t.Error(err)
	}
	ps, err := testutil.GatherAndLint(reg)
	if err != nil || len(ps) > 0 {
		t.Error(ps, err)
	}
}
