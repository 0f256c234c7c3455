package segments_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

func written(t tb, id, match string) *rule.Segment {
	t.Helper()
	s, err := rule.Decode(id, "match: "+match)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func buyers(t tb) *rule.Segment { return written(t, "buyers", "{bought: {within: 2d}}") }

func TestHistoryCountsTheDays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		old := w.contact(t, w.now.Add(-9*day))
		w.order(t, old, order{at: w.now.Add(-day), total: 100, sale: true})
		w.deploy(t, buyers(t))
		w.settle(t)
		for range 3 { // one enters each day, and leaves two days later
			w.now = w.now.Add(day)
			w.order(t, w.contact(t, w.now.Add(-9*day)), order{at: w.now.Add(-time.Hour), total: 100, sale: true})
			w.settle(t)
		}
		got, err := segments.History(w.ctx, w.db.Read(), "buyers", w.now.Time(), 30)
		w.must(t, err)
		want := []segments.Day{
			{Day: "2026-10-25", Size: 2, Entered: 2, Redefined: 1}, // the second at 23:00
			{Day: "2026-10-26", Size: 2, Entered: 1, Left: 1},
			{Day: "2026-10-27", Size: 2, Entered: 1, Left: 1},
			{Day: "2026-10-28", Size: 2},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if got, err = segments.History(w.ctx, w.db.Read(), "buyers", w.now.Time(), 2); err != nil || len(got) != 2 || got[0] != want[2] {
			t.Errorf("%v %+v", err, got)
		}
		if _, err := segments.History(w.ctx, w.db.Read(), "nobody", w.now.Time(), 2); err == nil || !strings.Contains(err.Error(), "no such segment") {
			t.Error(err)
		}
		// An edit is seen as such.
		w.deploy(t, written(t, "buyers", "{bought: {}}"))
		w.settle(t)
		got, err = segments.History(w.ctx, w.db.Read(), "buyers", w.now.Time(), 1)
		if want := []segments.Day{{Day: "2026-10-28", Size: 4, Entered: 2, Redefined: 2}}; err != nil || !cmp.Equal(got, want) {
			t.Errorf("%v %+v", err, got)
		}
	})
}

func TestTheViewsForOtherToolsShowMembersAndChanges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.contact(t, w.now.Add(-9*day))
		w.order(t, id, order{at: w.now.Add(-day), total: 100, sale: true})
		w.deploy(t, buyers(t))
		w.settle(t)
		var row struct {
			Segment   string
			ContactID int64 `db:"contact_id"`
			Email     string
			At        string `db:"entered_at"`
		}
		w.must(t, w.db.Read().GetContext(w.ctx, &row, "SELECT segment, contact_id, email, entered_at FROM mirror_v1_segment_members"))
		if row.Segment != "buyers" || row.ContactID != id || !strings.HasPrefix(row.At, "2026-10-25") {
			t.Errorf("%+v", row)
		}
		var entered int
		w.must(t, w.db.Read().GetContext(w.ctx, &entered, "SELECT entered FROM mirror_v1_segment_changes WHERE contact_id=? AND cause='built'", id))
		if entered != 1 {
			t.Error("the entry is not shown")
		}
	})
}

// Memberships that differ from their definition are found by the slow audit, in small steps, and are told by its metric.
func TestTheAuditFindsWhatDiffers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []int64
		for range 7 {
			id := w.contact(t, w.now.Add(-9*day))
			w.order(t, id, order{at: w.now.Add(-day), total: 100, sale: true})
			ids = append(ids, id)
		}
		w.deploy(t, buyers(t))
		w.settle(t)
		reg := prometheus.NewPedanticRegistry()
		wall := time.Unix(1, 0)
		metrics := segments.NewMetrics(reg)
		a := segments.NewAuditor(w.mirror, w.leases, segments.AuditOptions{Metrics: metrics, Wall: func() time.Time { return wall }})
		pass := func() (steps int) {
			t.Helper()
			for before := passes(t, reg); passes(t, reg) == before; steps++ {
				_, worked, err := a.Step(w.ctx, w.now.Time())
				w.must(t, err)
				if worked || steps > 20 {
					t.Fatal("it does not give way, or does not end")
				}
				wall = wall.Add(5 * time.Second)
			}
			return steps
		}
		if n := pass(); n < 3 || found(t, reg) != 0 {
			t.Errorf("%d steps, %v differences", n, found(t, reg))
		}
		seen := gauge(t, reg, "relance_segments_audit_contacts_total")
		for range 5 { // not again within a day
			wall = wall.Add(time.Minute)
			_, _, err := a.Step(w.ctx, w.now.Time())
			w.must(t, err)
		}
		if now := gauge(t, reg, "relance_segments_audit_contacts_total"); now != seen || seen != 7 {
			t.Errorf("%v contacts, then %v", seen, now)
		}
		w.now = w.now.Add(day)
		w.settle(t)
		w.write(t, func(tx *store.Tx) error {
			_, err := tx.ExecContext(w.ctx, "INSERT INTO memberships(contact_id, segment, generation, lane, since) VALUES (?,'buyers',1,?,1)", ids[2], crm.LaneOf(ids[2]))
			return err
		})
		pass()
		if n := found(t, reg); n != 1 {
			t.Errorf("%v differences found", n)
		}
		w.now = w.now.Add(day)
		w.write(t, func(tx *store.Tx) error {
			_, err := tx.ExecContext(w.ctx, "DELETE FROM memberships WHERE contact_id=?", ids[2])
			return err
		})
		pass()
		if n := found(t, reg); n != 0 {
			t.Errorf("%v differences after it was mended", n)
		}
	})
}

