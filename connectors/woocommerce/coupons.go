package woocommerce

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
)

type wireCoupon struct {
	ID      ident `json:"id"`
	Code    text  `json:"code"`
	Expires text  `json:"date_expires"` // by the shop's clock
}

// couponWrite is what is sent to make or change a coupon; what is "" or 0 stays.
type couponWrite struct {
	Code        string `json:"code,omitempty"`
	Type        string `json:"discount_type,omitempty"`
	Amount      string `json:"amount,omitempty"`
	UsageLimit  int    `json:"usage_limit,omitempty"`
	Expires     string `json:"date_expires,omitempty"`
	Description string `json:"description,omitempty"`
}

const (
	codeExists  = "woocommerce_rest_coupon_code_already_exists"
	lastInstant = "T23:59:59"
)

// makeCoupon sees to it that the shop has a coupon, with its end (connectors.TaskCoupon). What it is worth is settled when
// it is made: an owner who changes that by hand is not overruled.
func (s *Source) makeCoupon(ctx context.Context, key string) (connectors.Outcome, error) {
	c, err := connectors.ParseCoupon(key)
	if err != nil {
		return connectors.Outcome{}, fault.New(fault.Reject, "woocommerce: make a coupon", err)
	}
	found, err := s.coupon(ctx, c.Code)
	if err == nil && found == nil {
		found, err = s.createCoupon(ctx, c)
		if err == nil && found == nil {
			return connectors.Outcome{Done: "The coupon was made."}, nil
		}
	}
	if err == nil && c.Until != "" && !strings.HasPrefix(string(found.Expires), c.Until) {
		_, err = s.client.write(ctx, "change a coupon", http.MethodPut, "coupons/"+string(found.ID), couponWrite{Expires: c.Until + lastInstant})
		if err == nil {
			return connectors.Outcome{Done: "The coupon ends on " + c.Until + "."}, nil
		}
	}
	switch {
	case mayNot(err):
		return connectors.Outcome{Mend: "The key may not make coupons: give it the permission Read/Write (WooCommerce → Settings → Advanced → REST API) " +
			"and create it under a shop manager or an administrator; or make codes by hand and import them with relance coupon import."}, nil
	case err != nil:
		return connectors.Outcome{}, err
	}
	return connectors.Outcome{Done: "The coupon is there already."}, nil
}

// createCoupon gives nil when it made the coupon, else the one that was there first.
func (s *Source) createCoupon(ctx context.Context, c connectors.Coupon) (*wireCoupon, error) {
	w := couponWrite{Code: c.Code, Type: "percent", Amount: c.Percent, UsageLimit: 1, Description: "Relance"}
	if c.Amount != "" {
		w.Type, w.Amount = "fixed_cart", c.Amount
	}
	if c.Until != "" {
		w.Expires = c.Until + lastInstant
	}
	_, err := s.client.write(ctx, "make a coupon", http.MethodPost, "coupons", w)
	if r, refused := errors.AsType[*refused](err); refused && r.code == codeExists {
		return s.coupon(ctx, c.Code)
	}
	return nil, err
}

// coupon finds the shop's coupon of a code; nil when it has none. The shop takes capital letters for small ones.
func (s *Source) coupon(ctx context.Context, code string) (*wireCoupon, error) {
	const op = "find a coupon"
	a, err := s.client.get(ctx, op, "coupons", url.Values{"code": {code}})
	if err != nil {
		return nil, err
	}
	all, err := decodeList[wireCoupon](s.client, op, a)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strings.EqualFold(string(all[i].Code), code) {
			return &all[i], nil
		}
	}
	return nil, nil
}
