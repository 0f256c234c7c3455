package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

// worded is a shop whose orders have a word, which the mapping reads as a state.
type worded struct {
	*odd
	orders map[int]string // id → word
	states map[string]string
	ticked map[string]string // word → what the opt-in says
	rules  string
	asked  int // pages and reads
	broken error
}

func newWorded(n int) *worded {
	w := &worded{orders: map[int]string{}, states: map[string]string{"new": crm.StatePending}, rules: "1", odd: &odd{streams: []connectors.Stream{orderStream}}}
	for i := 1; i <= n; i++ {
		w.orders[i] = "new"
	}
	w.pull = func(ctx context.Context, _ string, after connectors.Cursor, _ int) (connectors.Page, error) {
		w.asked++
		from, _ := strconv.Atoi(string(after))
		if from >= len(w.orders) {
			from = 0
		}
		p := connectors.Page{Next: connectors.Cursor(strconv.Itoa(from + 20)), More: from+20 < len(w.orders), Total: len(w.orders)}
		for i := from + 1; i <= min(from+20, len(w.orders)); i++ {
			w.add(ctx, &p, i)
		}
		return p, nil
	}
	w.read = func(ctx context.Context, ref crm.Ref) (connectors.Page, error) {
		w.asked++
		id, _ := strconv.Atoi(ref.ID)
		p := connectors.Page{Total: -1}
		w.add(ctx, &p, id)
		return p, nil
	}
	return w
}

func (w *worded) add(ctx context.Context, p *connectors.Page, id int) {
	body, _ := json.Marshal(w.orders[id])
	raw := connectors.RawRecord{Ref: crm.Ref{Kind: crm.KindOrder, ID: strconv.Itoa(id)}, Body: body}
	some, _ := w.normalise(ctx, raw)
	p.Facts, p.Raw = append(p.Facts, some.Facts...), append(p.Raw, raw)
}

func (w *worded) Rules() string { return w.rules }

func (w *worded) Normalise(ctx context.Context, raw connectors.RawRecord) (connectors.Page, error) {
	if w.broken != nil {
		return connectors.Page{}, w.broken
	}
	return w.normalise(ctx, raw)
}

func (w *worded) normalise(_ context.Context, raw connectors.RawRecord) (connectors.Page, error) {
	var word string
	if err := json.Unmarshal(raw.Body, &word); err != nil {
		return connectors.Page{}, err
	}
	f := order(raw.Ref.ID, "N"+raw.Ref.ID)
	o, _ := f.Body.(*crm.Order)
	o.Email, o.Status, o.State = "o"+raw.Ref.ID+"@example.org", word, w.states[word]
	p := connectors.Page{Facts: []crm.Fact{f}}
	if says := w.ticked[word]; says != "" {
		p.Facts = append(p.Facts, crm.Fact{Ref: raw.Ref, Body: &crm.OptIn{Value: says, Email: o.Email}})
	}
	return p, nil
}

// remap changes the mapping and starts a new process with it.
func (w *worded) remap(r *rig, rules, state string) {
	w.rules, w.states = rules, map[string]string{"new": state, "paid": crm.StateAccepted}
	r.restart(w)
}

func (r *rig) labelled(state string) int {
	r.t.Helper()
	return r.count("SELECT COUNT(*) FROM orders WHERE state=?", state)
}

func TestAChangedMappingRelabelsWithoutAskingTheShopAndTriggersNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorded(250)
		r := newRig(t, db, w)
		r.settle()
		r.clearDirty()
		asked := w.asked
		w.ticked = map[string]string{"new": "yes"}
		w.remap(r, "2", crm.StateOnHold)
		if done, err := r.e.CaughtUp(t.Context()); err != nil || done {
			t.Errorf("caught up before anything was read again: %v", err)
		}
		r.idle()
		if n := r.labelled(crm.StateOnHold); n != 250 || w.asked != asked {
			t.Fatalf("%d orders are labelled anew; the shop was asked %d times", n, w.asked-asked)
		}
		if n := r.count("SELECT COUNT(*) FROM consent_state WHERE state='granted'"); n != 250 {
			t.Errorf("%d consents", n)
		}
		if n, all := r.count("SELECT COUNT(*) FROM dirty WHERE cause<>'redefined'"), r.count("SELECT COUNT(*) FROM dirty"); n != 0 || all != 250 {
			t.Errorf("%d of %d marks trigger", n, all)
		}
		if s := r.reload(); s.Rules != "2" {
			t.Errorf("rules %q", s.Rules)
		}
		last := r.seen[len(r.seen)-1]
		if last.Done != 250 || last.Total != 250 {
			t.Errorf("progress %+v", last)
		}
		before := r.contents()
		r.restart(w)
		r.idle()
		if r.contents() != before {
			t.Error("the same mapping is applied twice")
		}
		w.remap(r, "3", crm.StateFailed) // once more, from the same bodies
		r.idle()
		if n := r.labelled(crm.StateFailed); n != 250 || w.asked != asked {
			t.Errorf("%d orders the second time; the shop was asked %d times", n, w.asked-asked)
		}
	})
}

