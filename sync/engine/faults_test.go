package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
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

func TestB11_TheWatchdogEndsAHangingRequestCountsItAndGoesOnAtTheCursor(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		src := paged(40, &asked)
		inner := src.pull
		hung := false
		src.pull = func(ctx context.Context, s string, after connectors.Cursor, size int) (connectors.Page, error) {
			if string(after) == "20" && !hung {
				hung = true
				<-ctx.Done()
				return connectors.Page{}, ctx.Err()
			}
			return inner(ctx, s, after, size)
		}
		r := newRig(t, db, src)
		r.e.SetPatience(300 * time.Millisecond)
		r.settle()
		if got := strings.Join(asked, " "); got != " 10 20 30" || !hung {
			t.Errorf("pages asked for: %q", got)
		}
		if n := r.counted("relance_sync_stuck_total", "shop", "boutique"); n != 1 {
			t.Errorf("counted %v", n)
		}
	})
}

// A record on which the shop breaks is soon alone on its page, where the connector can leave it out.
func TestB7_ARecordOnWhichTheShopBreaksIsIsolatedAndTheRestGoesOn(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		const bad, all = 137, 250
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(_ context.Context, _ string, after connectors.Cursor, size int) (connectors.Page, error) {
				from, _ := strconv.Atoi(string(after))
				to := min(from+size, all)
				p := page(strconv.Itoa(to), to < all)
				for i := from + 1; i <= to; i++ {
					switch {
					case i == bad && size > 1:
						return connectors.Page{}, fault.New(fault.Retry, "listing orders", errors.New("status 500"))
					case i == bad:
						p.Rejected = append(p.Rejected, connectors.Rejected{Ref: order("137", "").Ref, Reason: "the shop breaks on it"})
					default:
						f := order(strconv.Itoa(i), "N")
						p.Facts, p.Raw = append(p.Facts, f), append(p.Raw, raw(f))
					}
				}
				return p, nil
			},
		})
		for range 60 {
			r.after(time.Minute)
		}
		if n := r.count("SELECT COUNT(*) FROM orders"); n != all-1 {
			t.Errorf("%d orders", n)
		}
		if n := r.count("SELECT COUNT(*) FROM quarantine WHERE id='137'"); n != 1 {
			t.Errorf("%d in quarantine", n)
		}
		if s := r.streams()["orders"]; s.Attempts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAShopThatAlwaysAsksToWaitIsShown(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		asked := 0
		r := newRig(t, db, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				asked++
				return connectors.Page{}, &fault.Error{Class: fault.Throttled, Op: "listing orders", After: 100 * time.Hour, Err: errors.New("status 429")}
			},
		})
		for range 100 {
			r.after(time.Minute)
		}
		if asked != 7 { // a quarter of an hour is the longest that anybody is obeyed
			t.Errorf("asked %d times in 100 minutes", asked)
		}
		if s := r.reload(); !strings.Contains(s.Fault, "status 429") || r.streams()["orders"].Attempts != 0 {
			t.Errorf("fault %q", s.Fault)
		}
	})
}

// A shop that hangs has nothing but its own engine waiting.
func TestB7_AHangingShopSlowsNoOther(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked []string
		r := newRig(t, db, paged(100, &asked))
		other, err := r.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "atelier", Audience: "default", Platform: "woocommerce", Zone: "Europe/Paris"})
		if err != nil {
			t.Fatal(err)
		}
		hangs, release := make(chan struct{}), make(chan struct{})
		stuck := newRigFor(t, db, other, &odd{
			streams: []connectors.Stream{orderStream},
			pull: func(context.Context, string, connectors.Cursor, int) (connectors.Page, error) {
				close(hangs)
				<-release
				return page("", false, order("1", "late")), nil
			},
		}, r.now)
		stuck.step() // the probe
		ended := make(chan error)
		go func() {
			_, _, err := stuck.e.Step(t.Context(), stuck.now)
			ended <- err
		}()
		<-hangs
		r.settle()
		if n := r.count("SELECT COUNT(*) FROM orders"); n != 100 {
			t.Errorf("%d orders", n)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Two processes on one database: only one of them asks the shop, and when it is gone the other one does.
func TestTwoProcessesNeverPollOneShopAtOnce(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		var asked, askedToo []string
		r := newRig(t, db, paged(30, &asked))
		second := newRigFor(t, db, r.shop, paged(30, &askedToo), r.now)
		for range 6 {
			r.step()
			if _, worked := second.step(); worked {
				t.Fatal("both read the shop")
			}
		}
		if len(asked) != 3 || len(askedToo) != 0 {
			t.Fatalf("asked %d and %d pages", len(asked), len(askedToo))
		}
		r.expireLeases()
		second.after(2 * time.Minute)
		if len(askedToo) == 0 {
			t.Fatal("nobody took over")
		}
		r.at(second.now.Add(time.Hour)) // it was asleep for as long as a lease lasts
		r.idle()
		if len(asked) != 3 {
			t.Errorf("the first one went on: %d pages", len(asked))
		}
	})
}
