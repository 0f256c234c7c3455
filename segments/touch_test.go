package segments_test

import (
	"context"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

// Campaigns that facts start are told of a contact in the transaction that clears its mark, if any listens.
func TestWhoseFactsChangedIsToldWhereCampaignsListen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		listening := false
		buyers, err := rule.Compile("buyers", rule.Spec{Match: rule.Condition{Bought: &rule.Bought{}}})
		w.must(t, err)
		w.deploy(t, buyers)
		w.m = segments.NewMaintainer(w.mirror, w.leases, w.defs, segments.Options{Listening: func(context.Context, store.Queryer) (bool, error) { return listening, nil }})
		w.settle(t)
		for _, c := range []struct {
			listening bool
			cause     crm.Cause
			ago       time.Duration
			told      bool
		}{
			{false, crm.CauseChange, 0, false},
			{true, crm.CauseChange, 0, true},
			{true, crm.CauseChange, 40 * 24 * time.Hour, true},
			{true, crm.CauseConsent, 0, true},
			{true, crm.CauseMerge, 0, true},
			{true, crm.CauseBackfill, 40 * 24 * time.Hour, false},
			{true, crm.CauseBackfill, time.Hour, true}, // it may hide a change
			{true, crm.CauseRedefined, 0, false},
			{true, crm.CauseThreshold, 0, false},
		} {
			listening = c.listening
			id := w.contact(t, w.now)
			w.settle(t)
			w.write(t, func(tx *store.Tx) error {
				if _, err := tx.ExecContext(w.ctx, "DELETE FROM touches"); err != nil {
					return err
				}
				if _, err := tx.ExecContext(w.ctx, "DELETE FROM dirty"); err != nil {
					return err
				}
				return w.mirror.MarkDirty(w.ctx, tx, []int64{id}, w.now.Add(-c.ago), w.now, c.cause)
			})
			w.settle(t)
			var n int
			w.must(t, w.db.Read().GetContext(w.ctx, &n, "SELECT COUNT(*) FROM touches WHERE contact_id=? AND lane=? AND due_at=0", id, crm.LaneOf(id)))
			if (n == 1) != c.told {
				t.Errorf("%+v: %d touches", c, n)
			}
		}
	})
}

// Nobody can write the id of a segment that a campaign has for itself.
func TestIdsOfImplicitSegmentsAreNotForPeople(t *testing.T) {
	t.Parallel()
	f := rule.File{"campaign:birthday": {Match: rule.Condition{Birthday: &rule.Birthday{Today: true}}}}
	if defs, problems := rule.CompileAll(f); len(problems) > 0 || len(defs) != 1 {
		t.Fatal(problems)
	}
	if problems := f.Validate(); len(problems) != 1 || problems[0].Path != "$.campaign:birthday" {
		t.Fatalf("%+v", problems)
	}
}
