package engine_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

func TestHintsAndABackfillTakeTurns(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var turns []string
		var asked []string
		src := paged(100, &asked)
		inner := src.pull
		src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
			turns = append(turns, "page")
			return inner(ctx, s, after, size)
		}
		src.read = func(_ context.Context, ref crm.Ref) (connectors.Page, error) {
			turns = append(turns, "hint")
			f := order(ref.ID, "hinted")
			return page("", false, f), nil
		}
		r := newRig(t, db, src)
		var refs []crm.Ref
		for i := 1000; i < 1030; i++ {
			refs = append(refs, crm.Ref{Kind: crm.KindOrder, ID: strconv.Itoa(i)})
		}
		r.hint(refs...)
		r.idle()
		got := strings.Join(turns[:18], " ")
		want := strings.TrimSpace(strings.Repeat("hint hint hint hint hint page ", 3))
		if got != want {
			t.Fatalf("turns: %s", got)
		}
		if n := r.count("SELECT COUNT(*) FROM hints"); n != 0 {
			t.Fatalf("%d hints are left", n)
		}
		if n := r.count("SELECT COUNT(*) FROM orders"); n != 130 {
			t.Fatalf("%d orders", n)
		}
	})
}

func TestARefusedReadIsQuarantinedAFailingOneParkedAndBothAreSeen(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		reads := map[string]int{}
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			read: func(_ context.Context, ref crm.Ref) (connectors.Page, error) {
				reads[ref.ID]++
				if ref.ID == "1" {
					return connectors.Page{}, fault.New(fault.Reject, "reading an order", errors.New("its id is a list"))
				}
				return connectors.Page{}, fault.New(fault.Retry, "reading an order", errors.New("status 500"))
			},
		})
		r.settle()
		r.hint(crm.Ref{Kind: crm.KindOrder, ID: "1"}, crm.Ref{Kind: crm.KindOrder, ID: "2"})
		for range 300 {
			r.after(5 * time.Minute)
		}
		if n := r.count("SELECT COUNT(*) FROM quarantine WHERE id='1' AND reason LIKE '%its id is a list%'"); n != 1 || reads["1"] != 1 {
			t.Errorf("%d in quarantine after %d reads", n, reads["1"])
		}
		if n := r.count("SELECT COUNT(*) FROM hints WHERE id='2' AND error LIKE '%status 500%'"); n != 1 || reads["2"] != 12 {
			t.Errorf("%d parked after %d reads", n, reads["2"])
		}
		if done, err := r.e.CaughtUp(t.Context()); err != nil || !done {
			t.Errorf("a parked hint keeps the shop from being caught up (%v)", err)
		}
	})
}

func TestAHintAskedForAgainWhileItIsReadIsReadAgain(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		ref := crm.Ref{Kind: crm.KindOrder, ID: "5"}
		reads := 0
		var r *rig
		r = newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			read: func(context.Context, crm.Ref) (connectors.Page, error) {
				if reads++; reads == 1 {
					r.hint(ref) // a webhook comes in meanwhile
				}
				return page("", false, order("5", strconv.Itoa(reads))), nil
			},
		})
		r.settle()
		r.hint(ref)
		r.idle()
		if reads != 2 || r.count("SELECT COUNT(*) FROM orders WHERE number='2'") != 1 {
			t.Fatalf("read %d times", reads)
		}
	})
}

// counted sums the series of a counter that carry a label.
func (r *rig) counted(name, label, value string) float64 {
	r.t.Helper()
	all, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	total := 0.0
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					total += m.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}
