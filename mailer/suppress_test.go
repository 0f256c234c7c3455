package mailer_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

// Segments ask who can be reached: they are told of every suppression, once.
func TestASuppressionIsToldToSegments(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		m := mailer.NewMirror(w.db)
		a, b, c := w.stranger("a@example.com"), w.stranger("b@example.com"), w.stranger("c@example.com")
		w.merge(a, b)
		suppress := func(email, scope, reason string) (marked []int64) {
			t.Helper()
			w.exec("DELETE FROM dirty")
			w.write(func(tx *store.Tx) error {
				_, err := mailer.Suppress(t.Context(), tx, w.audience, email, scope, reason, "test", crm.At(w.now))
				return err
			})
			marks := must(m.DirtyOf(t.Context(), w.db.Read(), []int64{a, b, c}))(t)
			for id, d := range marks {
				if d.Cause != crm.CauseConsent {
					t.Errorf("cause %s", d.Cause)
				}
				marked = append(marked, id)
			}
			slices.Sort(marked)
			return marked
		}
		both := []int64{min(a, b), max(a, b)}
		for _, s := range []struct {
			email, scope, reason string
			want                 []int64
		}{
			{"a@example.com", mailer.ScopeAll, crm.SuppressedBounced, both},
			{"a@example.com", mailer.ScopeAll, crm.SuppressedBounced, nil}, // again
			{"b@example.com", mailer.ScopeMarketing, crm.SuppressedUnsubscribed, []int64{b}},
			{"nobody@example.com", mailer.ScopeMarketing, crm.SuppressedUnsubscribed, nil},
		} {
			if d := cmp.Diff(s.want, suppress(s.email, s.scope, s.reason)); d != "" {
				t.Errorf("%s: %s", s.email, d)
			}
		}
		ps := must(m.Profiles(t.Context(), w.db.Read(), []int64{a, b, c}, crm.Needs{Account: true}))(t)
		got := map[int64][]string{}
		for _, p := range ps {
			got[p.Contact.ID] = p.Contact.Suppressed
		}
		want := map[int64][]string{a: {"bounced"}, b: {"bounced", "unsubscribed"}, c: nil}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}
