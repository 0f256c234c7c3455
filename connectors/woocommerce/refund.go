package woocommerce

import (
	"encoding/json"
	"errors"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireRefund struct {
	ID       ident      `json:"id"`
	ParentID ident      `json:"parent_id"`
	Currency text       `json:"currency"` // see whole
	Amount   amount     `json:"amount"`
	Reason   text       `json:"reason"`
	Created  stamp      `json:"date_created_gmt"`
	Lines    list[line] `json:"line_items"`
}

// whole names the order and the currency in a refund's body. WooCommerce leaves the currency out of all of them, for it
// is the order's, and the order out of those below an order.
func whole(raw json.RawMessage, order, currency string) json.RawMessage {
	return with(with(raw, "parent_id", order), "currency", currency)
}

// refund gives the facet of a refund whose body is whole.
func (n normaliser) refund(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireRefund
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindRefund, raw), nil, err
	}
	ref, orderID, currency := crm.Ref{Kind: crm.KindRefund, ID: string(w.ID)}, string(w.ParentID), string(w.Currency)
	if w.ID == "" || orderID == "" {
		return ref, nil, errors.New("a refund without an id or an order")
	}
	sum, err := lenient.Minor(currency, w.Amount)
	if err != nil {
		return ref, nil, err
	}
	r := &crm.Refund{OrderID: orderID, Amount: abs(sum), Currency: currency, Reason: string(w.Reason), At: crm.Instant(w.Created)}
	if r.Lines, err = lines(w.Lines, currency); err != nil {
		return ref, nil, err
	}
	for i := range r.Lines {
		l := &r.Lines[i]
		l.Quantity, l.Total = abs(l.Quantity), abs(l.Total)
		for _, m := range w.Lines[i].Meta {
			if m.Key == "_refunded_item_id" {
				l.ID = lenient.Scalar(m.Value)
			}
		}
	}
	return ref, []crm.Fact{{Ref: ref, Body: r}}, nil
}

func goneRefund(id string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: id}, Gone: true, Body: &crm.Refund{}}
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
