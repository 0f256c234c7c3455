package prestashop

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
)

type wireProduct struct {
	ID           ident      `json:"id"`
	Brand        ident      `json:"id_manufacturer"`
	BrandName    text       `json:"manufacturer_name"` // false when there is none
	Name         translated `json:"name"`
	Reference    text       `json:"reference"`
	Type         text       `json:"type"`
	Image        ident      `json:"id_default_image"`
	Price        amount     `json:"price"` // without tax
	Final        amount     `json:"final"` // computed by the shop: with tax, reductions included
	Active       flag       `json:"active"`
	Orderable    *flag      `json:"available_for_order"`
	Modified     text       `json:"date_upd"`
	Associations struct {
		Categories []idOnly     `json:"categories"`
		Options    list[idOnly] `json:"product_option_values"`
	} `json:"associations"`
}

type wireCombination struct {
	ID           ident  `json:"id"`
	Product      ident  `json:"id_product"`
	Reference    text   `json:"reference"`
	Price        amount `json:"price"` // what it adds to the product's, without tax
	Final        amount `json:"final"`
	Associations struct {
		Options list[idOnly] `json:"product_option_values"`
	} `json:"associations"`
}

// product gives the facet of a product and one of each of its combinations.
func (n normaliser) product(b bundle) ([]crm.Fact, error) {
	w, p, err := n.decodeProduct(b)
	if err != nil {
		return nil, err
	}
	facts := []crm.Fact{{Ref: crm.Ref{Kind: crm.KindProduct, ID: string(w.ID)}, Body: p}}
	for _, raw := range b.Combinations {
		var c wireCombination
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		if c.ID == "" || c.Product != w.ID {
			continue
		}
		v := *p
		v.ParentID, v.Type, v.SKU, v.URL = string(w.ID), "combination", string(c.Reference), p.URL+"&id_product_attribute="+string(c.ID)
		v.Name = n.variationName(p.Name, c, b.Options, n.d.language)
		if v.SKU == "" {
			v.SKU = p.SKU
		}
		price, err := combinationPrice(w, c)
		if err != nil {
			return nil, err
		}
		if v.Price, err = minor(price, p.Currency); err != nil {
			return nil, err
		}
		facts = append(facts, crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: variationID(c.ID)}, Body: &v})
	}
	return facts, nil
}

func (n normaliser) decodeProduct(b bundle) (wireProduct, *crm.Product, error) {
	var w wireProduct
	if err := json.Unmarshal(b.Product, &w); err != nil {
		return w, nil, err
	}
	if w.ID == "" {
		return w, nil, errors.New("a product without an id")
	}
	price, err := w.price()
	if err != nil {
		return w, nil, err
	}
	p := &crm.Product{
		Name: w.Name.in(n.d.language), SKU: string(w.Reference), Type: string(w.Type), Status: "inactive",
		URL: n.base + "/index.php?controller=product&id_product=" + string(w.ID), Currency: n.d.base.iso,
		InStock: w.Orderable == nil || bool(*w.Orderable), Brand: n.brand(b, w),
	}
	if w.Active {
		p.Status = "active"
	}
	if p.Price, err = minor(price, p.Currency); err != nil {
		return w, nil, err
	}
	if p.ModifiedAt, err = n.instant(w.Modified); err != nil {
		return w, nil, err
	}
	if w.Image != "" {
		p.ImageURL = n.base + "/img/p/" + strings.Join(strings.Split(string(w.Image), ""), "/") + "/" + string(w.Image) + ".jpg"
	}
	for _, c := range w.Associations.Categories {
		p.Categories = append(p.Categories, string(c.ID))
	}
	return w, p, nil
}

// brand is the mapped field, else the manufacturer.
func (n normaliser) brand(b bundle, w wireProduct) string {
	name := string(w.BrandName)
	if name == "false" {
		name = ""
	}
	for _, raw := range b.Brands {
		if v, ok := field(raw, "name"); ok && string(decode[idOnly](raw).ID) == string(w.Brand) {
			name = v
		}
	}
	if n.m.Brand == nil {
		return name
	}
	v, _ := n.m.Brand.Value(func(f string) (string, bool) {
		if f == "manufacturer" {
			return name, true
		}
		return field(b.Product, trimRoot(f))
	})
	return v
}

