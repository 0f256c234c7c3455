package wooshop

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Coupon is a coupon for tests to look at; Expires is by the shop's clock, "" without an end.
type Coupon struct {
	ID                          int64
	Code, Type, Amount, Expires string
	UsageLimit                  int
}

// couponJSON is a coupon as recorded: unset limits are null, unset amounts 0.00.
type couponJSON struct {
	ID          int64   `json:"id"`
	Code        string  `json:"code"`
	Amount      string  `json:"amount"`
	Status      string  `json:"status"`
	Created     string  `json:"date_created"`
	CreatedG    string  `json:"date_created_gmt"`
	Modified    string  `json:"date_modified"`
	ModifiedG   string  `json:"date_modified_gmt"`
	Type        string  `json:"discount_type"`
	Description string  `json:"description"`
	Expires     *string `json:"date_expires"`
	ExpiresG    *string `json:"date_expires_gmt"`
	UsageCount  int     `json:"usage_count"`
	UsageLimit  *int    `json:"usage_limit"`
	MinAmount   string  `json:"minimum_amount"`
	MaxAmount   string  `json:"maximum_amount"`
}

// Coupons lists the coupons that were made through the API.
func (s *Shop) Coupons() []Coupon {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Coupon, 0, len(s.coupons.rows))
	for _, r := range s.coupons.rows {
		var w couponJSON
		if json.Unmarshal(r.raw, &w) != nil {
			continue
		}
		c := Coupon{ID: w.ID, Code: w.Code, Type: w.Type, Amount: w.Amount}
		if w.Expires != nil {
			c.Expires = *w.Expires
		}
		if w.UsageLimit != nil {
			c.UsageLimit = *w.UsageLimit
		}
		out = append(out, c)
	}
	return out
}

func (s *Shop) createCoupon(fields map[string]json.RawMessage) reply {
	code := scalarOf(fields["code"])
	if code == "" {
		return errorBody(http.StatusBadRequest, "rest_missing_callback_param", "Missing parameter(s): code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.coupons.rows {
		if strings.EqualFold(r.name, code) {
			return errorBody(http.StatusBadRequest, "woocommerce_rest_coupon_code_already_exists", "The coupon code already exists")
		}
	}
	id := s.nextID
	s.nextID++
	now := s.now()
	w := couponJSON{
		ID: id, Code: code, Amount: "0.00", Status: "publish", Type: "fixed_cart", MinAmount: "0.00", MaxAmount: "0.00",
		Created: now.In(s.zone).Format(wireTime), CreatedG: now.Format(wireTime),
	}
	return s.storeCoupon(w, fields, http.StatusCreated)
}

func (s *Shop) changeCoupon(id int64, fields map[string]json.RawMessage) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.coupons.get(id)
	var w couponJSON
	if r == nil || json.Unmarshal(r.raw, &w) != nil {
		return errorBody(http.StatusBadRequest, "woocommerce_rest_shop_coupon_invalid_id", "Invalid ID.")
	}
	return s.storeCoupon(w, fields, http.StatusOK)
}

// storeCoupon sets what was sent. The caller holds the lock.
func (s *Shop) storeCoupon(w couponJSON, fields map[string]json.RawMessage, status int) reply {
	for name, to := range map[string]*string{"amount": &w.Amount, "discount_type": &w.Type, "description": &w.Description} {
		if v, ok := fields[name]; ok {
			*to = scalarOf(v)
		}
	}
	if v, ok := fields["usage_limit"]; ok && json.Unmarshal(v, &w.UsageLimit) != nil {
		return errorBody(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): usage_limit")
	}
	if v, ok := fields["date_expires"]; ok {
		at, err := time.ParseInLocation(wireTime, scalarOf(v), s.zone)
		if err != nil {
			return errorBody(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): date_expires")
		}
		local, gmt := at.Format(wireTime), at.UTC().Format(wireTime)
		w.Expires, w.ExpiresG = &local, &gmt
	}
	now := s.now()
	w.Modified, w.ModifiedG = now.In(s.zone).Format(wireTime), now.Format(wireTime)
	raw := phpJSON(w)
	s.coupons.put(&record{id: w.ID, raw: raw, name: w.Code, status: w.Status, created: w.CreatedG, modified: w.ModifiedG})
	return reply{Status: status, Header: http.Header{}, Body: raw}
}