func TestVerifyingOneSegmentLeavesTheOthersOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.contact(t, w.now.Add(-9*day))
		w.order(t, id, order{at: w.now.Add(-day), total: 100, sale: true})
		w.deploy(t, buyers(t), winBack(t))
		w.settle(t)
		w.write(t, func(tx *store.Tx) error {
			_, err := tx.ExecContext(w.ctx, "DELETE FROM memberships WHERE segment='buyers'")
			return err
		})
		for segment, want := range map[string]int{"buyers": 1, "win_back": 0} {
			r, err := segments.Verify(w.ctx, w.mirror, w.now.Time(), segment)
			if err != nil || len(r.Differences) != want {
				t.Errorf("%s: %v %+v", segment, err, r)
			}
		}
	})
}

func TestWhatSegmentsCostIsMeasuredAndKept(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.deploy(t, buyers(t), written(t, "french", "{country: FR}"))
		w.settle(t)
		for range 40 {
			w.order(t, w.contact(t, w.now.Add(-9*day)), order{at: w.now.Add(-day), total: 100, sale: true})
		}
		w.settle(t)
		w.must(t, w.m.FlushCosts(w.ctx))
		got, err := segments.Costs(w.ctx, w.db.Read(), w.now.Time())
		w.must(t, err)
		if len(got) != 2 || got[0].Segment != "buyers" || got[1].Segment != "french" {
			t.Fatalf("%+v", got)
		}
		b, f := got[0], got[1]
		if b.Evaluations < 40 || b.RowsWritten != 80 || f.RowsWritten != 80 || b.Seconds <= 0 {
			t.Errorf("%+v %+v", b, f)
		}
		if b.RowsRead < 2*f.RowsRead || f.RowsRead < 40 { // the contact and its order; the contact alone
			t.Errorf("%+v %+v", b, f)
		}
		w.now = w.now.Add(day) // all leave
		w.settle(t)
		w.must(t, w.m.FlushCosts(w.ctx))
		w.must(t, w.m.FlushCosts(w.ctx))
		today, err := segments.Costs(w.ctx, w.db.Read(), w.now.Time())
		all, err2 := segments.Costs(w.ctx, w.db.Read(), w.now.Add(-day).Time())
		if err != nil || err2 != nil || today[0].RowsWritten != 80 || all[0].RowsWritten != 160 || today[1].RowsWritten != 0 {
			t.Errorf("%v %v %+v %+v", err, err2, today, all)
		}
	})
}

func TestPlanSaysWhatDeployingThenDoes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []int64
		for i := range 12 {
			id := w.contact(t, w.now.Add(-90*day))
			w.order(t, id, order{at: w.now.Add(-time.Duration(i) * day), total: 100, sale: true})
			ids = append(ids, id)
		}
		gone := written(t, "gone", "{country: FR}")
		same := written(t, "same", "{last_purchase: {older_than: 7d}}")
		w.deploy(t, buyers(t), gone, same)
		w.settle(t)
		before := w.changes(t)

		edited := written(t, "buyers", "{last_purchase: {older_than: 1d, newer_than: 5d}}")
		fresh := written(t, "fresh", "{bought: {}}")
		var left []int64
		got, err := segments.Plan(w.ctx, w.mirror, []*rule.Segment{same, edited, fresh}, segments.PlanOptions{
			Now: w.now.Time(), Until: w.now.Add(2 * day).Time(), Watch: []string{"same"}, Examples: 2,
			Leaving: func(_ context.Context, segment string, contacts []int64) error {
				if segment == "buyers" {
					left = append(left, contacts...)
				}
				return nil
			},
		})
		w.must(t, err)
		want := []segments.Intent{
			{Segment: "buyers", What: segments.PlanChanged, Before: 2, After: 4, Enter: 3, Leave: 1, Entering: ids[2:4], Leaving: ids[:1]},
			{Segment: "fresh", What: segments.PlanNew, After: 12, Enter: 12, Entering: ids[:2]},
			{Segment: "gone", What: segments.PlanRemoved, Before: 12, Leave: 12, Leaving: ids[:2]},
			{Segment: "same", What: segments.PlanUnchanged, Before: 5, After: 5, Soon: 2},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if !slices.Equal(left, ids[:1]) {
			t.Errorf("leaving %v", left)
		}
		if d := cmp.Diff(before, w.changes(t)); d != "" {
			t.Errorf("planning wrote: %s", d)
		}
		w.deploy(t, same, edited, fresh)
		w.settle(t)
		for id, n := range map[string]int{"buyers": 4, "fresh": 12, "gone": 0, "same": 5} {
			if have := w.members(t, id); len(have) != n {
				t.Errorf("%s has %d members", id, len(have))
			}
		}
		w.now = w.now.Add(2 * day)
		w.settle(t)
		if have := w.members(t, "same"); len(have) != 7 {
			t.Errorf("same has %d members two days later", len(have))
		}
	})
}

func gauge(t tb, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

func passes(t tb, reg prometheus.Gatherer) float64 {
	return gauge(t, reg, "relance_segments_audit_passes_total")
}

func found(t tb, reg prometheus.Gatherer) float64 {
	return gauge(t, reg, "relance_segments_audit_differences")
}
