package magshop

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// Account is a customer to create.
type Account struct {
	Email, FirstName, LastName string
	StoreID                    int64 // 0 = 1
	Subscribed                 bool
}

// CreateCustomer makes an account with an address in Lyon.
func (s *Shop) CreateCustomer(a Account) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, address := s.customers.next, s.row()
	if a.StoreID == 0 {
		a.StoreID = 1
	}
	website := int64(1)
	if a.StoreID == 3 {
		website = 2
	}
	s.customers.put(&record{id: id, data: object{
		"id": id, "group_id": 1, "default_billing": strconv.FormatInt(address, 10), "created_at": s.now(), "updated_at": s.now(), "email": a.Email,
		"firstname": a.FirstName, "lastname": a.LastName, "store_id": a.StoreID, "website_id": website, "disable_auto_group_change": 0,
		"addresses": []any{object{
			"id": address, "customer_id": id, "region": object{"region_code": nil, "region": nil, "region_id": 0}, "country_id": "FR", "street": []any{"1 rue Neuve"},
			"telephone": "+33 4 99 00 00 11", "postcode": "69001", "city": "Lyon", "firstname": a.FirstName, "lastname": a.LastName, "default_billing": true,
		}},
		"extension_attributes": object{"is_subscribed": a.Subscribed},
	}})
	return id
}

// SetCustomer changes fields of the account and moves its date.
func (s *Shop) SetCustomer(id int64, fields map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.customers.rows[id]; r != nil {
		maps.Copy(r.data, fields)
		s.touch(r)
	}
}

// ChangeEmail also rewrites past orders that had the old address, and moves their dates; their billing addresses keep it.
// Carts show the account's new one at once, without a date.
func (s *Shop) ChangeEmail(id int64, email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.customers.rows[id]
	if r == nil {
		return
	}
	old := text(r.data["email"])
	r.data["email"] = email
	s.touch(r)
	for _, o := range s.orders.rows {
		if number(o.data["customer_id"]) == id && o.data["customer_email"] == old {
			o.data["customer_email"] = email
			s.touch(o)
		}
	}
	for _, c := range s.carts.rows {
		if who, ok := c.data["customer"].(object); ok && number(who["id"]) == id {
			who = maps.Clone(who)
			who["email"] = email
			c.data["customer"] = who
		}
	}
}

// Subscribe ticks or unticks the newsletter box in the shop: no date moves.
func (s *Shop) Subscribe(id int64, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.customers.rows[id]; r != nil {
		r.data["extension_attributes"] = object{"is_subscribed": yes}
	}
}

// DeleteCustomer leaves his orders without customer_id and his carts without a customer: no date moves.
func (s *Shop) DeleteCustomer(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.customers.rows, id)
	for _, o := range s.orders.rows {
		if number(o.data["customer_id"]) == id {
			delete(o.data, "customer_id") // customer_is_guest stays 0
		}
	}
	for _, c := range s.carts.rows {
		if who, ok := c.data["customer"].(object); ok && number(who["id"]) == id {
			c.data["customer"] = object{"email": nil, "firstname": nil, "lastname": nil}
		}
	}
}

// putCustomer is PUT /V1/customers/{id}: fields that are left out stay, an empty list of addresses deletes them.
func (s *Shop) putCustomer(r *http.Request, id string) reply {
	n, err := strconv.ParseInt(id, 10, 64)
	rec := s.customers.rows[n]
	if err != nil || rec == nil {
		return refuse(http.StatusNotFound, "No such entity with %fieldName = %fieldValue", object{"fieldName": "customerId", "fieldValue": n})
	}
	var w struct {
		Customer map[string]any `json:"customer"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err != nil || d.Decode(&w) != nil {
		return refuse(http.StatusBadRequest, "Decoding error.", nil)
	}
	var missing []any
	for _, name := range []string{"email", "firstname", "lastname"} {
		if text(w.Customer[name]) == "" {
			missing = append(missing, object{"message": `"%fieldName" is required. Enter and try again.`, "parameters": object{"fieldName": name}})
		}
	}
	if len(missing) > 0 {
		a := ok(object{"message": "One or more input exceptions have occurred.", "errors": missing})
		a.Status = http.StatusBadRequest
		return a
	}
	maps.Copy(rec.data, w.Customer)
	s.touch(rec)
	return ok(s.shown(s.customers, rec, true))
}
