package presshop

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Item is a product, or one of its combinations, in a quantity.
type Item struct{ Product, Combination, Quantity int64 }

// OpenCart puts things into a new cart; customer 0 is a visitor.
func (s *Shop) OpenCart(customer, currency int64, items ...Item) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openCart(customer, currency, items).number("id")
}

func (s *Shop) openCart(customer, currency int64, items []Item) *row {
	now := s.local()
	c := s.tables["carts"].add("id_currency", currency, "id_customer", customer, "id_guest", 0, "id_lang", 1, "id_shop_group", 1, "id_shop", 1,
		"gift_message", "", "delivery_option", "", "secure_key", "00000000000000000000000000000000", "date_add", now, "date_upd", now)
	for _, i := range items {
		s.put(c, i)
	}
	return c
}

func (s *Shop) put(c *row, i Item) {
	c.link("cart_rows", made("id_product", i.Product, "id_product_attribute", i.Combination, "id_address_delivery", 0, "id_customization", 0, "quantity", i.Quantity))
}

// AddToCart puts one more thing into a cart.
func (s *Shop) AddToCart(cart int64, i Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find("carts", cart)
	if c == nil {
		return gone("carts", cart)
	}
	for n, r := range c.linked["cart_rows"] {
		if r.number("id_product") == i.Product && r.number("id_product_attribute") == i.Combination {
			r = r.clone()
			r.set("quantity", r.number("quantity")+i.Quantity)
			c.linked["cart_rows"][n] = r
			c.set("date_upd", s.local())
			return nil
		}
	}
	s.put(c, i)
	c.set("date_upd", s.local())
	return nil
}

// EmptyCart takes everything out. sql: as a module does it, without moving the date.
func (s *Shop) EmptyCart(cart int64, sql bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find("carts", cart)
	if c == nil {
		return gone("carts", cart)
	}
	c.linked["cart_rows"] = nil
	if !sql {
		c.set("date_upd", s.local())
	}
	return nil
}

// ordered: a cart became an order that is still there.
func (s *Shop) ordered(cart int64) bool {
	return slices.ContainsFunc(s.tables["orders"].rows, is("id_cart", cart))
}

// Ordered tells whether a cart became an order that is still there.
func (s *Shop) Ordered(cart int64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ordered(cart)
}

const shipping = "5.880000"

// Order turns a cart into an order, or into one per row when carriers split it. The state is its first one.
func (s *Shop) Order(cart, state int64, split bool) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find("carts", cart)
	if c == nil {
		return nil, gone("carts", cart)
	}
	parts := [][]object{c.linked["cart_rows"]}
	if split {
		parts = nil
		for _, r := range c.linked["cart_rows"] {
			parts = append(parts, []object{r})
		}
	}
	reference := fmt.Sprintf("LOOP%05d", cart)
	var ids []int64
	var all decimal.Decimal
	for _, rows := range parts {
		o, total := s.placed(c, rows, reference, state)
		ids, all = append(ids, o.number("id")), all.Add(total)
	}
	for i, id := range ids { // the whole payment is written on the last of them
		paid := decimal.Decimal{}
		if i == len(ids)-1 {
			paid = all
		}
		s.find("orders", id).set("total_paid_real", paid.StringFixed(6))
	}
	return ids, nil
}

func (s *Shop) placed(c *row, rows []object, reference string, state int64) (*row, decimal.Decimal) {
	now, currency := s.local(), s.find("currencies", c.number("id_currency"))
	rate, _ := decimal.NewFromString(currency.text("conversion_rate")) // recorded
	var lines []object
	var goods, net decimal.Decimal
	for _, r := range rows {
		line, price := s.line(r, rate)
		lines = append(lines, line)
		q := decimal.NewFromInt(r.number("quantity"))
		goods = goods.Add(price.Mul(q))
	}
	post, _ := decimal.NewFromString(shipping) // ours
	total := goods.Add(post)
	net = total.DivRound(decimal.NewFromFloat(1.2), 2)
	address := s.addressOf(c.number("id_customer"))
	o := s.tables["orders"].add("id_address_delivery", address, "id_address_invoice", address, "id_cart", c.number("id"), "id_currency", currency.number("id"),
		"id_lang", 1, "id_customer", c.number("id_customer"), "id_carrier", 2, "current_state", state, "module", "ps_wirepayment", "invoice_date", "0000-00-00 00:00:00",
		"delivery_date", "0000-00-00 00:00:00", "valid", s.flag(state, "logable"), "date_add", now, "date_upd", now, "payment", "Virement",
		"total_discounts", "0.000000", "total_discounts_tax_incl", "0.000000", "total_paid", total.StringFixed(6), "total_paid_tax_incl", total.StringFixed(6),
		"total_paid_tax_excl", net.StringFixed(6), "total_products", net.StringFixed(6), "total_products_wt", goods.StringFixed(6),
		"total_shipping", shipping, "total_shipping_tax_incl", shipping, "conversion_rate", rate.StringFixed(6), "reference", reference)
	for _, l := range lines {
		o.link("order_rows", l)
	}
	s.history(o.number("id"), state)
	return o, total
}

