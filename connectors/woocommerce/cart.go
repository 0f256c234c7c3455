package woocommerce

import (
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
)

const (
	closedOrdered = "ordered"
	closedExpired = "expired" // cancelled without having been paid: the shop gave up waiting
	closedDeleted = "deleted"
)

// cart is what an order says about a cart: drafts, unpaid and failed orders are one, any other closed it.
// WooCommerce shows no carts over REST; these are the ones that leak as orders.
func (n normaliser) cart(w wireOrder, o *crm.Order) crm.Fact {
	ref := crm.Ref{Kind: crm.KindCart, ID: string(w.ID)}
	switch o.State {
	case crm.StateDraft, crm.StatePending, crm.StateFailed:
		active := o.ModifiedAt
		if active == 0 {
			active = o.PlacedAt
		}
		return crm.Fact{Ref: ref, Body: &crm.Cart{
			CustomerID: o.CustomerID, Email: o.Email, FirstName: o.FirstName, LastName: o.LastName,
			Currency: o.Currency, Total: o.Total, CreatedAt: o.PlacedAt, ActiveAt: active,
			RecoverURL: n.recoverURL(w, o), Country: o.Country, Lines: o.Lines,
		}}
	}
	gone := &crm.Cart{ClosedBy: closedOrdered, ClosedAt: o.PlacedAt}
	switch {
	case o.State == crm.StateTrash:
		gone.ClosedBy, gone.ClosedAt = closedDeleted, o.ModifiedAt
	case o.State == crm.StateCancelled && o.PaidAt == 0:
		gone.ClosedBy, gone.ClosedAt = closedExpired, o.ModifiedAt
	}
	if gone.ClosedAt == 0 {
		gone.ClosedAt = o.ModifiedAt
	}
	return crm.Fact{Ref: ref, Gone: true, Body: gone}
}

// recoverURL leads back to the goods. An unpaid order has its own payment page. A draft has no link of its own in
// WooCommerce 9.x: one plain product can be put into the visitor's cart, otherwise the checkout opens with what the
// visitor's own session still holds. The draft's payment link is never used: it would turn a draft into an order.
func (n normaliser) recoverURL(w wireOrder, o *crm.Order) string {
	if o.State != crm.StateDraft {
		return string(w.PaymentURL)
	}
	if len(o.Lines) == 1 {
		if l := o.Lines[0]; l.ProductID != "" && l.VariationID == "" && l.Quantity > 0 {
			return fmt.Sprintf("%s/?add-to-cart=%s&quantity=%d", n.base, l.ProductID, l.Quantity)
		}
	}
	if checkout, _, ok := strings.Cut(string(w.PaymentURL), "order-pay/"); ok {
		return checkout
	}
	return n.base + "/"
}
