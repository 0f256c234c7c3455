package prestashop

import (
	"encoding/json"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

type wireSlip struct {
	ID           ident  `json:"id"`
	Order        ident  `json:"id_order"`
	Rate         amount `json:"conversion_rate"`
	GoodsNet     amount `json:"total_products_tax_excl"`
	Goods        amount `json:"total_products_tax_incl"`
	Shipping     amount `json:"total_shipping_tax_incl"`
	Amount       amount `json:"amount"`
	Type         ident  `json:"order_slip_type"`
	Created      text   `json:"date_add"`
	Associations struct {
		Details list[slipDetail] `json:"order_slip_details"`
	} `json:"associations"`
}

type slipDetail struct {
	Row      ident  `json:"id_order_detail"`
	Quantity count  `json:"product_quantity"`
	Amount   amount `json:"amount_tax_incl"`
}

// refund gives the facet of a credit slip. Its currency is its order's; of an order that was removed only the rate is
// known, which tells the default currency, and any other that has this rate now.
func (n normaliser) refund(b bundle) ([]crm.Fact, error) {
	var w wireSlip
	if err := json.Unmarshal(b.Slip, &w); err != nil {
		return nil, err
	}
	if w.ID == "" || w.Order == "" {
		return nil, errors.New("a credit slip without an id or an order")
	}
	o := decode[wireOrder](b.Order)
	cur, ok := n.d.currencies[string(o.Currency)]
	if !ok {
		cur = n.d.ofRate(w.Rate)
	}
	r := &crm.Refund{OrderID: string(w.Order), Currency: cur.iso}
	sum, err := w.total()
	if err != nil {
		return nil, err
	}
	if r.Amount, err = minor(sum.Abs(), cur.iso); err != nil {
		return nil, err
	}
	if r.At, err = n.instant(w.Created); err != nil {
		return nil, err
	}
	rows := map[ident]orderRow{}
	for _, row := range o.Associations.Rows {
		rows[row.ID] = row
	}
	for _, d := range w.Associations.Details {
		a, err := decimalOf(d.Amount)
		if err != nil {
			return nil, err
		}
		total, err := minor(a.Abs(), cur.iso)
		if err != nil {
			return nil, err
		}
		row := rows[d.Row]
		r.Lines = append(r.Lines, crm.Line{
			ID: string(d.Row), ProductID: string(row.Product), VariationID: variationID(row.Combination), SKU: string(row.Reference),
			Name: string(row.Name), Quantity: max(int64(d.Quantity), -int64(d.Quantity)), Total: total,
		})
	}
	return []crm.Fact{{Ref: crm.Ref{Kind: crm.KindRefund, ID: string(w.ID)}, Body: r}}, nil
}

// total is what the customer gets back. `amount` mostly repeats the goods, without shipping. In a slip of type 1 it is
// the discount that is kept back, in one of type 2 it can be a sum that the merchant chose.
func (w wireSlip) total() (decimal.Decimal, error) {
	var ds [4]decimal.Decimal
	for i, a := range []amount{w.Goods, w.Shipping, w.Amount, w.GoodsNet} {
		d, err := decimalOf(a)
		if err != nil {
			return d, err
		}
		ds[i] = d.Abs()
	}
	goods, shipping, written, net := ds[0], ds[1], ds[2], ds[3]
	all := goods.Add(shipping)
	if written.IsZero() || written.Equal(goods) || written.Equal(net) {
		return all, nil
	}
	switch w.Type {
	case "1":
		if written.LessThan(all) {
			return all.Sub(written), nil
		}
	case "2":
		return written, nil
	}
	if all.IsZero() {
		return written, nil
	}
	return all, nil
}

// ofRate guesses the currency of an order that is no longer there.
func (d *dictionary) ofRate(rate amount) currency {
	if v, err := decimalOf(rate); err == nil {
		for _, id := range sortedKeys(d.currencies) {
			if c := d.currencies[id]; c.rate.Equal(v) && !v.Equal(decimal.NewFromInt(1)) {
				return c
			}
		}
	}
	return d.base
}

func goneRefund(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindRefund, ID: id}, &crm.Refund{})
}
