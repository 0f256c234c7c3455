package wooshop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// Good is a product or variation that can be bought.
type Good struct {
	Item  // with quantity 1
	Name  string
	Price string // with tax
	Image string
	SKU   string
}

// Goods lists what the shop sells, variations after their product's place, by id.
func (s *Shop) Goods() []Good {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Good
	for _, r := range s.products.rows {
		if r.status != "publish" {
			continue
		}
		items := []Item{{ProductID: r.id, Quantity: 1}}
		if vs := s.variations.ids(func(v *record) bool { return v.parent == r.id }); len(vs) > 0 {
			items = nil
			for _, v := range vs {
				items = append(items, Item{ProductID: r.id, VariationID: v, Quantity: 1})
			}
		}
		for _, it := range items {
			if g, err := s.good(it); err == nil && g.Price != "" {
				out = append(out, g)
			}
		}
	}
	return out
}

type goodBody struct {
	Name   string `json:"name"`
	Price  string `json:"price"`
	SKU    string `json:"sku"`
	Type   string `json:"type"`
	Images []struct {
		Src string `json:"src"`
	} `json:"images"`
}

// good resolves an item in the catalogue. The caller holds the lock.
func (s *Shop) good(it Item) (Good, error) {
	r := s.products.get(it.ProductID)
	if r == nil {
		return Good{}, notFound("product", it.ProductID)
	}
	var b goodBody
	if err := json.Unmarshal(r.raw, &b); err != nil {
		return Good{}, fmt.Errorf("wooshop: reading product %d: %w", it.ProductID, err)
	}
	g := Good{Item: it, Name: b.Name, Price: b.Price, SKU: b.SKU}
	if len(b.Images) > 0 {
		g.Image = b.Images[0].Src
	}
	if it.VariationID == 0 {
		return g, nil
	}
	v := s.variations.get(it.VariationID)
	if v == nil || v.parent != it.ProductID {
		return Good{}, notFound("variation", it.VariationID)
	}
	var vb goodBody
	if err := json.Unmarshal(v.raw, &vb); err != nil {
		return Good{}, fmt.Errorf("wooshop: reading variation %d: %w", it.VariationID, err)
	}
	g.Name, g.Price, g.SKU = b.Name+" - "+vb.Name, vb.Price, cmp.Or(vb.SKU, b.SKU)
	return g, nil
}

type lineBody struct {
	ID          int64           `json:"id"`
	Name        string          `json:"name"`
	ProductID   int64           `json:"product_id"`
	VariationID int64           `json:"variation_id"`
	Quantity    int64           `json:"quantity"`
	TaxClass    string          `json:"tax_class"`
	Subtotal    string          `json:"subtotal"`
	SubtotalTax string          `json:"subtotal_tax"`
	Total       string          `json:"total"`
	TotalTax    string          `json:"total_tax"`
	Taxes       []int           `json:"taxes"`
	Meta        []metaRow       `json:"meta_data"`
	SKU         string          `json:"sku"`
	Price       json.RawMessage `json:"price"` // a float, without tax
	Image       imageBody       `json:"image"`
	ParentName  *string         `json:"parent_name"`
}

type imageBody struct {
	ID  any    `json:"id"` // "" where there is none
	Src string `json:"src"`
}

// setItems writes lines and totals: 20 % tax contained in the prices, Colissimo on top.
func (s *Shop) setItems(o *object, items []Item) error {
	taxFactor, ship, shipTax := decimal.New(12, -1), decimal.New(690, -2), decimal.New(138, -2)
	lines, goods, tax := []lineBody{}, decimal.Zero, decimal.Zero
	for _, it := range items {
		g, err := s.good(it)
		if err != nil {
			return err
		}
		price, err := decimal.NewFromString(cmp.Or(g.Price, "0"))
		if err != nil {
			return fmt.Errorf("wooshop: reading the price of product %d: %w", it.ProductID, err)
		}
		quantity := decimal.NewFromInt(it.Quantity)
		gross := price.Mul(quantity)
		net := gross.Div(taxFactor).Round(2)
		if it.Quantity > 0 {
			price = net.Div(quantity).Round(6)
		}
		l := lineBody{
			ID: s.row(), Name: g.Name, ProductID: it.ProductID, VariationID: it.VariationID, Quantity: it.Quantity,
			Subtotal: money(net), SubtotalTax: money(gross.Sub(net)), Total: money(net), TotalTax: money(gross.Sub(net)),
			Taxes: []int{}, Meta: []metaRow{}, SKU: g.SKU, Price: json.RawMessage(price.String()), Image: imageBody{"", ""},
		}
		if g.Image != "" {
			l.Image = imageBody{"12", g.Image}
		}
		lines, goods, tax = append(lines, l), goods.Add(gross), tax.Add(gross.Sub(net))
	}
	if len(items) == 0 {
		ship, shipTax = decimal.Zero, decimal.Zero
	}
	o.set("line_items", lines)
	o.set("shipping_lines", []int{})
	o.set("tax_lines", []int{})
	o.set("discount_total", "0.00")
	o.set("discount_tax", "0.00")
	o.set("shipping_total", money(ship))
	o.set("shipping_tax", money(shipTax))
	o.set("cart_tax", money(tax))
	o.set("total_tax", money(tax.Add(shipTax)))
	o.set("total", money(goods.Add(ship).Add(shipTax)))
	return nil
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
