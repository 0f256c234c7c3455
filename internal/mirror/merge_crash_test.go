package mirror_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

var errCrash = errors.New("crash")

// TestMergesAndErasuresSurviveACrashAtEveryCommit lets the program die before and after every commit of merges, a split
// and an erasure, and a successor go on: it ends as if nothing had happened.
func TestMergesAndErasuresSurviveACrashAtEveryCommit(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			var l lives
			l.db = servers.Open(t, engine, store.Options{Fault: l.fault})
			want := l.live(t, 0)
			commits := l.commits
			for _, name := range []string{"mirror.merge", "mirror.merge_rows", "mirror.split", "mirror.split_rows", "mirror.erase", "mirror.erase_rows"} {
				if !slices.Contains(commits, name+" before") {
					t.Errorf("there is no commit of %s", name)
				}
			}
			step := 1
			if engine == store.MySQL { // slower, and the same rows: before and after take turns
				step = 3
			}
			for crash := 1; crash <= len(commits); crash += step {
				if diff := cmp.Diff(want, l.live(t, crash)); diff != "" {
					t.Fatalf("crash at %s:\n%s", commits[crash-1], diff)
				}
			}
		})
	}
}

// lives are lived one after the other in one database, each in an audience of its own.
type lives struct {
	db      *store.DB
	armed   bool
	crash   int      // the commit that fails, 0 = none
	commits []string // of this life
}

func (l *lives) fault(name, when string) error {
	if !l.armed || !strings.HasPrefix(name, "mirror.") {
		return nil
	}
	if l.commits = append(l.commits, name+" "+when); len(l.commits) == l.crash {
		return errCrash
	}
	return nil
}

// live carries out wishes, through a crash at one commit, and gives what is stored at the end.
func (l *lives) live(t *testing.T, crash int) map[string][]string {
	t.Helper()
	l.crash, l.commits = crash, nil
	w := newWorld(t, mirror.New(l.db), fmt.Sprint("life ", crash))
	w.b.at = at("2026-11-01 00:00")
	var facts []crm.Fact
	for i := range 220 { // more than one page
		facts = append(facts, order(i, "", "a@x.fr", 100))
	}
	w.b.read(append(facts, customer(1, "b@x.fr"), order(900, "1", "", 5), customer(2, "c@x.fr"), order(901, "2", "", 5), cart(9, "c@x.fr"))...)
	p := (&people{bench: w.b}).successor(t)
	a, b, c := p.id("a@x.fr"), p.id("b@x.fr"), p.id("c@x.fr")
	merge := func(from, to int64) func() error {
		return func() error { _, err := p.m.Merge(t.Context(), from, to, "", p.at); return err }
	}
	settle := func() error { return p.trySettle() }
	l.armed = true
	for _, wish := range []func() error{
		merge(a, b), settle,
		func() error { _, err := p.m.Split(t.Context(), a, "", p.at); return err }, settle,
		merge(c, b), settle,
		func() error { _, err := p.m.Erase(t.Context(), a, p.at); return err }, settle,
	} {
		for err := wish(); err != nil; err = wish() {
			if !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			p = p.successor(t)
		}
	}
	l.armed = false
	end := w.dump()
	for name, query := range map[string]string{
		"merges":     "SELECT from_email, to_email, state FROM contact_merges WHERE audience_id=%d",
		"erasures":   "SELECT state, phase FROM contact_erasures WHERE audience_id=%d",
		"departures": "SELECT d.why FROM departures d JOIN contacts c ON c.id=d.contact_id WHERE c.audience_id=%d",
	} {
		end[name] = texts(t, l.db, fmt.Sprintf(query, w.b.shop.AudienceID))
	}
	return end
}

