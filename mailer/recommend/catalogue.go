package recommend

import (
	"cmp"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// product is what one run knows of a product that is no variation.
type product struct {
	id         string
	brand      string
	categories []string
	sold       bool // can be bought as the run begins
	buyers     int64
	recent     int64 // of them, who bought it within the last Window
}

// catalogue is a shop's, in memory for the length of a run; products have numbers in the order of their ids' first sight.
type catalogue struct {
	products []product
	number   map[string]int32
	parent   map[string]string // of variations
	buyers   int64
}

func newCatalogue() *catalogue {
	return &catalogue{number: map[string]int32{}, parent: map[string]string{}}
}

// family is the number of a product, of its parent for a variation. One that the catalogue does not know is added: what
// is gone may still be what somebody bought.
func (c *catalogue) family(id string) int32 {
	return c.numberOf(cmp.Or(c.parent[id], id))
}

func (c *catalogue) numberOf(id string) int32 {
	n, ok := c.number[id]
	if !ok {
		n = int32(len(c.products))
		c.number[id] = n
		c.products = append(c.products, product{id: id})
	}
	return n
}

// take adds a page. offers are whole: with the prices that products have from their variations.
func (c *catalogue) take(offers map[mirror.RecordKey]mirror.Offer, categories map[mirror.RecordKey][]string) {
	for _, o := range offers {
		if o.ParentID != "" {
			c.parent[o.ID] = o.ParentID
			continue
		}
		p := &c.products[c.numberOf(o.ID)]
		p.brand, p.sold, p.categories = o.Brand, o.Sold(), categories[o.RecordKey]
	}
}

// count takes in what one buyer bought.
func (c *catalogue) count(all []bought, now crm.Instant) {
	if len(all) == 0 {
		return
	}
	c.buyers++
	for _, b := range all {
		p := &c.products[b.product]
		p.buyers++
		if b.last() > now.Add(-Window) {
			p.recent++
		}
	}
}

// best gives the lists of brands, categories and the shop: what can be bought, by its buyers of late, then of all time.
// The shop's holds only what was bought.
func (c *catalogue) best() []list {
	by := map[string][]int32{}
	for i, p := range c.products {
		if !p.sold {
			continue
		}
		n := int32(i)
		if p.buyers > 0 {
			by[scopeAll] = append(by[scopeAll], n)
		}
		if p.brand != "" {
			by[scopeBrand(p.brand)] = append(by[scopeBrand(p.brand)], n)
		}
		for _, id := range p.categories {
			by[scopeCategory(id)] = append(by[scopeCategory(id)], n)
		}
	}
	out := make([]list, 0, len(by))
	for scope, products := range by {
		slices.SortFunc(products, func(a, b int32) int {
			x, y := c.products[a], c.products[b]
			return cmp.Or(cmp.Compare(y.recent, x.recent), cmp.Compare(y.buyers, x.buyers), cmp.Compare(x.id, y.id))
		})
		l := list{scope: scope, size: int64(len(products))}
		for _, n := range products[:min(len(products), perList)] {
			l.picks = append(l.picks, Pick{ID: c.products[n].id})
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b list) int { return cmp.Compare(a.scope, b.scope) })
	return out
}
