package magshop

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/shopspring/decimal"
)

// Item is something ordered or put into a cart: a simple product, or the child of a configurable one.
type Item struct {
	ProductID int64
	Quantity  int64
}

// Order is an order to place.
type Order struct {
	CustomerID int64  // 0: a guest
	Email      string // of a guest, as he types it
	StoreID    int64  // 0 = 1; 2 sells in CAD
	Items      []Item
	Coupon     string // with one, 10 % off
	CartID     int64  // the cart that becomes the order; 0: a new one
	Created    string // 0000-00-00 00:00:00; "": now
}

func money(d decimal.Decimal) json.Number { return json.Number(d.Round(2).String()) }

func amount(v any) decimal.Decimal {
	d, err := decimal.NewFromString(text(v))
	if err != nil {
		return decimal.Zero
	}
	return d
}

var rateCAD = decimal.RequireFromString("1.4873") //nolint:gochecknoglobals // a constant

// PlaceOrder places an order, state new.
func (s *Shop) PlaceOrder(o Order) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(o, nil)
}

func (s *Shop) place(o Order, edit object) int64 {
	id := s.orders.next
	if o.StoreID == 0 {
		o.StoreID = 1
	}
	if o.CartID == 0 {
		o.CartID = s.cart(o.CustomerID, o.StoreID)
	}
	if c := s.carts.rows[o.CartID]; c != nil {
		c.data["is_active"], c.data["reserved_order_id"] = false, fmt.Sprintf("%09d", id)
		s.touch(c)
	}
	at := o.Created
	if at == "" {
		at = s.now()
	}
	currency, rate := "EUR", decimal.NewFromInt(1)
	if o.StoreID == 2 {
		currency, rate = "CAD", rateCAD
	}
	data := object{
		"entity_id": id, "increment_id": fmt.Sprintf("%09d", id), "store_id": o.StoreID, "state": "new", "status": "pending", "created_at": at, "updated_at": at,
		"base_currency_code": "EUR", "order_currency_code": currency, "base_to_order_rate": money(rate), "quote_id": o.CartID, "is_virtual": 0,
		"customer_is_guest": 1, "customer_email": o.Email, "customer_firstname": "Aïcha", "customer_lastname": "Noël", "customer_group_id": 0, "status_histories": []any{},
		"payment": object{"method": "checkmo", "account_status": nil, "additional_information": []any{"Check / Money order", nil}},
	}
	if c := s.customers.rows[o.CustomerID]; c != nil {
		data["customer_is_guest"], data["customer_id"], data["customer_email"] = 0, o.CustomerID, c.data["email"]
		data["customer_firstname"], data["customer_lastname"], data["customer_group_id"] = c.data["firstname"], c.data["lastname"], 1
	}
	where := object{
		"city": "Lyon", "country_id": "FR", "email": data["customer_email"], "firstname": data["customer_firstname"], "lastname": data["customer_lastname"],
		"postcode": "69001", "region": "Rhône", "region_code": "Rhône", "street": []any{"1 rue Neuve"}, "telephone": "+33 4 99 00 00 11",
	}
	data["billing_address"] = where
	data["extension_attributes"] = object{"shipping_assignments": []any{object{"shipping": object{"address": maps.Clone(where), "method": "flatrate_flatrate"}}}}
	if o.Coupon != "" {
		data["coupon_code"] = o.Coupon
	}
	maps.Copy(data, edit)
	s.priceOrder(data, o, rate)
	s.orders.put(&record{id: id, data: data})
	return id
}

// priceOrder sets lines and totals; prices are entered with 20 % of tax.
func (s *Shop) priceOrder(data object, o Order, rate decimal.Decimal) {
	tax, ten := decimal.RequireFromString("1.2"), decimal.RequireFromString("0.1")
	var items []any
	var subtotal, taxes, off, compensation decimal.Decimal
	for _, i := range o.Items {
		price := s.price(i.ProductID).Mul(rate).Round(2)
		gross := price.Mul(decimal.NewFromInt(i.Quantity))
		net := gross.Div(tax).Round(2)
		discount := decimal.Zero
		if o.Coupon != "" {
			discount = gross.Mul(ten).Round(2)
		}
		paid := gross.Sub(discount)
		t := paid.Sub(paid.Div(tax).Round(2))
		c := paid.Sub(net.Sub(discount)).Sub(t)
		subtotal, taxes, off, compensation = subtotal.Add(net), taxes.Add(t), off.Add(discount), compensation.Add(c)
		line := object{
			"item_id": s.row(), "product_id": i.ProductID, "product_type": "simple", "sku": s.sku(i.ProductID), "name": s.name(i.ProductID),
			"qty_ordered": i.Quantity, "price": money(price.Div(tax)), "price_incl_tax": money(price), "row_total": money(net.Sub(discount)), // net of the discount, in REST alone
			"row_total_incl_tax": money(gross.Sub(discount)), "tax_amount": money(t), "discount_amount": money(discount), "discount_tax_compensation_amount": money(c),
		}
		items = append(items, line)
		if parent := s.parentOf(i.ProductID); parent != 0 {
			line["product_type"], line["product_id"], line["name"] = "configurable", parent, s.name(parent)
			items = append(items, object{
				"item_id": s.row(), "parent_item_id": line["item_id"], "product_id": i.ProductID, "product_type": "simple", "sku": line["sku"], "name": s.name(i.ProductID),
				"qty_ordered": i.Quantity, "price": 0, "original_price": 0, "row_total": 0, "row_total_incl_tax": 0, "tax_amount": 0, "discount_amount": 0,
			})
		}
	}
	shipping := decimal.RequireFromString("6.9").Mul(rate).Round(2)
	total := subtotal.Add(shipping).Add(taxes).Add(compensation).Sub(off)
	data["items"] = items
	for k, v := range map[string]decimal.Decimal{
		"subtotal": subtotal, "tax_amount": taxes, "discount_tax_compensation_amount": compensation, "discount_amount": off.Neg(),
		"shipping_amount": shipping, "shipping_incl_tax": shipping, "shipping_discount_amount": decimal.Zero, "grand_total": total, "total_due": total,
	} {
		data[k] = money(v)
		data["base_"+k] = money(v.Div(rate))
	}
}

