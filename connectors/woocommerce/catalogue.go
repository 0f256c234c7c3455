package woocommerce

import (
	"encoding/json"
	"errors"
	"html"
	"strings"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
)

type term struct {
	ID   ident `json:"id"`
	Name text  `json:"name"`
}

// option is what a variation chooses of an attribute.
type option struct {
	Option text `json:"option"`
}

type wireProduct struct {
	ID          ident         `json:"id"`
	ParentID    ident         `json:"parent_id"`
	Name        text          `json:"name"`
	SKU         text          `json:"sku"`
	Type        text          `json:"type"`
	Status      text          `json:"status"`
	Permalink   text          `json:"permalink"`
	Price       amount        `json:"price"`
	ManageStock flag          `json:"manage_stock"`
	Stock       *count        `json:"stock_quantity"`
	StockStatus text          `json:"stock_status"`
	Images      list[picture] `json:"images"`
	Image       picture       `json:"image"` // of a variation
	Attributes  list[option]  `json:"attributes"`
	Brands      list[term]    `json:"brands"`
	Categories  list[term]    `json:"categories"`
	Meta        list[meta]    `json:"meta_data"`
	Modified    stamp         `json:"date_modified_gmt"`
}

const (
	typeVariation = "variation"
	statusTrash   = "trash"
)

// product gives the facet of a product; its price is in the shop's currency, which no product names. One in the bin is
// gone: it leaves the shop's lists, so reconciliation would ask for it for ever.
func (n normaliser) product(raw []byte, currency string) (crm.Ref, []crm.Fact, error) {
	var w wireProduct
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindProduct, raw), nil, err
	}
	ref := crm.Ref{Kind: crm.KindProduct, ID: string(w.ID)}
	if w.ID == "" {
		return ref, nil, errors.New("a product without an id")
	}
	if w.Status == statusTrash {
		return ref, []crm.Fact{goneProduct(ref.ID)}, nil
	}
	price, err := lenient.Minor(currency, w.Price)
	if err != nil {
		return ref, nil, err
	}
	p := &crm.Product{
		ParentID: string(w.ParentID), Name: string(w.Name), SKU: string(w.SKU), Type: string(w.Type), Status: string(w.Status),
		URL: string(w.Permalink), Price: price, Currency: currency, InStock: w.StockStatus != "outofstock",
		ModifiedAt: crm.Instant(w.Modified),
	}
	if w.ManageStock && w.Stock != nil {
		stock := int64(*w.Stock)
		p.Stock = &stock
	}
	p.ImageURL = string(w.Image.Src)
	if len(w.Images) > 0 {
		p.ImageURL = string(w.Images[0].Src)
	}
	if p.Name == "" && w.Type == typeVariation { // before 8.x a variation has no name
		p.Name = options(w.Attributes)
	}
	p.Brand = n.brand(w, raw)
	for _, c := range w.Categories {
		p.Categories = append(p.Categories, string(c.ID))
	}
	return ref, []crm.Fact{{Ref: ref, Body: p}}, nil
}

// options describes a variation as WooCommerce does: "Bleu nuit, M".
func options(of []option) string {
	var out []string
	for _, o := range of {
		if o.Option != "" {
			out = append(out, html.UnescapeString(string(o.Option)))
		}
	}
	return strings.Join(out, ", ")
}

// brand is what the shop's mapping says, else the first of WooCommerce's own brands (9.4 and newer).
func (n normaliser) brand(w wireProduct, raw []byte) string {
	if e := n.mapped.Brand; e != nil {
		if v, _ := e.Value(record{raw: raw, meta: w.Meta}.value); v != "" {
			return v
		}
	}
	if len(w.Brands) == 0 {
		return ""
	}
	return html.UnescapeString(string(w.Brands[0].Name))
}

func goneProduct(id string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: id}, Gone: true, Body: &crm.Product{}}
}

type wireCategory struct {
	ID     ident `json:"id"`
	Parent ident `json:"parent"`
	Name   text  `json:"name"`
	Slug   text  `json:"slug"`
}

func (n normaliser) category(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireCategory
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindCategory, raw), nil, err
	}
	ref := crm.Ref{Kind: crm.KindCategory, ID: string(w.ID)}
	if w.ID == "" {
		return ref, nil, errors.New("a category without an id")
	}
	return ref, []crm.Fact{{Ref: ref, Body: &crm.Category{
		ParentID: string(w.Parent), Name: html.UnescapeString(string(w.Name)), Slug: string(w.Slug),
	}}}, nil
}

func goneCategory(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindCategory, ID: id}, &crm.Category{})
}

// lostRef finds at least the id of a body that cannot be read as a whole.
func lostRef(kind crm.Kind, raw []byte) crm.Ref {
	var w struct {
		ID ident `json:"id"`
	}
	_ = json.Unmarshal(raw, &w) // what cannot be read stays ""
	return crm.Ref{Kind: kind, ID: string(w.ID)}
}
