package woocommerce

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireOrder struct {
	ID           ident        `json:"id"`
	Number       text         `json:"number"`
	Status       text         `json:"status"`
	Currency     text         `json:"currency"`
	CustomerID   ident        `json:"customer_id"`
	Billing      person       `json:"billing"`
	Shipping     person       `json:"shipping"`
	Total        amount       `json:"total"`
	TotalTax     amount       `json:"total_tax"`
	ShippingNet  amount       `json:"shipping_total"`
	ShippingTax  amount       `json:"shipping_tax"`
	DiscountNet  amount       `json:"discount_total"`
	DiscountTax  amount       `json:"discount_tax"`
	Created      stamp        `json:"date_created_gmt"`
	Modified     stamp        `json:"date_modified_gmt"`
	Paid         stamp        `json:"date_paid_gmt"`
	Completed    stamp        `json:"date_completed_gmt"`
	CreatedVia   text         `json:"created_via"`
	PaymentURL   text         `json:"payment_url"`
	Meta         list[meta]   `json:"meta_data"`
	Lines        list[line]   `json:"line_items"`
	Coupons      list[coupon] `json:"coupon_lines"`
	InlineRefund list[struct {
		ID ident `json:"id"`
	}] `json:"refunds"`
}

type coupon struct {
	Code text `json:"code"`
}

type line struct {
	ID          ident      `json:"id"`
	Name        text       `json:"name"`
	ProductID   ident      `json:"product_id"`
	VariationID ident      `json:"variation_id"`
	SKU         text       `json:"sku"`
	Quantity    count      `json:"quantity"`
	Total       amount     `json:"total"` // without tax even when the shop's prices include it
	TotalTax    amount     `json:"total_tax"`
	Image       picture    `json:"image"`
	Meta        list[meta] `json:"meta_data"`
}

// order gives the facets of an order: itself, the cart that it is or that it closed, and what its opt-in box says.
func (n normaliser) order(raw []byte) (crm.Ref, []crm.Fact, error) {
	w, o, err := n.decodeOrder(raw)
	if err != nil {
		return lostRef(crm.KindOrder, raw), nil, err
	}
	ref := crm.Ref{Kind: crm.KindOrder, ID: string(w.ID)}
	facts := []crm.Fact{{Ref: ref, Body: o}, n.cart(w, o)}
	if o.State == crm.StateDraft {
		return ref, facts, nil
	}
	if said := n.optIn(n.mapped.OrderOptIn, record{raw: raw, meta: w.Meta}); said != nil {
		said.SourceAt = o.PlacedAt
		if o.CustomerID == "" {
			said.Email = o.Email
		}
		facts = append(facts, crm.Fact{Ref: ref, Body: said})
	}
	return ref, facts, nil
}

func (n normaliser) decodeOrder(raw []byte) (wireOrder, *crm.Order, error) {
	var w wireOrder
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, nil, err
	}
	if w.ID == "" {
		return w, nil, errors.New("an order without an id")
	}
	if w.Status == "" {
		return w, nil, errors.New("an order without a status")
	}
	cur := strings.ToUpper(string(w.Currency))
	if len(cur) != 3 {
		return w, nil, errors.New("an order without a currency")
	}
	state := n.state(string(w.Status))
	o := &crm.Order{
		Number: string(w.Number), CustomerID: string(w.CustomerID), Email: string(w.Billing.Email),
		FirstName: string(w.Billing.FirstName), LastName: string(w.Billing.LastName),
		Status: string(w.Status), State: state, CountsAsSale: crm.CountsAsSale(state), Currency: cur, TotalRaw: string(w.Total),
		PlacedAt: crm.Instant(w.Created), PaidAt: crm.Instant(w.Paid), CompletedAt: crm.Instant(w.Completed),
		ModifiedAt: crm.Instant(w.Modified), Via: string(w.CreatedVia), Attribution: attribution(w.Meta),
	}
	if state == crm.StateCancelled {
		o.CancelledAt = o.ModifiedAt
	}
	where := w.Billing
	if where.Country == "" {
		where = w.Shipping
	}
	o.Country, o.Region, o.City = strings.ToUpper(string(where.Country)), string(where.State), string(where.City)
	for _, c := range w.Coupons {
		o.Coupons = append(o.Coupons, string(c.Code))
	}
	return w, o, amounts(w, o)
}

func amounts(w wireOrder, o *crm.Order) error {
	var goods []amount
	for _, l := range w.Lines {
		goods = append(goods, l.Total, l.TotalTax)
	}
	for _, s := range []struct {
		to   *int64
		from []amount
	}{
		{&o.Total, []amount{w.Total}},
		{&o.Tax, []amount{w.TotalTax}},
		{&o.Shipping, []amount{w.ShippingNet, w.ShippingTax}},
		{&o.Discount, []amount{w.DiscountNet, w.DiscountTax}},
		{&o.Goods, goods},
	} {
		v, err := lenient.Minor(o.Currency, s.from...)
		if err != nil {
			return err
		}
		*s.to = v
	}
	var err error
	o.Lines, err = lines(w.Lines, o.Currency)
	return err
}

func lines(ws []line, currency string) ([]crm.Line, error) {
	var out []crm.Line
	for _, l := range ws {
		total, err := lenient.Minor(currency, l.Total, l.TotalTax)
		if err != nil {
			return nil, err
		}
		out = append(out, crm.Line{
			ID: string(l.ID), ProductID: string(l.ProductID), VariationID: string(l.VariationID), SKU: string(l.SKU),
			Name: string(l.Name), Quantity: int64(l.Quantity), Total: total, ImageURL: string(l.Image.Src),
		})
	}
	return out, nil
}

// state maps a status; the shop's own mapping wins. An unknown status is "other": the set is open.
func (n normaliser) state(status string) string {
	if s, ok := n.mapped.Statuses[status]; ok {
		return s
	}
	switch status {
	case "checkout-draft", "auto-draft":
		return crm.StateDraft
	case "pending":
		return crm.StatePending
	case "failed":
		return crm.StateFailed
	case "on-hold":
		return crm.StateOnHold
	case "processing":
		return crm.StateAccepted
	case "completed":
		return crm.StateCompleted
	case "cancelled":
		return crm.StateCancelled
	case "refunded":
		return crm.StateRefunded
	case "trash":
		return crm.StateTrash
	}
	return crm.StateOther
}

const attributionPrefix = "_wc_order_attribution_"

func attribution(ms []meta) map[string]string {
	var out map[string]string
	for _, m := range ms {
		key, ok := strings.CutPrefix(string(m.Key), attributionPrefix)
		if v := lenient.Scalar(m.Value); ok && v != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[key] = v
		}
	}
	return out
}

func goneOrder(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindOrder, ID: id}
	return []crm.Fact{
		{Ref: ref, Gone: true, Body: &crm.Order{}},
		{Ref: crm.Ref{Kind: crm.KindCart, ID: id}, Gone: true, Body: &crm.Cart{ClosedBy: closedDeleted}},
		{Ref: ref, Gone: true, Body: &crm.OptIn{}},
	}
}
