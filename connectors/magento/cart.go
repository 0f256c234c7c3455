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

// What closed a cart (crm.Cart.ClosedBy).
const (
	closedOrdered = "ordered"
	closedDeleted = "deleted"
)

type wireCart struct {
	ID         lenient.Ident          `json:"id"`
	StoreID    lenient.Text           `json:"store_id"`
	Active     lenient.Flag           `json:"is_active"`
	Count      lenient.Count          `json:"items_count"`
	Reserved   lenient.Text           `json:"reserved_order_id"`
	Created    lenient.Stamp          `json:"created_at"`
	Updated    lenient.Stamp          `json:"updated_at"`
	Customer   cartOwner              `json:"customer"`
	Billing    address                `json:"billing_address"`
	Currency   cartCurrency           `json:"currency"`
	Lines      lenient.List[cartLine] `json:"items"` // of active carts only
	Extensions extensions             `json:"extension_attributes"`
	Totals     *wireTotals            `json:"relance_totals"` // put in by withTotals
}

type cartOwner struct {
	ID        lenient.Ident `json:"id"`
	Email     lenient.Text  `json:"email"`
	FirstName lenient.Text  `json:"firstname"`
	LastName  lenient.Text  `json:"lastname"`
}

// UnmarshalJSON implements json.Unmarshaler: [] is nobody.
func (c *cartOwner) UnmarshalJSON(b []byte) error {
	type plain cartOwner
	return lenient.Object(b, (*plain)(c))
}

type cartCurrency struct {
	Quote lenient.Text `json:"quote_currency_code"`
	Base  lenient.Text `json:"base_currency_code"`
}

// UnmarshalJSON implements json.Unmarshaler: [] says nothing.
func (c *cartCurrency) UnmarshalJSON(b []byte) error {
	type plain cartCurrency
	return lenient.Object(b, (*plain)(c))
}

// cartLine: the price is without tax.
type cartLine struct {
	ID       lenient.Ident  `json:"item_id"`
	SKU      lenient.Text   `json:"sku"`
	Name     lenient.Text   `json:"name"`
	Quantity lenient.Amount `json:"qty"`
	Price    lenient.Amount `json:"price"`
}

type wireTotals struct {
	Total lenient.Amount `json:"grand_total"`
	Lines lenient.List[struct {
		ID       lenient.Ident  `json:"item_id"`
		Row      lenient.Amount `json:"row_total_incl_tax"`
		Discount lenient.Amount `json:"discount_amount"`
	}] `json:"items"`
}

// open: whoever filled it may still order it.
func (w wireCart) open() bool { return bool(w.Active) && w.Count > 0 }

// email is the account's, else the billing address's, else the delivery's: a guest's cart holds his nowhere else.
func (w wireCart) email() string {
	return string(cmp.Or(w.Customer.Email, w.Billing.Email, delivery(w.Extensions).Email))
}

// cart gives the facet of a cart. One that is no longer active was ordered or merged into another: the list says no more.
func (n normaliser) cart(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireCart
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindCart, raw, "id"), nil, err
	}
	ref := crm.Ref{Kind: crm.KindCart, ID: string(w.ID)}
	if w.ID == "" {
		return ref, nil, errors.New("a cart without an id")
	}
	if !w.open() {
		by := closedDeleted
		if !w.Active && w.Reserved != "" {
			by = closedOrdered
		}
		return ref, []crm.Fact{{Ref: ref, Gone: true, Body: &crm.Cart{ClosedBy: by, ClosedAt: crm.Instant(w.Updated)}}}, nil
	}
	currency := strings.ToUpper(cmp.Or(string(w.Currency.Quote), string(w.Currency.Base), n.views.view(string(w.StoreID)).currency))
	if len(currency) != 3 {
		return ref, nil, errors.New("a cart without a currency")
	}
	where := w.Billing
	if where.Country == "" {
		where = delivery(w.Extensions)
	}
	c := &crm.Cart{
		CustomerID: string(w.Customer.ID), Email: w.email(),
		FirstName: string(cmp.Or(w.Customer.FirstName, where.FirstName)), LastName: string(cmp.Or(w.Customer.LastName, where.LastName)),
		Currency: currency, CreatedAt: crm.Instant(w.Created), ActiveAt: crm.Instant(w.Updated), ByContent: true, Country: strings.ToUpper(string(where.Country)),
	}
	if v := n.views.view(string(w.StoreID)); v.link != "" {
		c.RecoverURL = v.link + "checkout/cart/"
	}
	return ref, []crm.Fact{{Ref: ref, Body: c}}, n.cartLines(w, c)
}

func (n normaliser) cartLines(w wireCart, c *crm.Cart) error {
	var sum []lenient.Amount
	for _, l := range w.Lines {
		q, err := whole(l.Quantity)
		if err != nil {
			return err
		}
		net, err := times(l.Price, l.Quantity)
		if err != nil {
			return err
		}
		row := []lenient.Amount{net}
		if w.Totals != nil {
			for _, t := range w.Totals.Lines {
				if t.ID == l.ID {
					row = []lenient.Amount{t.Row, minus(t.Discount)}
				}
			}
		}
		sum = append(sum, row...)
		total, err := lenient.Minor(c.Currency, row...)
		if err != nil {
			return err
		}
		g := n.goods[string(l.SKU)]
		line := crm.Line{ID: string(l.ID), ProductID: g.id, SKU: string(l.SKU), Name: string(l.Name), Quantity: q, Total: total, ImageURL: n.views.image(g.image)}
		if p, ok := n.families.of[g.id]; ok && g.id != "" {
			line.ProductID, line.VariationID = p.id, g.id
			if g.image == "" {
				line.ImageURL = n.views.image(p.image)
			}
		}
		c.Lines = append(c.Lines, line)
	}
	var err error
	if w.Totals != nil && w.Totals.Total != "" {
		sum = []lenient.Amount{w.Totals.Total}
	}
	c.Total, err = lenient.Minor(c.Currency, sum...)
	return err
}

func goneCart(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindCart, ID: id}, &crm.Cart{ClosedBy: closedDeleted})
}
