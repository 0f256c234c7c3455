package woocommerce

import (
	"context"
	"encoding/json"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

// normVersion changes with what normalising gives for the same body.
const normVersion = "woocommerce 2"

// Rules names the way of normalising (connectors.Normaliser).
func (s *Source) Rules() string { return normVersion + " " + s.rules }

// Normalise gives the facts that a read of this body gives now (connectors.Normaliser). It asks the shop for its currency
// at most, once.
func (s *Source) Normalise(ctx context.Context, raw connectors.RawRecord) (connectors.Page, error) {
	page := connectors.Page{Total: -1}
	one := []json.RawMessage{raw.Body}
	switch raw.Ref.Kind {
	case crm.KindOrder, crm.KindCart:
		add(&page, one, s.norm.order)
	case crm.KindCustomer:
		add(&page, one, s.norm.customer)
	case crm.KindCategory:
		add(&page, one, s.norm.category)
	case crm.KindRefund:
		add(&page, one, s.norm.refund)
	case crm.KindProduct:
		currency, err := s.shopCurrency(ctx, false)
		if err != nil {
			return connectors.Page{}, err
		}
		add(&page, one, func(raw []byte) (crm.Ref, []crm.Fact, error) { return s.norm.product(raw, currency) })
	default:
		page.Rejected = append(page.Rejected, connectors.Rejected{Ref: raw.Ref, Reason: "its kind is not one of a WooCommerce shop", Raw: raw.Body})
	}
	return page, nil
}
