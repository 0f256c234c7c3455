package prestashop

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

type wireOrder struct {
	ID           ident  `json:"id"`
	Reference    text   `json:"reference"`
	Cart         ident  `json:"id_cart"`
	Customer     ident  `json:"id_customer"`
	Currency     ident  `json:"id_currency"`
	Invoice      ident  `json:"id_address_invoice"`
	Delivery     ident  `json:"id_address_delivery"`
	State        ident  `json:"current_state"`
	Module       text   `json:"module"`
	InvoiceDate  text   `json:"invoice_date"`
	Created      text   `json:"date_add"`
	Modified     text   `json:"date_upd"`
	Rate         amount `json:"conversion_rate"`
	Paid         amount `json:"total_paid"`
	PaidTax      amount `json:"total_paid_tax_incl"`
	PaidNet      amount `json:"total_paid_tax_excl"`
	Goods        amount `json:"total_products_wt"`
	Shipping     amount `json:"total_shipping"`
	ShippingTax  amount `json:"total_shipping_tax_incl"`
	Discounts    amount `json:"total_discounts"`
	DiscountsTax amount `json:"total_discounts_tax_incl"`
	Associations struct {
		Rows list[orderRow] `json:"order_rows"`
	} `json:"associations"`
}

type orderRow struct {
	ID          ident  `json:"id"`
	Product     ident  `json:"product_id"`
	Combination ident  `json:"product_attribute_id"`
	Quantity    count  `json:"product_quantity"`
	Name        text   `json:"product_name"`
	Reference   text   `json:"product_reference"`
	Price       amount `json:"unit_price_tax_incl"`
}

type wireHistory struct {
	ID      ident `json:"id"`
	Order   ident `json:"id_order"`
	State   ident `json:"id_order_state"`
	Created text  `json:"date_add"`
}

// order gives the facets of an order: itself, and what a mapped field of it says of consent.
func (n normaliser) order(b bundle) ([]crm.Fact, error) {
	var w wireOrder
	if err := json.Unmarshal(b.Order, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("an order without an id")
	}
	cur, ok := n.d.currencies[string(w.Currency)]
	if !ok || len(cur.iso) != 3 {
		return nil, errors.New("an order in a currency that the shop does not list")
	}
	state, word, _ := n.state(w.State)
	o := &crm.Order{
		Number: string(w.Reference), CustomerID: string(w.Customer), Status: word, State: state, CountsAsSale: countsAsSale(state),
		Currency: cur.iso, Purchase: string(w.Cart), CartID: string(w.Cart), Via: string(w.Module),
	}
	n.who(b, o)
	if err := n.amounts(w, cur, o); err != nil {
		return nil, err
	}
	if err := n.moments(b, w, o); err != nil {
		return nil, err
	}
	for _, c := range b.Coupons {
		if !slices.Contains(o.Coupons, c) {
			o.Coupons = append(o.Coupons, c)
		}
	}
	ref := crm.Ref{Kind: crm.KindOrder, ID: string(w.ID)}
	facts := []crm.Fact{{Ref: ref, Body: o}}
	if said := n.m.OptIn(n.m.OrderOptIn, func(name string) (string, bool) { return field(b.Order, trimRoot(name)) }); said != nil {
		said.SourceAt = o.PlacedAt
		facts = append(facts, crm.Fact{Ref: ref, Body: said})
	}
	return facts, nil
}

// who fills in the person and the place. A customer whose row was removed leaves nothing but an id.
func (n normaliser) who(b bundle, o *crm.Order) {
	c := decode[wireCustomer](b.Customer)
	o.Email, o.FirstName, o.LastName = string(c.Email), string(c.FirstName), string(c.LastName)
	for _, raw := range b.Addresses {
		where := n.address(decode[wireAddress](raw))
		o.Country, o.Region, o.City = where.Country, where.Region, where.City
	}
}

