package woocommerce_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/fault"
)

func TestCouponsAreMadeOnce(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	tenth := connectors.Coupon{Code: "MERCI-7Q2F", Percent: "10"}
	for _, want := range []string{"The coupon was made.", "The coupon is there already."} {
		if out := perform(t, src, connectors.TaskCoupon, tenth.Key()); out.Done != want || out.Mend != "" || len(out.Reread) > 0 {
			t.Errorf("%+v, want %q", out, want)
		}
	}
	tenth.Until = "2026-12-31"
	for _, want := range []string{"The coupon ends on 2026-12-31.", "The coupon is there already."} {
		if out := perform(t, src, connectors.TaskCoupon, tenth.Key()); out.Done != want {
			t.Errorf("%+v, want %q", out, want)
		}
	}
	perform(t, src, connectors.TaskCoupon, connectors.Coupon{Code: "MERCI-9X", Amount: "5.00", Until: "2026-12-24"}.Key())
	made := shop.Coupons()
	for i := range made {
		made[i].ID = 0
	}
	if diff := cmp.Diff([]wooshop.Coupon{
		{Code: "MERCI-7Q2F", Type: "percent", Amount: "10", Expires: "2026-12-31T23:59:59", UsageLimit: 1},
		{Code: "MERCI-9X", Type: "fixed_cart", Amount: "5.00", Expires: "2026-12-24T23:59:59", UsageLimit: 1},
	}, made); diff != "" {
		t.Error(diff)
	}
}

// An answer that was lost is no second coupon: the shop has the code already when the act is tried again.
func TestACouponWhoseAnswerWasLost(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock)
	key := connectors.Coupon{Code: "MERCI-7Q2F", Percent: "10"}.Key()
	shop.SetFault(func(r *http.Request) *wooshop.Fault {
		if r.Method == http.MethodPost {
			return wooshop.ServerError()
		}
		return nil
	})
	if _, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskCoupon, Key: key}); err == nil {
		t.Fatal("an answer of 500 says nothing")
	}
	shop.SetFault(nil)
	perform(t, src, connectors.TaskCoupon, key)
	if n := len(shop.Coupons()); n != 1 {
		t.Errorf("%d coupons", n)
	}
}

func TestCouponsThatCannotBe(t *testing.T) {
	shop, clock := openShop(t)
	src := connect(t, shop, clock, func(c *woocommerce.Config) { c.Key += "_read" })
	out := perform(t, src, connectors.TaskCoupon, connectors.Coupon{Code: "A", Percent: "10"}.Key())
	if !strings.Contains(out.Mend, "Read/Write") || out.Done != "" || len(shop.Coupons()) != 0 {
		t.Errorf("%+v", out)
	}
	src = connect(t, shop, clock)
	for _, key := range []string{"", "A", "A percent=1 amount=2", "A percent=1 colour=red"} {
		_, err := src.Perform(t.Context(), connectors.Task{Kind: connectors.TaskCoupon, Key: key})
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Class != fault.Reject {
			t.Errorf("%q: %v", key, err)
		}
	}
}
