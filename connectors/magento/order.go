package magento

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireOrder struct {
	ID            lenient.Ident           `json:"entity_id"`
	Increment     lenient.Text            `json:"increment_id"` // unique within its store only
	StoreID       lenient.Text            `json:"store_id"`
	State         lenient.Text            `json:"state"`
	Status        lenient.Text            `json:"status"`
	CustomerID    lenient.Ident           `json:"customer_id"` // absent of guests, and once the account is deleted
	Email         lenient.Text            `json:"customer_email"`
	FirstName     lenient.Text            `json:"customer_firstname"`
	LastName      lenient.Text            `json:"customer_lastname"`
	Currency      lenient.Text            `json:"order_currency_code"`
	BaseCurrency  lenient.Text            `json:"base_currency_code"`
	Total         lenient.Amount          `json:"grand_total"`
	BaseTotal     lenient.Amount          `json:"base_grand_total"`
	Tax           lenient.Amount          `json:"tax_amount"`
	Discount      lenient.Amount          `json:"discount_amount"` // negative
	Shipping      lenient.Amount          `json:"shipping_incl_tax"`
	ShippingOff   lenient.Amount          `json:"shipping_discount_amount"`
	Created       lenient.Stamp           `json:"created_at"`
	Updated       lenient.Stamp           `json:"updated_at"`
	Coupon        lenient.Text            `json:"coupon_code"`
	QuoteID       lenient.Ident           `json:"quote_id"`
	ReplacedBy    lenient.Text            `json:"relation_child_id"`
	Replaces      lenient.Text            `json:"relation_parent_id"`
	FirstVersion  lenient.Text            `json:"original_increment_id"`
	Billing       address                 `json:"billing_address"`
	Lines         lenient.List[orderLine] `json:"items"`
	Extensions    extensions              `json:"extension_attributes"`
	ShippingNet   lenient.Amount          `json:"shipping_amount"`
	ShippingTaxed lenient.Amount          `json:"shipping_tax_amount"`
}

// orderLine: row_total is already net of the discount (the REST serialiser subtracts it), other than in carts, invoices
// and credit memos.
type orderLine struct {
	ID           lenient.Ident  `json:"item_id"`
	ParentID     lenient.Ident  `json:"parent_item_id"`
	Type         lenient.Text   `json:"product_type"`
	ProductID    lenient.Ident  `json:"product_id"`
	SKU          lenient.Text   `json:"sku"`
	Name         lenient.Text   `json:"name"`
	Quantity     lenient.Count  `json:"qty_ordered"`
	Row          lenient.Amount `json:"row_total"`
	Tax          lenient.Amount `json:"tax_amount"`
	Compensation lenient.Amount `json:"discount_tax_compensation_amount"`
}

func (l orderLine) paid() []lenient.Amount { return []lenient.Amount{l.Row, l.Tax, l.Compensation} }

// order gives the facets of an order: itself, and what its opt-in box says when one is mapped.
func (n normaliser) order(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireOrder
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindOrder, raw, "entity_id"), nil, err
	}
	ref := crm.Ref{Kind: crm.KindOrder, ID: string(w.ID)}
	currency := strings.ToUpper(string(cmp.Or(w.Currency, w.BaseCurrency)))
	switch {
	case w.ID == "":
		return ref, nil, errors.New("an order without an id")
	case w.State == "" && w.Status == "":
		return ref, nil, errors.New("an order without a state")
	case len(currency) != 3:
		return ref, nil, errors.New("an order without a currency")
	}
	state := stateOf(w)
	o := &crm.Order{
		Number: string(w.Increment), CustomerID: string(w.CustomerID), Email: string(cmp.Or(w.Email, w.Billing.Email)),
		FirstName: string(cmp.Or(w.FirstName, w.Billing.FirstName)), LastName: string(cmp.Or(w.LastName, w.Billing.LastName)),
		Status: string(w.Status), State: state, CountsAsSale: crm.CountsAsSale(state), Currency: currency, TotalRaw: string(w.Total),
		PlacedAt: crm.Instant(w.Created), ModifiedAt: crm.Instant(w.Updated), CartID: string(w.QuoteID), Purchase: purchase(w),
		PaidBySale: true,
	}
	if state == crm.StateCancelled || state == crm.StateReplaced {
		o.CancelledAt = o.ModifiedAt
	}
	if w.Coupon != "" {
		o.Coupons = []string{string(w.Coupon)}
	}
	where := w.Billing
	if where.Country == "" {
		where = delivery(w.Extensions)
	}
	o.Country, o.Region, o.City = strings.ToUpper(string(where.Country)), where.area(), string(where.City)
	if err := w.amounts(o); err != nil {
		return ref, nil, err
	}
	facts := []crm.Fact{{Ref: ref, Body: o}}
	if said := n.mapped.OptIn(n.mapped.OrderOptIn, n.orderField(raw, w)); said != nil {
		said.SourceAt = o.PlacedAt
		if o.CustomerID == "" {
			said.Email = o.Email
		}
		facts = append(facts, crm.Fact{Ref: ref, Body: said})
	}
	return ref, facts, nil
}