func trimRoot(name string) string { return strings.TrimPrefix(name, fieldRoot) }

// price is what a visitor pays for one, with tax, in the default currency; without tax where the shop does not compute.
func (w wireProduct) price() (decimal.Decimal, error) {
	if w.Final != "" && w.Final != "false" {
		return decimalOf(w.Final)
	}
	return decimalOf(w.Price)
}

// combinationPrice is the shop's own computation, else the product's price and what the combination adds, taxed alike.
func combinationPrice(w wireProduct, c wireCombination) (decimal.Decimal, error) {
	if c.Final != "" && c.Final != "false" {
		return decimalOf(c.Final)
	}
	of, err := w.price()
	if err != nil {
		return of, err
	}
	net, err := decimalOf(w.Price)
	if err != nil {
		return of, err
	}
	more, err := decimalOf(c.Price)
	if err != nil {
		return of, err
	}
	if net.IsPositive() {
		more = more.Mul(of).DivRound(net, 6)
	}
	return of.Add(more), nil
}

// variationName is the product's name with the chosen options: "Robe (S, Crème)".
func (n normaliser) variationName(of string, c wireCombination, options []json.RawMessage, lang string) string {
	var chosen []string
	for _, o := range c.Associations.Options {
		for _, raw := range options {
			w := decode[struct {
				ID   ident      `json:"id"`
				Name translated `json:"name"`
			}](raw)
			if name := w.Name.in(lang); w.ID == o.ID && name != "" {
				chosen = append(chosen, name)
			}
		}
	}
	if len(chosen) == 0 {
		return of
	}
	return of + " (" + strings.Join(chosen, ", ") + ")"
}

func goneProduct(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindProduct, ID: id}
	return connectors.Gone(ref, &crm.Product{}, &crm.Stock{})
}

// stock gives the facet of a row of stock_availables: of a product as a whole, or of one combination.
func (n normaliser) stock(raw json.RawMessage) (crm.Ref, []crm.Fact, error) {
	var w struct {
		ID          ident `json:"id"`
		Product     ident `json:"id_product"`
		Combination ident `json:"id_product_attribute"`
		Quantity    count `json:"quantity"`
		WhenOut     text  `json:"out_of_stock"` // 0 refuse orders, 1 take them, 2 as the shop's settings say
	}
	ref := crm.Ref{Kind: crm.KindProduct}
	if err := json.Unmarshal(raw, &w); err != nil {
		return ref, nil, err
	}
	if ref.ID = variationID(w.Combination); ref.ID == "" {
		ref.ID = string(w.Product)
	}
	if w.Product == "" {
		return ref, nil, nil // left behind by a product that was removed
	}
	quantity := int64(w.Quantity)
	in := quantity > 0 || w.WhenOut == "1" || w.WhenOut == "2" && n.d.sellsOut
	return ref, []crm.Fact{{Ref: ref, Body: &crm.Stock{InStock: in, Stock: &quantity}}}, nil
}

func (n normaliser) category(b bundle) ([]crm.Fact, error) {
	var w struct {
		ID     ident      `json:"id"`
		Parent ident      `json:"id_parent"`
		Name   translated `json:"name"`
		Slug   translated `json:"link_rewrite"`
	}
	if err := json.Unmarshal(b.Category, &w); err != nil {
		return nil, err
	}
	if w.ID == "" {
		return nil, errors.New("a category without an id")
	}
	return []crm.Fact{{Ref: crm.Ref{Kind: crm.KindCategory, ID: string(w.ID)}, Body: &crm.Category{
		ParentID: string(w.Parent), Name: w.Name.in(n.d.language), Slug: w.Slug.in(n.d.language),
	}}}, nil
}

func goneCategory(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindCategory, ID: id}, &crm.Category{})
}