func (s *Shop) line(r object, rate decimal.Decimal) (object, decimal.Decimal) {
	p := s.find("products", r.number("id_product"))
	name, reference, price := "?", "", decimal.Decimal{}
	if p != nil {
		name, reference, price = p.translation("name"), p.text("reference"), s.final(p, s.find("combinations", r.number("id_product_attribute")))
	}
	price = price.Mul(rate).Round(2)
	s.lines++
	return made("id", 100_000+s.lines, "product_id", r.number("id_product"), "product_attribute_id", r.number("id_product_attribute"),
		"product_quantity", r.number("quantity"), "product_name", name, "product_reference", reference,
		"product_price", price.StringFixed(6), "id_customization", 0, "unit_price_tax_incl", price.StringFixed(6), "unit_price_tax_excl", price.StringFixed(6)), price
}

func (s *Shop) addressOf(customer int64) int64 {
	for _, a := range slices.Backward(s.tables["addresses"].rows) {
		if a.number("id_customer") == customer && a.text("deleted") == "0" {
			return a.number("id")
		}
	}
	return 0
}

func (s *Shop) flag(state int64, name string) string {
	if st := s.find("order_states", state); st != nil {
		return st.text(name)
	}
	return "0"
}

func (s *Shop) history(order, state int64) {
	s.tables["order_histories"].add("id_employee", 0, "id_order_state", state, "id_order", order, "date_add", s.local())
}

// ChangeState moves an order on; its history grows by a row.
func (s *Shop) ChangeState(order, state int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.find("orders", order)
	if o == nil {
		return gone("orders", order)
	}
	o.set("current_state", state)
	o.set("valid", s.flag(state, "logable"))
	o.set("date_upd", s.local())
	s.history(order, state)
	return nil
}

// Slip refunds one of the first row of an order, with or without shipping. The order itself does not change.
func (s *Shop) Slip(order int64, withShipping bool) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.find("orders", order)
	if o == nil {
		return 0, gone("orders", order)
	}
	rows := o.linked["order_rows"]
	if len(rows) == 0 {
		return 0, gone("order_rows", order)
	}
	now, price := s.local(), rows[0].text("unit_price_tax_incl")
	post := "0.000000"
	if withShipping {
		post = o.text("total_shipping_tax_incl")
	}
	slip := s.tables["order_slip"].add("id_customer", o.number("id_customer"), "id_order", order, "conversion_rate", o.text("conversion_rate"),
		"total_products_tax_excl", price, "total_products_tax_incl", price, "total_shipping_tax_excl", post, "total_shipping_tax_incl", post,
		"amount", price, "shipping_cost", bit(withShipping), "shipping_cost_amount", post, "partial", 0, "date_add", now, "date_upd", now, "order_slip_type", 0)
	slip.link("order_slip_details", made("id", slip.number("id"), "id_order_detail", rows[0].number("id"), "product_quantity", 1, "amount_tax_excl", price, "amount_tax_incl", price))
	s.slips[slip.number("id")] = s.currency(o.number("id_currency"))
	return slip.number("id"), nil
}

// DeleteOrder removes an order as modules do it: its history goes with it, slips stay. cart: the cart goes as well;
// otherwise it looks abandoned again.
func (s *Shop) DeleteOrder(order int64, cart bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.find("orders", order)
	if o == nil {
		return gone("orders", order)
	}
	s.tables["orders"].remove(is("id", order))
	s.tables["order_histories"].remove(is("id_order", order))
	if cart && !s.ordered(o.number("id_cart")) {
		s.tables["carts"].remove(is("id", o.number("id_cart")))
	}
	return nil
}

// final is what a visitor pays for one, with tax, in the default currency.
func (s *Shop) final(p, combination *row) decimal.Decimal {
	price, err := decimal.NewFromString(p.text("price"))
	if err != nil {
		return decimal.Decimal{}
	}
	if combination != nil {
		more, err := decimal.NewFromString(combination.text("price"))
		if err == nil {
			price = price.Add(more)
		}
	}
	tax := map[string]string{"1": "1.2", "2": "1.1", "3": "1.055", "4": "1.021"}[p.text("id_tax_rules_group")]
	if rate, err := decimal.NewFromString(tax); err == nil {
		price = price.Mul(rate)
	}
	return price.Round(2)
}

// priced adds the field that price[final] asks for.
func (s *Shop) priced(t *table, r *row) *row {
	out := &row{object: r.clone(), lists: r.lists, linked: r.linked}
	p, c := r, (*row)(nil)
	if t.name == "combinations" {
		p, c = s.find("products", r.number("id_product")), r
	}
	if p == nil {
		out.set("final", "0.000000")
		return out
	}
	out.set("final", s.final(p, c).StringFixed(6))
	return out
}

func nameOf(s *Shop, combination *row) string {
	var chosen []string
	for _, o := range combination.linked["product_option_values"] {
		if v := s.find("product_option_values", o.number("id")); v != nil {
			chosen = append(chosen, v.translation("name"))
		}
	}
	return strings.Join(chosen, ", ")
}
