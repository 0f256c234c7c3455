package wooshop

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Item is what somebody buys.
type Item struct {
	ProductID, VariationID int64
	Quantity               int64
}

// OrderSpec is an order or a draft to be made. Prices come from the catalogue.
type OrderSpec struct {
	Status     string // "": processing
	CustomerID int64  // 0: a guest
	Email      string // billing e-mail as typed
	FirstName  string
	LastName   string
	City       string
	Postcode   string
	Country    string // "": FR
	Items      []Item
	Meta       map[string]string // for example the box newsletter_optin
}

// OrderChange is a PUT; empty fields stay.
type OrderChange struct {
	Status string
	Email  string
	Items  []Item
	Meta   map[string]string
}

// CreateOrder places an order. As with a real checkout order.updated is delivered before order.created.
func (s *Shop) CreateOrder(o OrderSpec) (int64, error) {
	id, err := s.newOrder(o, cmp.Or(o.Status, "processing"))
	if err == nil {
		s.fire(id, "order.updated", "order.created")
	}
	return id, err
}

// CreateDraft opens a block checkout: a checkout-draft order that is delivered as order.updated.
func (s *Shop) CreateDraft(o OrderSpec) (int64, error) {
	id, err := s.newOrder(o, "checkout-draft")
	if err == nil {
		s.fire(id, "order.updated")
	}
	return id, err
}

// PlaceDraft turns a draft into an order of the same id.
func (s *Shop) PlaceDraft(id int64, status string) error {
	err := s.changeOrder(id, func(o *object) error { s.setStatus(o, cmp.Or(status, "processing")); return nil })
	if err == nil {
		s.fire(id, "order.updated", "order.created")
	}
	return err
}

// UpdateOrder is a PUT: it moves date_modified even when nothing else changes.
func (s *Shop) UpdateOrder(id int64, c OrderChange) error {
	err := s.changeOrder(id, func(o *object) error {
		if c.Status != "" {
			s.setStatus(o, c.Status)
		}
		if c.Email != "" {
			b, err := parseObject(o.get("billing"))
			if err != nil {
				return err
			}
			b.set("email", c.Email)
			o.setRaw("billing", b.bytes())
		}
		if c.Items != nil {
			if err := s.setItems(o, c.Items); err != nil {
				return err
			}
		}
		return s.addMeta(o, c.Meta)
	})
	if err == nil {
		s.fire(id, "order.updated")
	}
	return err
}

// TrashOrder puts an order into the bin: it leaves status=any.
func (s *Shop) TrashOrder(id int64) error {
	err := s.changeOrder(id, func(o *object) error {
		was := scalarOf(o.get("status"))
		s.setStatus(o, statusTrash)
		return s.addMeta(o, map[string]string{"_wp_trash_meta_status": "wc-" + was})
	})
	if err == nil {
		s.fire(id, "order.deleted")
	}
	return err
}

// DeleteOrder deletes for good, with its refunds. Only the action behind it can be subscribed to.
func (s *Shop) DeleteOrder(id int64) error {
	if err := s.dropOrder(id); err != nil {
		return err
	}
	s.fire(id, "action.woocommerce_delete_order")
	return nil
}

func (s *Shop) dropOrder(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders.get(id) == nil {
		return notFound("order", id)
	}
	s.orders.remove(id)
	for _, r := range s.refunds.ids(func(r *record) bool { return r.parent == id }) {
		s.refunds.remove(r)
	}
	return nil
}