func TestAReadingByNewRulesIsTheMappingsDoingAndAChangeOfTheShopIsNot(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorded(40)
		r := newRig(t, db, w)
		r.settle()
		r.clearDirty()
		w.remap(r, "2", crm.StateOnHold)
		w.orders[7] = "paid"
		r.at(r.now.Add(2 * time.Minute)) // the stream is due, and goes before the walk
		r.idle()
		if got := r.rows("SELECT c.email_norm FROM dirty d JOIN contacts c ON c.id=d.contact_id WHERE d.cause='change'"); len(got) != 1 {
			t.Fatalf("changed: %v", got)
		}
		if r.labelled(crm.StateOnHold) != 39 || r.labelled(crm.StateAccepted) != 1 {
			t.Error("not everything is labelled anew")
		}
	})
}

func TestANewerReadIsNeverOverwrittenByAnOldBody(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorded(3)
		r := newRig(t, db, w)
		r.settle()
		// Another stream read order 2 later and brought no body: what is stored of it is older than what is known.
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE source_records SET read_at=read_at-5000 WHERE id='2'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), "DELETE FROM source_records WHERE id='3'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r.clearDirty()
		asked := w.asked
		w.remap(r, "2", crm.StateOnHold)
		r.idle()
		if n := r.labelled(crm.StateOnHold); n != 3 || w.asked != asked+2 {
			t.Errorf("%d labelled; asked %d times, want the two whose body says too little", n, w.asked-asked)
		}
		if n := r.count("SELECT COUNT(*) FROM dirty WHERE cause<>'redefined'"); n != 0 {
			t.Errorf("%d marks trigger", n)
		}
	})
}

func TestAShopThatCannotSayWhatItsWordsMeanIsAskedAgainLater(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorded(3)
		r := newRig(t, db, w)
		r.settle()
		w.remap(r, "2", crm.StateOnHold)
		w.broken = fault.New(fault.Retry, "listing states", errors.New("status 500"))
		r.idle()
		if r.labelled(crm.StateOnHold) != 0 || r.reload().Rules != "1" {
			t.Fatal("labelled without knowing how")
		}
		w.broken = nil
		r.after(5 * time.Minute)
		if r.labelled(crm.StateOnHold) != 3 {
			t.Error("not labelled anew")
		}
	})
}

// A process that dies at any commit of the walk leaves a walk that the next one ends.
func TestNoCommitOfAWalkIsACrashTooMany(t *testing.T) {
	walk := func(t *testing.T, dialect store.Dialect, p *plug) (int, string) {
		t.Helper()
		db := servers.Open(t, dialect, store.Options{Fault: p.commit})
		w := newWorded(250)
		r := newRig(t, db, w)
		r.settle()
		r.clearDirty()
		w.remap(r, "2", crm.StateOnHold)
		p.armed = true
		for range 200 {
			_, worked, err := r.e.Step(t.Context(), r.now)
			switch {
			case errors.Is(err, errPlug):
				p.armed = false
				r.expireLeases()
				r.leases = store.NewLeases(db, "the next process", time.Hour)
				r.restart(w)
				p.armed = true
			case err != nil:
				t.Fatal(err)
			case !worked:
				p.armed = false
				return len(p.seen), fmt.Sprintf("%d %s %d", r.labelled(crm.StateOnHold), r.reload().Rules, r.count("SELECT COUNT(*) FROM dirty WHERE cause<>'redefined'"))
			}
		}
		t.Fatal("the walk never ends")
		return 0, ""
	}
	for _, dialect := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(dialect), func(t *testing.T) {
			n, want := walk(t, dialect, &plug{})
			if want != "250 2 0" {
				t.Fatal(want)
			}
			for at := 1; at <= n; at++ {
				for _, when := range []string{"before", "after"} {
					if _, got := walk(t, dialect, &plug{at: at, when: when}); got != want {
						t.Errorf("%s commit %d: %s", when, at, got)
					}
				}
			}
		})
	}
}
