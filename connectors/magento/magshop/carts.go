package magshop

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/shopspring/decimal"
)

func active(r *record) bool { return text(r.data["is_active"]) == "1" }

// cart makes an empty cart.
func (s *Shop) cart(customer, store int64) int64 {
	id := s.carts.next
	if store == 0 {
		store = 1
	}
	currency := "EUR"
	if store == 2 {
		currency = "CAD"
	}
	who := object{"email": nil, "firstname": nil, "lastname": nil}
	r := &record{id: id, hidden: object{"customer_id": nil, "customer_email": nil}}
	if c := s.customers.rows[customer]; c != nil {
		who = object{"id": customer, "email": c.data["email"], "firstname": c.data["firstname"], "lastname": c.data["lastname"], "store_id": c.data["store_id"]}
		r.hidden["customer_id"] = customer
	}
	r.data = object{
		"id": id, "created_at": s.now(), "updated_at": s.now(), "is_active": true, "is_virtual": false, "items": []any{}, "items_count": 0, "items_qty": 0,
		"customer": who, "billing_address": address("", 0), "customer_is_guest": customer == 0, "store_id": store,
		"currency":             object{"base_currency_code": "EUR", "quote_currency_code": currency},
		"extension_attributes": object{"shipping_assignments": []any{object{"shipping": object{"address": address("", 0), "method": nil}}}},
	}
	s.carts.put(r)
	return id
}

func address(email string, customer int64) object {
	a := object{
		"region": nil, "region_id": nil, "region_code": nil, "country_id": nil, "street": []any{""}, "telephone": nil, "postcode": nil, "city": nil,
		"firstname": nil, "lastname": nil, "email": nil, "same_as_billing": 0,
	}
	if email != "" {
		a["email"], a["country_id"], a["city"], a["firstname"], a["lastname"] = email, "FR", "Lyon", "Aïcha", "Noël"
	}
	if customer != 0 {
		a["customer_id"] = customer
	}
	return a
}

// NewCart makes an empty cart; customer 0: a guest's.
func (s *Shop) NewCart(customer, store int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cart(customer, store)
}

// Fill sets how much of a product lies in a cart; 0 takes it out. A quantity that stays moves no date.
func (s *Shop) Fill(cart int64, i Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.carts.rows[cart]
	if r == nil || !active(r) {
		return
	}
	old, _ := r.data["items"].([]any)
	sku, found := s.sku(i.ProductID), false
	var items []any
	var sum int64
	for _, l := range old {
		o, ok := l.(object)
		if ok && o["sku"] == sku {
			if number(o["qty"]) == i.Quantity {
				return
			}
			found = true
			if i.Quantity == 0 {
				continue
			}
			o = s.cartLine(number(o["item_id"]), i, cart)
		}
		items, sum = append(items, o), sum+number(o["qty"])
	}
	if !found && i.Quantity > 0 {
		items, sum = append(items, s.cartLine(s.row(), i, cart)), sum+i.Quantity
	}
	if items == nil {
		items = []any{}
	}
	r.data["items"], r.data["items_count"], r.data["items_qty"] = items, len(items), sum
	s.touch(r)
}

func (s *Shop) cartLine(id int64, i Item, cart int64) object {
	name, kind := s.name(i.ProductID), "simple"
	if parent := s.parentOf(i.ProductID); parent != 0 {
		name, kind = s.name(parent), "configurable"
	}
	return object{
		"item_id": id, "sku": s.sku(i.ProductID), "qty": i.Quantity, "name": name, "product_type": kind, "quote_id": strconv.FormatInt(cart, 10),
		"price": money(s.price(i.ProductID).Div(decimal.RequireFromString("1.2"))), // without tax
	}
}

// ShippingStep stores a guest's e-mail with his addresses, and moves the date; PaymentStep stores it without.
func (s *Shop) ShippingStep(cart int64, email string) { s.setEmail(cart, email, true) }

// PaymentStep stores a guest's e-mail: no date moves.
func (s *Shop) PaymentStep(cart int64, email string) { s.setEmail(cart, email, false) }

func (s *Shop) setEmail(cart int64, email string, dated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.carts.rows[cart]; r != nil && active(r) {
		r.data["billing_address"] = address(email, 0)
		if dated {
			s.touch(r)
		}
	}
}

// Merge lets a cart end in another one: it stays, inactive, without an order.
func (s *Shop) Merge(cart int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.carts.rows[cart]; r != nil {
		r.data["is_active"] = false
		s.touch(r)
	}
}

// SavePromotion saves a promotion rule: every cart gets a new date, nothing in it changes.
func (s *Shop) SavePromotion() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.carts.rows {
		if active(r) {
			s.touch(r)
		}
	}
}

// totals is GET /V1/carts/{id}/totals.
func (s *Shop) totals(id string, q url.Values) reply {
	n, err := strconv.ParseInt(id, 10, 64)
	r := s.carts.rows[n]
	if err != nil || r == nil || !active(r) {
		return refuse(http.StatusNotFound, "No such entity with %fieldName = %fieldValue", object{"fieldName": "cartId", "fieldValue": n})
	}
	if r.bad == "crash" {
		return crash()
	}
	lines, _ := r.data["items"].([]any)
	items, sum, tax := []any{}, decimal.Zero, decimal.RequireFromString("1.2")
	for _, l := range lines {
		o, ok := l.(object)
		if !ok {
			continue
		}
		row := amount(o["price"]).Mul(tax).Mul(amount(o["qty"])).Round(2)
		sum = sum.Add(row)
		items = append(items, object{"item_id": o["item_id"], "row_total": money(row.Div(tax)), "row_total_incl_tax": money(row), "discount_amount": 0, "qty": o["qty"], "name": o["name"]})
	}
	return ok(trimmed(object{"grand_total": money(sum), "subtotal_incl_tax": money(sum), "items": items}, q.Get("fields")))
}