// Bulk changes the status of orders by a bulk edit: all get the same second and no webhook runs.
func (s *Shop) Bulk(status string, ids ...int64) error {
	at := s.now()
	for _, id := range ids {
		if err := s.changeOrderAt(id, at, func(o *object) error { s.setStatus(o, status); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Spoil makes a record one that no connector can read, as a broken extension does.
func (s *Shop) Spoil(id int64) error {
	return s.changeOrder(id, func(o *object) error { o.set("total", "free of charge"); return nil })
}

func (s *Shop) changeOrder(id int64, change func(*object) error) error {
	return s.changeOrderAt(id, s.now(), change)
}

// changeOrderAt changes an order's body and moves date_modified.
func (s *Shop) changeOrderAt(id int64, at time.Time, change func(*object) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edit(s.orders, "order", id, func(o *object) error {
		s.setDate(o, "date_modified", at)
		return change(o)
	})
}

// edit replaces a record by its changed copy. The caller holds the lock.
func (s *Shop) edit(t *table, what string, id int64, change func(*object) error) error {
	old := t.get(id)
	if old == nil {
		return notFound(what, id)
	}
	o, err := parseObject(old.raw)
	if err != nil {
		return fmt.Errorf("wooshop: reading %s %d: %w", what, id, err)
	}
	if err := change(o); err != nil {
		return err
	}
	r, err := newRecord(o.bytes())
	if err != nil {
		return fmt.Errorf("wooshop: writing %s %d: %w", what, id, err)
	}
	t.put(r)
	return nil
}

func notFound(what string, id int64) error { return fmt.Errorf("wooshop: there is no %s %d", what, id) }

// setDate writes the pair of a local and a GMT value.
func (s *Shop) setDate(o *object, name string, at time.Time) {
	o.set(name, at.In(s.zone).Format(wireTime))
	o.set(name+"_gmt", at.UTC().Format(wireTime))
}

func (s *Shop) setStatus(o *object, status string) {
	o.set("status", status)
	o.set("needs_payment", status == "pending" || status == "failed" || status == "checkout-draft")
	if string(o.get("date_paid_gmt")) == "null" && (status == "processing" || status == "completed") {
		s.setDate(o, "date_paid", s.now())
	}
	if status == "completed" {
		s.setDate(o, "date_completed", s.now())
	}
}

type metaRow struct {
	ID    int64  `json:"id"`
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// addMeta sets meta data by key.
func (s *Shop) addMeta(o *object, m map[string]string) error {
	if len(m) == 0 {
		return nil
	}
	var rows []metaRow
	if err := json.Unmarshal(o.get("meta_data"), &rows); err != nil {
		return fmt.Errorf("wooshop: reading meta data: %w", err)
	}
	for _, k := range sorted(m) {
		found := false
		for i := range rows {
			if rows[i].Key == k {
				rows[i].Value, found = m[k], true
			}
		}
		if !found {
			rows = append(rows, metaRow{s.row(), k, m[k]})
		}
	}
	o.set("meta_data", rows)
	return nil
}

func (s *Shop) row() int64 {
	s.nextRow++
	return s.nextRow
}

func money(d decimal.Decimal) string { return d.StringFixed(2) }

func scalarOf(raw json.RawMessage) string {
	var v string
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
}

// newOrder builds an order on the model of a recorded one, so that every field is there.
func (s *Shop) newOrder(spec OrderSpec, status string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	model, err := parseObject(s.orders.rows[0].raw)
	if err != nil {
		return 0, fmt.Errorf("wooshop: reading the model order: %w", err)
	}
	id := s.nextID
	s.nextID++
	now, key := s.now(), "wc_order_"+rand.Text()[:13]
	model.set("id", id)
	model.set("number", strconv.FormatInt(id, 10))
	model.set("customer_id", spec.CustomerID)
	model.set("order_key", key)
	model.set("billing", s.billing(spec))
	model.set("created_via", "store-api")
	model.set("transaction_id", "")
	model.set("payment_url", fmt.Sprintf("%s/checkout/order-pay/%d/?pay_for_order=true&key=%s", home, id, key))
	for _, list := range []string{"meta_data", "refunds", "coupon_lines", "fee_lines"} {
		model.set(list, []int{})
	}
	for _, d := range []string{"date_completed", "date_paid"} {
		model.set(d, nil)
		model.set(d+"_gmt", nil)
	}
	for _, d := range []string{"date_created", "date_modified"} {
		s.setDate(model, d, now)
	}
	model.set("_links", map[string]any{"self": []map[string]string{{"href": fmt.Sprintf("%s/wp-json/wc/v3/orders/%d", home, id)}}})
	if err := s.setItems(model, spec.Items); err != nil {
		return 0, err
	}
	s.setStatus(model, status)
	if err := s.addMeta(model, spec.Meta); err != nil {
		return 0, err
	}
	r, err := newRecord(model.bytes())
	if err != nil {
		return 0, fmt.Errorf("wooshop: writing order %d: %w", id, err)
	}
	s.orders.put(r)
	return id, nil
}

type address struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Company   string `json:"company"`
	Address1  string `json:"address_1"`
	Address2  string `json:"address_2"`
	City      string `json:"city"`
	State     string `json:"state"`
	Postcode  string `json:"postcode"`
	Country   string `json:"country"`
	Email     string `json:"email"`
	Phone     string `json:"phone"`
}

func (s *Shop) billing(o OrderSpec) address {
	return address{
		FirstName: o.FirstName, LastName: o.LastName, Address1: "1 rue de l’Exemple", City: cmp.Or(o.City, "Bordeaux"),
		Postcode: cmp.Or(o.Postcode, "33000"), Country: cmp.Or(o.Country, "FR"), Email: o.Email,
	}
}
