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

type wireProduct struct {
	ID         lenient.Ident  `json:"id"`
	SKU        lenient.Text   `json:"sku"`
	Name       lenient.Text   `json:"name"`
	Type       lenient.Text   `json:"type_id"`
	Status     lenient.Text   `json:"status"`
	Visibility lenient.Text   `json:"visibility"`
	Price      lenient.Amount `json:"price"`
	Updated    lenient.Stamp  `json:"updated_at"`
	Custom     attributes     `json:"custom_attributes"`
	Extensions extensions     `json:"extension_attributes"`
}

// Magento's status of a product is 1 or 2; people see it as enabled or disabled.
const statusEnabled = "1"

// product gives the facet of a product, or of a variation: the child of a configurable product. Stock is a facet of its
// own, for lists do not show it; until it is read, what is enabled counts as in stock.
func (n normaliser) product(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireProduct
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindProduct, raw, "id"), nil, err
	}
	ref := crm.Ref{Kind: crm.KindProduct, ID: string(w.ID)}
	if w.ID == "" || w.SKU == "" {
		return ref, nil, errors.New("a product without an id or a SKU")
	}
	p := &crm.Product{
		Name: string(w.Name), SKU: string(w.SKU), Type: string(w.Type), Status: "disabled", Currency: n.views.main.currency,
		InStock: w.Status == statusEnabled, Brand: n.brand(raw, w), ModifiedAt: crm.Instant(w.Updated),
	}
	if w.Status == statusEnabled {
		p.Status = "enabled"
	}
	key, _ := w.Custom.get("url_key")
	image := pictureOf(w.Custom)
	if parent, ok := n.families.of[string(w.ID)]; ok {
		p.ParentID, key, image = parent.id, parent.urlKey, cmp.Or(image, parent.image) // a child has no page of its own
	}
	if key != "" && n.views.main.link != "" {
		p.URL = n.views.main.link + key + ".html"
	}
	p.ImageURL = n.views.image(image)
	p.Categories = categoriesOf(w)
	var err error
	p.Price, err = lenient.Minor(p.Currency, n.price(w))
	return ref, []crm.Fact{{Ref: ref, Body: p}}, err
}

// price is the special price on the days it holds for, if it is lower.
func (n normaliser) price(w wireProduct) lenient.Amount {
	special, _ := w.Custom.get("special_price")
	from, _ := w.Custom.get("special_from_date")
	to, _ := w.Custom.get("special_to_date")
	from, to = civilDate(from), civilDate(to)
	if special == "" || from != "" && n.today < from || to != "" && n.today > to {
		return w.Price
	}
	s, err := number(lenient.Amount(special))
	p, err2 := number(w.Price)
	if err != nil || err2 != nil || !s.LessThan(p) {
		return w.Price
	}
	return lenient.Amount(special)
}

// brandField is where shops keep the brand unless the mapping says otherwise.
const brandField = rootCustom + "manufacturer"

func (n normaliser) brand(raw []byte, w wireProduct) string {
	look := func(field string) (string, bool) {
		if code, ok := strings.CutPrefix(field, rootCustom); ok {
			v, ok := w.Custom.get(code)
			return labelled(v, n.brands[code]), ok
		}
		if name, ok := strings.CutPrefix(field, rootExtension); ok {
			return w.Extensions.get(name)
		}
		return scalar(raw, field)
	}
	if e := n.mapped.Brand; e != nil {
		v, _ := e.Value(look)
		return strings.TrimSpace(v)
	}
	v, _ := look(brandField)
	return strings.TrimSpace(v)
}

func categoriesOf(w wireProduct) []string {
	var links lenient.List[struct {
		ID lenient.Ident `json:"category_id"`
	}]
	var out []string
	if raw, ok := w.Extensions["category_links"]; ok && json.Unmarshal(raw, &links) == nil {
		for _, l := range links {
			if l.ID != "" {
				out = append(out, string(l.ID))
			}
		}
	}
	if ids, ok := w.Custom.get("category_ids"); ok && len(out) == 0 && ids != "" {
		out = strings.Split(ids, ",")
	}
	return out
}

// pictureOf is the path of the picture below the media folder, "" when there is none.
func pictureOf(as attributes) string {
	for _, code := range []string{"image", "small_image", "thumbnail"} {
		if v, _ := as.get(code); v != "" && v != "no_selection" {
			return v
		}
	}
	return ""
}

// childrenOf are the variations of a configurable product.
func childrenOf(w wireProduct) []string {
	var ids lenient.List[lenient.Ident]
	raw, ok := w.Extensions["configurable_product_links"]
	if !ok || json.Unmarshal(raw, &ids) != nil {
		return nil
	}
	var out []string
	for _, id := range ids {
		if id != "" {
			out = append(out, string(id))
		}
	}
	return out
}

func goneProduct(id string) []crm.Fact {
	ref := crm.Ref{Kind: crm.KindProduct, ID: id}
	return connectors.Gone(ref, &crm.Product{}, &crm.Stock{})
}

type wireCategory struct {
	ID       lenient.Ident `json:"id"`
	ParentID lenient.Ident `json:"parent_id"`
	Name     lenient.Text  `json:"name"`
	Custom   attributes    `json:"custom_attributes"`
}

// category gives the facet of a category.
func (n normaliser) category(raw []byte) (crm.Ref, []crm.Fact, error) {
	var w wireCategory
	if err := json.Unmarshal(raw, &w); err != nil {
		return lostRef(crm.KindCategory, raw, "id"), nil, err
	}
	ref := crm.Ref{Kind: crm.KindCategory, ID: string(w.ID)}
	if w.ID == "" {
		return ref, nil, errors.New("a category without an id")
	}
	slug, _ := w.Custom.get("url_key")
	return ref, []crm.Fact{{Ref: ref, Body: &crm.Category{ParentID: string(w.ParentID), Name: string(w.Name), Slug: slug}}}, nil
}

func goneCategory(id string) []crm.Fact {
	return connectors.Gone(crm.Ref{Kind: crm.KindCategory, ID: id}, &crm.Category{})
}
