package magento

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type wireRefund struct {
	ID           lenient.Ident            `json:"entity_id"`
	OrderID      lenient.Ident            `json:"order_id"`
	StoreID      lenient.Text             `json:"store_id"`
	Currency     lenient.Text             `json:"order_currency_code"`
	BaseCurrency lenient.Text             `json:"base_currency_code"`
	Total        lenient.Amount           `json:"grand_total"`
	Created      lenient.Stamp            `json:"created_at"`
	Lines        lenient.List[refundLine] `json:"items"`
	Comments     lenient.List[struct {
		Text lenient.Text `json:"comment"`
	}] `json:"comments"`
}

// refundLine: row_total is before the discount here.
type refundLine struct {
	OrderLine    lenient.Ident   `json:"order_item_id"`
	ProductID    lenient.Ident   `json:"product_id"`
	SKU          lenient.Text    `json:"sku"`
	Name         lenient.Text    `json:"name"`
	Quantity     lenient.Count   `json:"qty"`
	Row          *lenient.Amount `json:"row_total"` // nil: the child of a configurable product, whose parent has the price
	Tax          lenient.Amount  `json:"tax_amount"`
	Discount     lenient.Amount  `json:"discount_amount"`
	Compensation lenient.Amount  `json:"discount_tax_compensation_amount"`
}

// refund gives the facet of a credit memo.
func (n normaliser) refund(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireRefund
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindRefund, raw, "entity_id"), nil, err
	}
	ref := crm.Ref{Kind: crm.KindRefund, ID: string(w.ID)}
	currency := strings.ToUpper(string(cmp.Or(w.Currency, w.BaseCurrency)))
	switch {
	case w.ID == "" || w.OrderID == "":
		return ref, nil, errors.New("a credit memo without an id or an order")
	case len(currency) != 3:
		return ref, nil, errors.New("a credit memo without a currency")
	}
	r := &crm.Refund{OrderID: string(w.OrderID), Currency: currency, At: crm.Instant(w.Created)}
	if len(w.Comments) > 0 {
		r.Reason = string(w.Comments[0].Text)
	}
	var err error
	if r.Amount, err = lenient.Minor(currency, w.Total); err != nil {
		return ref, nil, err
	}
	for i, l := range w.Lines {
		if l.Row == nil || l.Quantity == 0 {
			continue
		}
		total, err := lenient.Minor(currency, *l.Row, l.Tax, l.Compensation, minus(l.Discount))
		if err != nil {
			return ref, nil, err
		}
		line := crm.Line{
			ID: string(l.OrderLine), ProductID: string(l.ProductID), SKU: string(l.SKU), Name: string(l.Name), Quantity: int64(l.Quantity), Total: total,
		}
		if i+1 < len(w.Lines) && w.Lines[i+1].Row == nil && w.Lines[i+1].SKU == l.SKU {
			line.VariationID = string(w.Lines[i+1].ProductID)
		}
		r.Lines = append(r.Lines, line)
	}
	return ref, []crm.Fact{{Ref: ref, Body: r}}, nil
}

func goneRefund(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindRefund, ID: id}, &crm.Refund{})
}
