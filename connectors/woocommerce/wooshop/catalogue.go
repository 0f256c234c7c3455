package wooshop

import (
	"encoding/json"
	"fmt"
	"slices"
)

// UpdateProduct sets fields of a product, for example "price" or "stock_status".
func (s *Shop) UpdateProduct(id int64, fields map[string]string) error {
	err := s.changeProduct(id, fields)
	if err == nil {
		s.fire(id, "product.updated")
	}
	return err
}

// TrashProduct puts a product into the bin. Through the API that fires coupon.deleted too, with the product's id.
func (s *Shop) TrashProduct(id int64) error {
	err := s.changeProduct(id, map[string]string{"status": statusTrash})
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, v := range s.variationIDs(id) {
		if err = s.edit(s.variations, "variation", v, func(o *object) error { o.set("status", statusTrash); return nil }); err != nil {
			break
		}
	}
	s.mu.Unlock()
	s.fire(id, "product.deleted", "coupon.deleted")
	return err
}

// variationIDs lists the variations of a product. The caller holds the lock.
func (s *Shop) variationIDs(id int64) []int64 {
	return s.variations.ids(func(v *record) bool { return v.parent == id })
}

// VariationIDs lists all variations that are not in the bin.
func (s *Shop) VariationIDs() []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.variations.ids(func(v *record) bool { return v.status != statusTrash })
}

// UpdateVariation sets fields of a variation. Its product's date does not move; product.updated names the variation.
func (s *Shop) UpdateVariation(id int64, fields map[string]string) error {
	s.mu.Lock()
	err := s.edit(s.variations, "variation", id, func(o *object) error {
		s.setDate(o, "date_modified", s.now())
		for name, v := range fields {
			o.set(name, v)
		}
		return nil
	})
	s.mu.Unlock()
	if err == nil {
		s.fire(id, "product.updated")
	}
	return err
}

// DeleteVariation deletes a variation for good. WooCommerce fires nothing.
func (s *Shop) DeleteVariation(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.variations.get(id)
	if v == nil {
		return notFound("variation", id)
	}
	s.variations.remove(id)
	return s.edit(s.products, "product", v.parent, func(o *object) error {
		var ids []int64
		if err := json.Unmarshal(o.get("variations"), &ids); err != nil {
			return fmt.Errorf("wooshop: reading variations: %w", err)
		}
		o.set("variations", slices.DeleteFunc(ids, func(n int64) bool { return n == id }))
		return nil
	})
}

func (s *Shop) changeProduct(id int64, fields map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edit(s.products, "product", id, func(o *object) error {
		s.setDate(o, "date_modified", s.now())
		for name, v := range fields {
			o.set(name, v)
		}
		return nil
	})
}

// RenameCategory changes the name of a category, which has no date. No webhook fires.
func (s *Shop) RenameCategory(id int64, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edit(s.categories, "category", id, func(o *object) error { o.set("name", name); return nil })
}

// DeleteCategory deletes a category; those below it move up.
func (s *Shop) DeleteCategory(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.categories.get(id)
	if c == nil {
		return notFound("category", id)
	}
	s.categories.remove(id)
	up := categoryParent(c)
	for _, below := range s.categories.ids(func(r *record) bool { return categoryParent(r) == id }) {
		if err := s.edit(s.categories, "category", below, func(o *object) error { o.set("parent", up); return nil }); err != nil {
			return err
		}
	}
	return nil
}

func categoryParent(r *record) int64 {
	var w struct {
		Parent int64 `json:"parent"`
	}
	if json.Unmarshal(r.raw, &w) != nil {
		return 0
	}
	return w.Parent
}

// Bodies are the resources of a kind as the shop's tables hold them, in the order of their ids: "orders", "customers",
// "products", "variations", "refunds", "categories".
func (s *Shop) Bodies(kind string) [][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := map[string]*table{
		"orders": s.orders, "customers": s.customers, "products": s.products, "variations": s.variations,
		"refunds": s.refunds, "categories": s.categories,
	}[kind]
	if t == nil {
		return nil
	}
	out := make([][]byte, len(t.rows))
	for i, r := range t.rows {
		out[i] = r.raw
	}
	return out
}
