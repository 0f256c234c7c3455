package wooshop

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const maxWrite = 1 << 20

// write answers what is no GET: webhooks are made, changed and deleted, customers and orders changed. Its caller holds no
// lock.
func (s *Shop) write(who caller, r *http.Request, path string) reply {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWrite))
	if err != nil {
		return errorBody(http.StatusBadRequest, "rest_invalid_json", "Invalid JSON body passed.")
	}
	fields := map[string]json.RawMessage{}
	if len(body) > 0 && json.Unmarshal(body, &fields) != nil {
		return errorBody(http.StatusBadRequest, "rest_invalid_json", "Invalid JSON body passed.")
	}
	collection, tail, _ := strings.Cut(path, "/")
	id, err := strconv.ParseInt(tail, 10, 64)
	changes := r.Method == http.MethodPut || r.Method == http.MethodPatch || r.Method == http.MethodPost && id > 0
	switch {
	case collection != "webhooks" && collection != "customers" && collection != "orders" && collection != "coupons", tail != "" && err != nil:
		return noRoute()
	case !who.reads:
		return errorBody(statusOf(who), "woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource.")
	case collection == "webhooks" && r.Method == http.MethodPost && tail == "":
		return s.createHook(fields)
	case collection == "webhooks" && r.Method == http.MethodDelete:
		return s.deleteHook(id, r.URL.Query().Get("force") == "true")
	case collection == "webhooks" && changes:
		return s.changeHook(id, fields)
	case collection == "coupons" && r.Method == http.MethodPost && tail == "":
		return s.createCoupon(fields)
	case collection == "coupons" && changes:
		return s.changeCoupon(id, fields)
	case changes:
		return s.put(collection, id, fields)
	}
	return noRoute()
}

func statusOf(who caller) int {
	if who.known {
		return http.StatusForbidden
	}
	return http.StatusUnauthorized
}

// put changes a customer or an order as far as connectors do: plain fields and meta data.
func (s *Shop) put(collection string, id int64, fields map[string]json.RawMessage) reply {
	s.mu.RLock()
	c := s.collections()[collection]
	found := c.table.get(id) != nil
	s.mu.RUnlock()
	if !found {
		return errorBody(http.StatusBadRequest, c.notFound, c.notFoundText)
	}
	change := func(o *object) error {
		for _, name := range []string{"email", "first_name", "last_name"} {
			if v, ok := fields[name]; ok && collection == "customers" {
				o.set(name, scalarOf(v))
			}
		}
		if v, ok := fields["status"]; ok && collection == "orders" {
			s.setStatus(o, scalarOf(v))
		}
		return s.putMeta(o, fields["meta_data"])
	}
	var err error
	if topic := "order.updated"; collection == "orders" {
		err = s.changeOrder(id, change)
		s.fire(id, topic)
	} else {
		err = s.changeCustomer(id, change)
	}
	if err != nil {
		return errorBody(http.StatusBadRequest, "rest_invalid_param", "Invalid parameter(s): meta_data")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return reply{Status: http.StatusOK, Header: http.Header{}, Body: c.table.get(id).raw}
}

// putMeta sets meta data; of a key that occurred more than once one entry stays.
func (s *Shop) putMeta(o *object, raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var set []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(raw, &set) != nil {
		return errors.New("wooshop: meta_data is no list")
	}
	for _, m := range set {
		var rows, kept []metaRow
		if err := json.Unmarshal(o.get("meta_data"), &rows); err != nil {
			return err
		}
		entry := metaRow{Key: m.Key, Value: scalarOf(m.Value)}
		for _, r := range rows {
			switch {
			case r.Key != m.Key:
				kept = append(kept, r)
			case entry.ID == 0:
				entry.ID = r.ID
			}
		}
		if entry.ID == 0 {
			entry.ID = s.row()
		}
		o.set("meta_data", append(kept, entry))
	}
	return nil
}

// changeCustomer is an edit through WC_Customer: it moves date_modified and fires customer.updated.
func (s *Shop) changeCustomer(id int64, change func(*object) error) error {
	s.mu.Lock()
	err := s.edit(s.customers, "customer", id, func(o *object) error {
		s.setDate(o, "date_modified", s.now())
		return change(o)
	})
	s.mu.Unlock()
	if err == nil {
		s.fire(id, "customer.updated")
	}
	return err
}
