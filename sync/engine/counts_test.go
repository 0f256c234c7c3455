package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

// counting is an odd source that can be asked how much it has.
type counting struct {
	*odd
	count func(stream string) (int, error)
}

func (c *counting) Count(_ context.Context, stream string) (int, error) { return c.count(stream) }

// counts compares what the shop is said to have with what is mirrored, and with what it really has.
func (r *shopRig) counts(when string) {
	r.t.Helper()
	kinds, err := r.m.Counts(r.t.Context(), r.shop.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	really := map[crm.Kind]int{
		crm.KindOrder: len(r.woo.OrderIDs()) + len(r.woo.OrderIDs("trash")), crm.KindCustomer: len(r.woo.CustomerIDs()),
		crm.KindProduct: len(r.woo.ProductIDs()), crm.KindRefund: len(r.woo.RefundIDs()),
	}
	for _, c := range kinds {
		if c.Kind == crm.KindCart {
			continue
		}
		if n, known := really[c.Kind]; c.Source != c.Mirrored+c.Quarantined || (known && int(c.Source) != n) {
			r.t.Errorf("%s: %s: %+v; the shop has %d", when, c.Kind, c, n)
		}
	}
}

func (r *shopRig) refresh() (differs bool) {
	r.t.Helper()
	differs, err := r.e.RefreshCounts(r.t.Context(), r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	return differs
}

func TestCountsStayTrueWhileTheShopLives(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := newShopRig(t, db)
		r.settle()
		if r.refresh() {
			t.Error("nothing moved, and yet something differs")
		}
		r.counts("after the backfill")
		var ids []int64
		for range 4 {
			id, err := r.woo.CreateOrder(wooshop.OrderSpec{Email: "new@example.org", Items: []wooshop.Item{{ProductID: r.woo.Goods()[0].ProductID, Quantity: 1}}})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := r.woo.TrashOrder(ids[0]); err != nil {
			t.Fatal(err)
		}
		for range 16 { // by itself, within ten minutes of a run that saw them
			r.after(time.Minute)
		}
		r.counts("orders came, one is in the bin")
		if err := r.woo.DeleteOrder(ids[0]); err != nil { // nobody is told
			t.Fatal(err)
		}
		if err := r.woo.DeleteOrder(ids[1]); err != nil {
			t.Fatal(err)
		}
		if err := r.woo.TrashProduct(r.woo.ProductIDs()[0]); err != nil {
			t.Fatal(err)
		}
		r.at(r.now.Add(time.Minute))
		r.settle()
		if !r.refresh() {
			t.Fatal("two deletions go unnoticed")
		}
		if done, err := r.e.CaughtUp(t.Context()); err != nil || done {
			t.Fatalf("caught up before the lists were compared: %v", err)
		}
		r.settle()
		if r.refresh() {
			t.Error("the lists were compared, and yet something differs")
		}
		r.counts("orders went")
		r.whole()
	})
}

func TestCountingWaitsForWhatMattersMore(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var turns, asked []string
		src := &counting{odd: paged(30, &asked), count: func(string) (int, error) { turns = append(turns, "count"); return 31, nil }}
		inner := src.pull
		src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
			turns = append(turns, "page")
			return inner(ctx, s, after, size)
		}
		src.read = func(_ context.Context, ref crm.Ref) (connectors.Page, error) {
			turns = append(turns, "hint")
			return page("", false, order(ref.ID, "hinted")), nil
		}
		r := newRig(t, db, src)
		r.settle()
		for range 9 {
			r.after(time.Minute)
		}
		if slices.Contains(turns, "count") {
			t.Fatal("counted although the backfill's count is fresh")
		}
		turns = nil
		r.hint(crm.Ref{Kind: crm.KindOrder, ID: "40"}, crm.Ref{Kind: crm.KindOrder, ID: "41"})
		r.after(2 * time.Minute)
		if got := strings.Join(turns, " "); got != "hint hint page page page count" {
			t.Errorf("turns: %s", got)
		}
		if s := r.streams()["orders"]; s.SourceCount != 31 || s.CountedAt != crm.At(r.now) {
			t.Errorf("%+v", s)
		}
		turns = nil
		for range 9 {
			r.after(time.Minute)
		}
		if slices.Contains(turns, "count") {
			t.Error("counted again within ten minutes")
		}
	})
}

func TestAShopThatDoesNotSayHowMuchItHasIsReadAllTheSame(t *testing.T) {
	for name, answer := range map[string]func(string) (int, error){
		"silent":  func(string) (int, error) { return -1, nil },
		"refused": func(string) (int, error) { return -1, fault.New(fault.Operator, "counting", context.DeadlineExceeded) },
		"down":    func(string) (int, error) { return -1, fault.New(fault.Retry, "counting", context.DeadlineExceeded) },
	} {
		t.Run(name, func(t *testing.T) {
			servers.Each(t, func(t *testing.T, db *store.DB) {
				var asked []string
				times := 0
				r := newRig(t, db, &counting{odd: paged(30, &asked), count: func(s string) (int, error) { times++; return answer(s) }})
				r.settle()
				for range 25 {
					r.after(time.Minute)
				}
				if times != 2 {
					t.Errorf("asked %d times in 25 minutes", times)
				}
				if s := r.streams()["orders"]; s.SourceCount != 30 || s.Attempts != 0 || s.ReadAt != crm.At(r.now) {
					t.Errorf("%+v", s)
				}
				if s := r.reload(); s.Fault != "" {
					t.Errorf("fault %q", s.Fault)
				}
			})
		})
	}
}