// delivery is the address that the goods go to; virtual orders have none.
func delivery(e extensions) address {
	var w lenient.List[struct {
		Shipping struct {
			Address address `json:"address"`
		} `json:"shipping"`
	}]
	if raw := bytes.TrimSpace(e["shipping_assignments"]); json.Unmarshal(raw, &w) != nil || len(w) == 0 {
		return address{}
	}
	return w[0].Shipping.Address
}

// purchase names what the versions of an edited order have in common: the number of the first one.
func purchase(w wireOrder) string {
	if w.ReplacedBy == "" && w.Replaces == "" {
		return ""
	}
	return string(w.StoreID) + "/" + string(cmp.Or(w.FirstVersion, w.Increment))
}

func (w wireOrder) amounts(o *crm.Order) error {
	children := map[lenient.Ident][]orderLine{}
	for _, l := range w.Lines {
		if l.ParentID != "" {
			children[l.ParentID] = append(children[l.ParentID], l)
		}
	}
	var goods []lenient.Amount
	for _, l := range w.Lines {
		if l.ParentID != "" {
			continue
		}
		paid := l.paid()
		if of := priced(children[l.ID]); l.Type == "bundle" && len(of) > 0 {
			paid = of
		}
		goods = append(goods, paid...)
		total, err := lenient.Minor(o.Currency, paid...)
		if err != nil {
			return err
		}
		line := crm.Line{
			ID: string(l.ID), ProductID: string(l.ProductID), SKU: string(l.SKU), Name: string(l.Name), Quantity: int64(l.Quantity), Total: total,
		}
		if of := children[l.ID]; l.Type == "configurable" && len(of) > 0 {
			line.VariationID = string(of[0].ProductID)
		}
		o.Lines = append(o.Lines, line)
	}
	shipping := []lenient.Amount{w.Shipping, minus(w.ShippingOff)}
	if w.Shipping == "" {
		shipping = []lenient.Amount{w.ShippingNet, w.ShippingTaxed, minus(w.ShippingOff)}
	}
	for _, s := range []struct {
		to   *int64
		from []lenient.Amount
	}{
		{&o.Total, []lenient.Amount{w.Total}},
		{&o.Tax, []lenient.Amount{w.Tax}},
		{&o.Shipping, shipping},
		{&o.Discount, []lenient.Amount{minus(w.Discount)}},
		{&o.Goods, goods},
	} {
		v, err := lenient.Minor(o.Currency, s.from...)
		if err != nil {
			return err
		}
		*s.to = v
	}
	if base := strings.ToUpper(string(w.BaseCurrency)); base != o.Currency && len(base) == 3 {
		v, err := lenient.Minor(base, w.BaseTotal)
		if err != nil {
			return err
		}
		o.BaseCurrency, o.BaseTotal = base, v
	}
	return nil
}

// priced is what the parts of a bundle cost, where they carry the price and not the bundle itself.
func priced(parts []orderLine) []lenient.Amount {
	var out []lenient.Amount
	any := false
	for _, l := range parts {
		if v, err := lenient.Minor("", l.Row); err == nil && v != 0 {
			any = true
		}
		out = append(out, l.paid()...)
	}
	if !any {
		return nil
	}
	return out
}

func minus(a lenient.Amount) lenient.Amount {
	if rest, ok := strings.CutPrefix(string(a), "-"); ok {
		return lenient.Amount(rest)
	}
	if a == "" || a == "0" {
		return ""
	}
	return "-" + a
}

// stateOf goes by the state, which is Magento's own; the status is free text of the shop.
func stateOf(w wireOrder) string {
	switch w.State {
	case "new", "pending_payment", "payment_review":
		return crm.StatePending
	case "processing":
		return crm.StateAccepted
	case "complete":
		return crm.StateCompleted
	case "closed":
		return crm.StateRefunded
	case "canceled":
		if w.ReplacedBy != "" {
			return crm.StateReplaced
		}
		return crm.StateCancelled
	case "holded":
		return crm.StateOnHold
	}
	return crm.StateOther
}

func (n normaliser) orderField(raw []byte, w wireOrder) func(string) (string, bool) {
	return func(field string) (string, bool) {
		if name, ok := strings.CutPrefix(field, rootExtension); ok {
			return w.Extensions.get(name)
		}
		if field == "store" {
			return n.views.byID[string(w.StoreID)].code, w.StoreID != ""
		}
		return scalar(raw, field)
	}
}

func goneOrder(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindOrder, ID: id}
	return connectors.Gone(ref, &crm.Order{}, &crm.OptIn{})
}
