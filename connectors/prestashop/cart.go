package prestashop

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

type wireCart struct {
	ID           ident `json:"id"`
	Customer     ident `json:"id_customer"`
	Currency     ident `json:"id_currency"`
	Language     ident `json:"id_lang"`
	Created      text  `json:"date_add"`
	Modified     text  `json:"date_upd"`
	Associations struct {
		Rows list[cartRow] `json:"cart_rows"`
	} `json:"associations"`
}

type cartRow struct {
	Product       ident `json:"id_product"`
	Combination   ident `json:"id_product_attribute"`
	Customization ident `json:"id_customization"`
	Quantity      count `json:"quantity"`
}

const (
	closedOrdered = "ordered"
	closedDeleted = "deleted"
)

// cart gives the facet of a cart, valued at what the shop asks for its products now. One without rows is none: the
// visitor never put anything in, or took everything out again.
func (n normaliser) cart(b bundle) ([]crm.Fact, error) {
	var w wireCart
	if err := json.Unmarshal(b.Cart, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("a cart without an id")
	}
	ref := crm.Ref{Kind: crm.KindCart, ID: string(w.ID)}
	modified, err := n.instant(w.Modified)
	if err != nil {
		return nil, err
	}
	created, err := n.instant(w.Created)
	if err != nil {
		return nil, err
	}
	switch {
	case len(b.Order) > 0:
		closed, _ := n.instant(decode[wireOrder](b.Order).Created)
		if closed == 0 {
			closed = modified
		}
		return []crm.Fact{{Ref: ref, Gone: true, Body: &crm.Cart{ClosedBy: closedOrdered, ClosedAt: closed}}}, nil
	case len(w.Associations.Rows) == 0:
		return []crm.Fact{{Ref: ref, Gone: true, Body: &crm.Cart{ClosedBy: closedDeleted, ClosedAt: modified}}}, nil
	}
	cur, ok := n.d.currencies[string(w.Currency)]
	if !ok {
		cur = n.d.base
	}
	c := &crm.Cart{
		CustomerID: string(w.Customer), Currency: cur.iso, CreatedAt: created, ActiveAt: modified,
		RecoverURL: n.base + "/index.php?controller=cart&action=show", // the visitor's own; a link that opens it for anybody needs the shop's secret
	}
	return []crm.Fact{{Ref: ref, Body: c}}, n.fillCart(b, w, cur, c)
}

func (n normaliser) fillCart(b bundle, w wireCart, cur currency, c *crm.Cart) error {
	goods := n.goods(b, string(w.Language))
	rate := cur.rate
	if n.d.base.rate.IsPositive() {
		rate = rate.DivRound(n.d.base.rate, 12)
	}
	for _, row := range w.Associations.Rows {
		g, ok := goods[[2]ident{row.Product, row.Combination}]
		if !ok {
			g = goods[[2]ident{row.Product, ""}]
		}
		price, err := minor(g.price.Mul(rate), cur.iso)
		if err != nil {
			return err
		}
		total, err := minor(decimal.NewFromInt(price).Mul(decimal.NewFromInt(int64(row.Quantity))), "JPY") // units already minor
		if err != nil {
			return err
		}
		id := fmt.Sprintf("%s-%s-%s", orZero(row.Product), orZero(row.Combination), orZero(row.Customization))
		c.Lines = append(c.Lines, crm.Line{
			ID: id, ProductID: string(row.Product), VariationID: variationID(row.Combination), SKU: g.sku, Name: g.name,
			Quantity: int64(row.Quantity), Total: total, ImageURL: g.image,
		})
		c.Total += total
	}
	return nil
}

func orZero(i ident) string {
	if i == "" {
		return "0"
	}
	return string(i)
}

// good is what a cart row refers to.
type good struct {
	name, sku, image string
	price            decimal.Decimal
}

// goods are the products and combinations of a cart, named in the visitor's language.
func (n normaliser) goods(b bundle, lang string) map[[2]ident]good {
	out := map[[2]ident]good{}
	products := map[ident]wireProduct{}
	for _, raw := range b.Products {
		w, p, err := n.decodeProduct(bundle{Product: raw})
		if err != nil {
			continue // its own stream says so
		}
		price, _ := w.price() // decodeProduct saw it
		products[w.ID] = w
		out[[2]ident{w.ID, ""}] = good{name: w.Name.in(lang), sku: p.SKU, image: p.ImageURL, price: price}
	}
	for _, raw := range b.Combinations {
		c := decode[wireCombination](raw)
		of, ok := out[[2]ident{c.Product, ""}]
		price, err := combinationPrice(products[c.Product], c)
		if !ok || err != nil {
			continue
		}
		g := good{name: n.variationName(of.name, c, b.Options, lang), sku: string(c.Reference), image: of.image, price: price}
		if g.sku == "" {
			g.sku = of.sku
		}
		out[[2]ident{c.Product, c.ID}] = g
	}
	return out
}

func goneCart(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindCart, ID: id}, &crm.Cart{ClosedBy: closedDeleted})
}