// successor is the next process: it knows what is committed, and takes the lanes over.
func (p *people) successor(t *testing.T) *people {
	t.Helper()
	leases := store.NewLeases(p.m.DB(), fmt.Sprint("successor ", p.m.DB().NewID()), time.Hour)
	if err := leases.ExpireAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := leases.Acquire(t.Context(), store.LaneLeases(crm.Lanes)...); err != nil {
		t.Fatal(err)
	}
	m := mirror.New(p.m.DB())
	return &people{&bench{tb: t, m: m, shop: p.shop, at: p.at}, mirror.NewIdentities(m, leases)}
}

func (p *people) trySettle() error {
	for {
		_, worked, err := p.work.Step(p.tb.Context(), p.at.Time())
		if err != nil || !worked {
			return err
		}
	}
}

// Facts that were resolved before a merge and are committed after it would stay with the wrong contact for good: whoever
// merges waits for them.
func TestAMergeWaitsForFactsOnTheirWay(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		waitsFor(t, func(t *testing.T, p *people, tx *store.Tx, leases *store.Leases) error {
			return leases.Fence(t.Context(), tx, store.ShopLease(p.shop.ID))
		})
	})
	t.Run("sent", func(t *testing.T) {
		waitsFor(t, func(t *testing.T, p *people, tx *store.Tx, _ *store.Leases) error {
			_, err := p.m.ObserveNow(t.Context(), tx, p.shop.ID, p.at)
			return err
		})
	})
}

func waitsFor(t *testing.T, hold func(t *testing.T, p *people, tx *store.Tx, leases *store.Leases) error) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(order(1, "", "a@x.fr", 1), order(2, "", "b@x.fr", 1))
		a, b := p.id("a@x.fr"), p.id("b@x.fr")
		leases := store.NewLeases(p.m.DB(), "engine", time.Hour)
		if strings.Contains(t.Name(), "/read/") {
			if _, err := leases.Acquire(t.Context(), store.ShopLease(p.shop.ID)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.m.DB().Write(t.Context(), "test.sent", func(tx *store.Tx) error { _, err := p.m.ObserveNow(t.Context(), tx, p.shop.ID, p.at); return err }); err != nil {
			t.Fatal(err)
		}
		merged := make(chan error, 1)
		at := p.tick()
		if err := p.m.DB().Write(t.Context(), "test.page", func(tx *store.Tx) error {
			if err := hold(t, p, tx, leases); err != nil {
				return err
			}
			_, err := p.m.Apply(t.Context(), tx, mirror.Batch{ShopID: p.shop.ID, ObservedAt: at, Cause: crm.CauseChange, Facts: []crm.Fact{order(3, "", "a@x.fr", 1)}})
			go func() {
				_, err := p.m.Merge(t.Context(), a, b, "", at)
				if err == nil {
					err = p.trySettle()
				}
				merged <- err
			}()
			select {
			case <-merged:
				t.Error("the merge did not wait")
			case <-time.After(300 * time.Millisecond): // that it waits gives no signal
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := <-merged; err != nil {
			t.Fatal(err)
		}
		if n := p.number("SELECT COUNT(*) FROM orders WHERE contact_id=?", b); n != 3 {
			t.Errorf("%d of 3 orders are at the merged contact", n)
		}
	})
}

// Whoever has lost the lane moves nothing, even if it does not know yet.
func TestAMergeIsCarriedOutByTheOwnerOfItsLaneAlone(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(order(1, "", "a@x.fr", 1), order(2, "", "b@x.fr", 1))
		p.merge("a@x.fr", "b@x.fr")
		heir := p.successor(t)
		if _, worked, err := p.work.Step(t.Context(), p.at.Time()); worked || err != nil {
			t.Errorf("worked %t, %v", worked, err)
		}
		if n := p.number("SELECT COUNT(*) FROM contact_merges WHERE state='merging'"); n != 1 {
			t.Error("the former owner carried it out")
		}
		heir.settle()
		if n := len(p.profile("b@x.fr").Orders); n != 2 {
			t.Errorf("%d orders", n)
		}
	})
}