// change moves the date of an order and lets f change it; false when there is no such order.
func (s *Shop) change(id int64, f func(o object)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.orders.rows[id]
	if r == nil {
		return false
	}
	f(r.data)
	s.touch(r)
	return true
}

// Invoice makes an order a paid one.
func (s *Shop) Invoice(id int64) bool {
	return s.change(id, func(o object) {
		o["state"], o["status"], o["total_paid"], o["total_due"] = "processing", "processing", o["grand_total"], json.Number("0")
	})
}

// Ship completes a paid order.
func (s *Shop) Ship(id int64) bool {
	return s.change(id, func(o object) { o["state"], o["status"] = "complete", "complete" })
}

// Hold and Unhold stop an order and let it go on.
func (s *Shop) Hold(id int64) bool {
	return s.change(id, func(o object) {
		o["hold_before_state"], o["hold_before_status"] = o["state"], o["status"]
		o["state"], o["status"] = "holded", "holded"
	})
}

// Unhold gives an order its state back.
func (s *Shop) Unhold(id int64) bool {
	return s.change(id, func(o object) {
		o["state"], o["status"] = o["hold_before_state"], o["hold_before_status"]
		delete(o, "hold_before_state")
		delete(o, "hold_before_status")
	})
}

// Cancel leaves total_due as it is.
func (s *Shop) Cancel(id int64) bool {
	return s.change(id, func(o object) {
		o["state"], o["status"], o["total_canceled"] = "canceled", "canceled", o["grand_total"]
	})
}

// Comment adds a comment without a change of status: no date moves.
func (s *Shop) Comment(id int64, comment string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.orders.rows[id]; r != nil {
		r.data["status_histories"] = []any{object{"comment": comment, "created_at": s.now(), "status": r.data["status"], "parent_id": id}}
	}
}

// EditOrder cancels an order in favour of a new one with other items, as the administration does. It gives the new one.
func (s *Shop) EditOrder(id int64, items []Item) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.orders.rows[id]
	if r == nil {
		return 0
	}
	old := r.data
	first := text(old["original_increment_id"])
	if first == "" {
		first = text(old["increment_id"])
	}
	n := number(old["edit_increment"]) + 1
	increment := first + "-" + strconv.FormatInt(n, 10)
	fresh := s.place(Order{CustomerID: number(old["customer_id"]), Email: text(old["customer_email"]), StoreID: number(old["store_id"]), Items: items}, object{
		"increment_id": increment, "original_increment_id": first, "edit_increment": n,
		"relation_parent_id": strconv.FormatInt(id, 10), "relation_parent_real_id": old["increment_id"],
	})
	old["state"], old["status"], old["total_canceled"] = "canceled", "canceled", old["grand_total"]
	old["relation_child_id"], old["relation_child_real_id"] = strconv.FormatInt(fresh, 10), increment
	s.touch(r)
	return fresh
}

// Refund makes a credit memo over a share of the order in percent; at 100 the order is closed.
func (s *Shop) Refund(order, percent int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.orders.rows[order]
	if r == nil {
		return 0
	}
	id := s.refunds.next
	sum := amount(r.data["grand_total"]).Mul(decimal.NewFromInt(percent)).Div(decimal.NewFromInt(100)).Round(2)
	s.refunds.put(&record{id: id, data: object{
		"entity_id": id, "order_id": order, "increment_id": fmt.Sprintf("%09d", id), "store_id": r.data["store_id"], "created_at": s.now(), "updated_at": s.now(),
		"order_currency_code": r.data["order_currency_code"], "base_currency_code": "EUR", "grand_total": money(sum), "items": []any{}, "comments": []any{}, "state": 2,
	}})
	refunded := amount(r.data["total_refunded"]).Add(sum)
	r.data["total_refunded"] = money(refunded)
	if refunded.Cmp(amount(r.data["grand_total"])) >= 0 {
		r.data["state"], r.data["status"] = "closed", "closed"
	}
	s.touch(r)
	return id
}
