package magshop

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/shopspring/decimal"
)

func (s *Shop) product(id int64) object {
	if r := s.products.rows[id]; r != nil {
		return r.data
	}
	return object{}
}

func (s *Shop) price(id int64) decimal.Decimal { return amount(s.product(id)["price"]) }
func (s *Shop) sku(id int64) string            { return text(s.product(id)["sku"]) }
func (s *Shop) name(id int64) string           { return text(s.product(id)["name"]) }

// parentOf is the configurable product of a child, 0 for any other.
func (s *Shop) parentOf(id int64) int64 {
	for parent, r := range s.products.rows {
		e, _ := r.data["extension_attributes"].(object)
		links, _ := e["configurable_product_links"].([]any)
		if slices.ContainsFunc(links, func(l any) bool { return number(l) == id }) {
			return parent
		}
	}
	return 0
}

// Simple lists the products that can be put into a cart.
func (s *Shop) Simple() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int64
	for _, id := range s.products.ids() {
		if s.products.rows[id].data["type_id"] == "simple" {
			out = append(out, id)
		}
	}
	return out
}

// SetProduct changes fields of a product and moves its date.
func (s *Shop) SetProduct(id int64, field string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.products.rows[id]; r != nil {
		r.data[field] = value
		s.touch(r)
	}
}

// SetStock changes what is in stock: no date of the product moves.
func (s *Shop) SetStock(id, quantity int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if item := s.stocks[id]; item != nil {
		item["qty"], item["is_in_stock"] = quantity, quantity > 0
	}
}

// InStock tells what the stock's own table says.
func (s *Shop) InStock(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	item := s.stocks[id]
	return item != nil && text(item["is_in_stock"]) == "1"
}

// SetCategory changes the name of a category.
func (s *Shop) SetCategory(id int64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.categories.rows[id]; r != nil {
		r.data["name"] = name
		s.touch(r)
	}
}

// productOf is GET /V1/products/{sku}, which alone shows the stock.
func (s *Shop) productOf(sku string, q url.Values) reply {
	for _, id := range s.products.ids() {
		r := s.products.rows[id]
		if s.sku(id) != sku {
			continue
		}
		if r.bad == "crash" {
			return crash()
		}
		return ok(trimmed(s.shown(s.products, r, true), q.Get("fields")))
	}
	return refuse(http.StatusNotFound, "The product that was requested doesn't exist. Verify the product and try again.", nil)
}
