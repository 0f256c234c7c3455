package wooshop

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// CustomerSpec is an account to be made on the storefront.
type CustomerSpec struct {
	Email, FirstName, LastName string
	Role                       string // "": customer
	Meta                       map[string]string
}

// CreateCustomer registers somebody: date_modified stays null until the account is edited.
func (s *Shop) CreateCustomer(c CustomerSpec) (int64, error) {
	id, err := s.newCustomer(c)
	if err == nil {
		s.fire(id, "customer.created")
	}
	return id, err
}

func (s *Shop) newCustomer(c CustomerSpec) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.customers.rows {
		if strings.EqualFold(r.email, c.Email) {
			return 0, errors.New("wooshop: an account is already registered with this address")
		}
	}
	o, err := parseObject(s.customers.rows[0].raw)
	if err != nil {
		return 0, fmt.Errorf("wooshop: reading the model customer: %w", err)
	}
	id, none := s.nextUser, address{}
	s.nextUser++
	role := c.Role
	if role == "" {
		role = "customer"
	}
	o.set("id", id)
	s.setDate(o, "date_created", s.now())
	o.set("date_modified", nil)
	o.set("date_modified_gmt", nil)
	o.set("email", c.Email)
	o.set("first_name", c.FirstName)
	o.set("last_name", c.LastName)
	o.set("role", role)
	o.set("username", fmt.Sprintf("user%d", id))
	o.set("billing", none)
	o.set("shipping", none)
	o.set("is_paying_customer", false)
	o.set("meta_data", []metaRow{})
	o.set("_links", map[string]any{"self": []map[string]string{{"href": fmt.Sprintf("%s/wp-json/wc/v3/customers/%d", home, id)}}})
	if err := s.addMeta(o, c.Meta); err != nil {
		return 0, err
	}
	r, err := newRecord(o.bytes())
	if err != nil {
		return 0, fmt.Errorf("wooshop: writing customer %d: %w", id, err)
	}
	s.customers.put(r)
	return id, nil
}

// SetUserMeta is what an extension does with update_user_meta(): no date moves and no webhook fires.
func (s *Shop) SetUserMeta(id int64, key, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edit(s.customers, "customer", id, func(o *object) error { return s.addMeta(o, map[string]string{key: value}) })
}

// DeleteCustomer deletes an account; its orders become a guest's, which moves their date_modified.
func (s *Shop) DeleteCustomer(id int64) error {
	if err := s.dropCustomer(id); err != nil {
		return err
	}
	s.fire(id, "customer.deleted")
	return nil
}

func (s *Shop) dropCustomer(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.customers.get(id) == nil {
		return notFound("customer", id)
	}
	s.customers.remove(id)
	for _, order := range s.orders.ids(func(r *record) bool { return r.customer == id }) {
		err := s.edit(s.orders, "order", order, func(o *object) error {
			o.set("customer_id", 0)
			s.setDate(o, "date_modified", s.now())
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Refund gives money back; an order whose whole total has been given back becomes refunded. amount is "14.97".
func (s *Shop) Refund(orderID int64, amount, reason string) (int64, error) {
	id, err := s.newRefund(orderID, amount, reason)
	if err == nil {
		s.fire(orderID, "order.updated")
	}
	return id, err
}

type inlineRefund struct {
	ID     int64  `json:"id"`
	Reason string `json:"reason"`
	Total  string `json:"total"`
}

func (s *Shop) newRefund(orderID int64, amount, reason string) (int64, error) {
	sum, err := decimal.NewFromString(amount)
	if err != nil || !sum.IsPositive() {
		return 0, errors.New("wooshop: a refund wants a positive amount")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	err = s.edit(s.orders, "order", orderID, func(o *object) error {
		var all []inlineRefund
		if err := json.Unmarshal(o.get("refunds"), &all); err != nil {
			return fmt.Errorf("wooshop: reading refunds: %w", err)
		}
		all = append(all, inlineRefund{id, reason, money(sum.Neg())})
		o.set("refunds", all)
		s.setDate(o, "date_modified", s.now())
		left, err := decimal.NewFromString(scalarOf(o.get("total")))
		if err != nil {
			return fmt.Errorf("wooshop: reading the total: %w", err)
		}
		for _, r := range all {
			if d, err := decimal.NewFromString(r.Total); err == nil {
				left = left.Add(d)
			}
		}
		if !left.IsPositive() {
			s.setStatus(o, "refunded")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	o := &object{}
	o.set("id", id)
	o.set("parent_id", orderID)
	s.setDate(o, "date_created", s.now())
	o.set("amount", money(sum))
	o.set("reason", reason)
	o.set("refunded_by", 1)
	o.set("refunded_payment", false)
	for _, list := range []string{"meta_data", "line_items", "shipping_lines", "tax_lines", "fee_lines"} {
		o.set(list, []int{})
	}
	r, err := newRecord(o.bytes())
	if err != nil {
		return 0, fmt.Errorf("wooshop: writing refund %d: %w", id, err)
	}
	s.refunds.put(r)
	return id, nil
}

// DeleteRefund takes a refund back: no date moves and no webhook fires.
func (s *Shop) DeleteRefund(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.refunds.get(id)
	if r == nil {
		return notFound("refund", id)
	}
	s.refunds.remove(id)
	return s.edit(s.orders, "order", r.parent, func(o *object) error {
		var all, kept []inlineRefund
		if err := json.Unmarshal(o.get("refunds"), &all); err != nil {
			return fmt.Errorf("wooshop: reading refunds: %w", err)
		}
		kept = []inlineRefund{}
		for _, x := range all {
			if x.ID != id {
				kept = append(kept, x)
			}
		}
		o.set("refunds", kept)
		return nil
	})
}
