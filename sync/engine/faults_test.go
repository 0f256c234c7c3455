package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

func TestB11_AShopThatHangsIsCancelledAndAskedAgainWithSmallerPages(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var sizes []int
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(ctx context.Context, _ string, _ connectors.Cursor, size int) (connectors.Page, error) {
				if _, bounded := ctx.Deadline(); !bounded {
					t.Error("a pull without a deadline")
				}
				if sizes = append(sizes, size); len(sizes) <= 5 {
					return connectors.Page{}, fault.New(fault.Retry, "listing orders", context.DeadlineExceeded)
				}
				return page("x", false, order("1", "1")), nil
			},
		})
		r.settle()
		if got := fmt.Sprint(sizes); got != "[100 25 6 1 1 1]" {
			t.Fatalf("page sizes %s", got)
		}
	})
}

func TestB12_APageThatPointsToItselfEndsInAVisibleFault(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		asked := 0
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(_ context.Context, _ string, after connectors.Cursor, _ int) (connectors.Page, error) {
				asked++
				return page("here", true, order("1", "1")), nil
			},
		})
		r.idle()
		if asked > 3 {
			t.Fatalf("asked %d times without waiting", asked)
		}
		for range 10 {
			r.after(5 * time.Minute)
		}
		if shop := r.reload(); !strings.Contains(shop.Fault, "paging through orders") {
			t.Fatalf("fault %q", shop.Fault)
		}
	})
}

func TestB7_AFailingStreamDoesNotHoldTheOthersUp(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		products := connectors.Stream{Name: "products", Mode: connectors.ModeDelta, Every: time.Minute, Kind: crm.KindProduct}
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{products, orderStream},
			pull: func(_ context.Context, stream string, _ connectors.Cursor, _ int) (connectors.Page, error) {
				if stream == "products" {
					return connectors.Page{}, fault.New(fault.Retry, "listing products", errors.New("status 500"))
				}
				return page("x", false, order("1", "1")), nil
			},
		})
		r.idle()
		s := r.streams()
		if s["orders"].BackfilledAt == 0 || s["products"].Attempts != 1 || !strings.Contains(s["products"].Error, "status 500") {
			t.Fatalf("streams %+v", s)
		}
		if r.reload().BackfilledAt != 0 {
			t.Fatal("the shop counts as read although its products were not")
		}
		if got := r.counted("relance_sync_requests_total", "outcome", "retry"); got != 1 {
			t.Fatalf("%v requests counted as retry", got)
		}
	})
}

func TestATooEagerReadWaitsAsLongAsTheShopSaysAndCountsNoAttempt(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		asked := 0
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				if asked++; asked == 1 {
					return connectors.Page{}, &fault.Error{Class: fault.Throttled, Op: "listing orders", After: 90 * time.Second, Err: errors.New("status 429")}
				}
				return page("x", false, order("1", "1")), nil
			},
		})
		r.idle()
		r.after(89 * time.Second)
		if asked != 1 {
			t.Fatal("the shop was asked before its time")
		}
		if s := r.streams()["orders"]; s.Attempts != 0 {
			t.Fatalf("counted as an attempt: %+v", s)
		}
		r.after(time.Second)
		if asked != 2 || r.streams()["orders"].BackfilledAt == 0 {
			t.Fatalf("asked %d times", asked)
		}
	})
}

func TestAWrongKeyPausesTheShopSaysSoAndRecovers(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		wrong := &fault.Error{Class: fault.Operator, Op: "listing orders", Err: errors.New("status 401"), Hint: "Check the key in shops/boutique.yaml"}
		asked := 0
		var broken error = wrong
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				asked++
				return page("x", false, order("1", "1")), broken
			},
			probe: func(context.Context) (connectors.ProbeResult, error) { return connectors.ProbeResult{}, broken },
		})
		r.idle()
		for range 30 {
			r.after(10 * time.Second)
		}
		if shop := r.reload(); !strings.Contains(shop.Fault, "Check the key") || shop.FaultClass != "operator" {
			t.Fatalf("fault %q of class %q", shop.Fault, shop.FaultClass)
		}
		if asked > 4 {
			t.Fatalf("the shop was asked %d times in five minutes with a wrong key", asked)
		}
		broken = nil
		for range 30 {
			r.after(10 * time.Second)
		}
		if shop := r.reload(); shop.Fault != "" || shop.BackfilledAt == 0 {
			t.Fatalf("five minutes after the key was mended: %+v", shop)
		}
		if n := r.logs.FilterMessage("the shop cannot be read").Len(); n != 1 {
			t.Errorf("the same fault was logged %d times", n)
		}
	})
}
