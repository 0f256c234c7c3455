package presshop

// AddProduct makes a product, in stock.
func (s *Shop) AddProduct(name, price string, category int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.local()
	p := s.tables["products"].add("id_manufacturer", 1, "id_category_default", category, "id_default_image", "", "id_tax_rules_group", 1,
		"manufacturer_name", "Maison Février", "quantity", 0, "type", "simple", "reference", "REF-NEW", "state", 1, "product_type", "standard",
		"price", price, "active", "1", "available_for_order", "1", "visibility", "both", "date_add", now, "date_upd", now,
		"name", translated(name, name), "link_rewrite", translated("neuf", "new"))
	p.link("categories", made("id", category))
	s.tables["stock_availables"].add("id_product", p.number("id"), "id_product_attribute", 0, "id_shop", 1, "quantity", 10, "depends_on_stock", "0", "out_of_stock", 2, "location", "")
	return p.number("id")
}

// EditProduct changes a field of a product through the back office.
func (s *Shop) EditProduct(product int64, field string, value any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find("products", product)
	if p == nil {
		return gone("products", product)
	}
	p.set(field, value)
	p.set("date_upd", s.local())
	return nil
}

// RenameProduct changes the name in both languages.
func (s *Shop) RenameProduct(product int64, name string) error {
	return s.EditProduct(product, "name", translated(name, name))
}

// SetStock changes a quantity and what happens when there is none (0 no orders, 1 orders, 2 as the settings say). It
// moves no date. combination 0 is the product as a whole.
func (s *Shop) SetStock(product, combination, quantity, whenOut int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.tables["stock_availables"].rows {
		if r.number("id_product") == product && r.number("id_product_attribute") == combination {
			r.set("quantity", quantity)
			r.set("out_of_stock", whenOut)
			return nil
		}
	}
	return gone("stock_availables", product)
}

// DeleteProduct removes a product with its combinations and stock.
func (s *Shop) DeleteProduct(product int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables["products"].remove(is("id", product)) == 0 {
		return gone("products", product)
	}
	s.tables["combinations"].remove(is("id_product", product))
	s.tables["stock_availables"].remove(is("id_product", product))
	return nil
}

// DeleteCombination removes a combination and its stock, without moving the product's date.
func (s *Shop) DeleteCombination(combination int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables["combinations"].remove(is("id", combination)) == 0 {
		return gone("combinations", combination)
	}
	s.tables["stock_availables"].remove(is("id_product_attribute", combination))
	return nil
}

// AddCategory makes a category.
func (s *Shop) AddCategory(name string, parent int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.local()
	return s.tables["categories"].add("id_parent", parent, "level_depth", 3, "active", "1", "id_shop_default", 1, "date_add", now, "date_upd", now,
		"name", translated(name, name), "link_rewrite", translated("neuf", "new")).number("id")
}

// RenameCategory changes a category's name.
func (s *Shop) RenameCategory(category int64, name string) error {
	return s.SQL("categories", category, "name", translated(name, name))
}