func (n normaliser) amounts(w wireOrder, cur currency, o *crm.Order) error {
	total := either(w.PaidTax, w.Paid)
	o.TotalRaw = string(total)
	var net int64
	for _, s := range []struct {
		to   *int64
		from amount
	}{
		{&o.Total, total},
		{&net, either(w.PaidNet, total)},
		{&o.Goods, w.Goods},
		{&o.Shipping, either(w.ShippingTax, w.Shipping)},
		{&o.Discount, either(w.DiscountsTax, w.Discounts)},
	} {
		d, err := decimalOf(s.from)
		if err != nil {
			return err
		}
		if *s.to, err = minor(d, cur.iso); err != nil {
			return err
		}
	}
	o.Tax = o.Total - net
	for _, r := range w.Associations.Rows {
		price, err := decimalOf(r.Price)
		if err != nil {
			return err
		}
		sum, err := minor(price.Mul(decimal.NewFromInt(int64(r.Quantity))), cur.iso)
		if err != nil {
			return err
		}
		o.Lines = append(o.Lines, crm.Line{
			ID: string(r.ID), ProductID: string(r.Product), VariationID: variationID(r.Combination), SKU: string(r.Reference),
			Name: string(r.Name), Quantity: int64(r.Quantity), Total: sum,
		})
	}
	return n.inBase(w, cur, total, o)
}

// inBase gives the total in the shop's default currency, at the rate that the order keeps.
func (n normaliser) inBase(w wireOrder, cur currency, total amount, o *crm.Order) error {
	if n.d.base.iso == "" || n.d.base.iso == cur.iso {
		return nil
	}
	rate, err := decimalOf(w.Rate)
	if err != nil {
		return err
	}
	if !rate.IsPositive() {
		return nil
	}
	d, err := decimalOf(total)
	if err != nil {
		return err
	}
	o.BaseCurrency = n.d.base.iso
	o.BaseTotal, err = minor(d.DivRound(rate, 12), o.BaseCurrency)
	return err
}

// moments takes from the history of states when the order was paid, completed and cancelled: the order itself shows
// only the present state.
func (n normaliser) moments(b bundle, w wireOrder, o *crm.Order) error {
	var err error
	if o.PlacedAt, err = n.instant(w.Created); err != nil {
		return err
	}
	if o.ModifiedAt, err = n.instant(w.Modified); err != nil {
		return err
	}
	for _, h := range histories(b.Histories) {
		at, err := n.instant(h.Created)
		if err != nil || at == 0 {
			continue
		}
		state, _, _ := n.state(h.State)
		if o.PaidAt == 0 && (bool(n.d.states[string(h.State)].Paid) || state == crm.StateCompleted) {
			o.PaidAt = at
		}
		if o.CompletedAt == 0 && state == crm.StateCompleted {
			o.CompletedAt = at
		}
		if state == crm.StateCancelled && o.State == crm.StateCancelled {
			o.CancelledAt = at
		}
	}
	if o.PaidAt == 0 && bool(n.d.states[string(w.State)].Paid) {
		if o.PaidAt, err = n.instant(w.InvoiceDate); err != nil || o.PaidAt == 0 {
			o.PaidAt = o.PlacedAt
		}
	}
	if o.CompletedAt == 0 && o.State == crm.StateCompleted {
		o.CompletedAt = o.ModifiedAt
	}
	if o.CancelledAt == 0 && o.State == crm.StateCancelled {
		o.CancelledAt = o.ModifiedAt
	}
	return nil
}

// histories are in the order in which they were written: dates run back an hour each autumn, ids do not.
func histories(raws []json.RawMessage) []wireHistory {
	var out []wireHistory
	for _, raw := range raws {
		out = append(out, decode[wireHistory](raw))
	}
	slices.SortFunc(out, func(a, b wireHistory) int { return int(a.ID.Number() - b.ID.Number()) })
	return out
}

func goneOrder(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindOrder, ID: id}
	return connectors.Gone(ref, &crm.Order{}, &crm.OptIn{})
}

// either is the first amount that is written at all.
func either(a, b amount) amount {
	if a != "" {
		return a
	}
	return b
}

func decimalOf(a amount) (decimal.Decimal, error) {
	if a == "" {
		return decimal.Decimal{}, nil
	}
	d, err := decimal.NewFromString(string(a))
	if err != nil || d.Exponent() > 20 || d.Exponent() < -40 {
		return decimal.Decimal{}, errors.New("an amount is not a number")
	}
	return d, nil
}

// minor rounds half-even, once.
func minor(d decimal.Decimal, iso string) (int64, error) {
	m := d.Shift(crm.Exponent(iso)).RoundBank(0)
	if !m.BigInt().IsInt64() {
		return 0, errors.New("an amount is out of range")
	}
	return m.IntPart(), nil
}
