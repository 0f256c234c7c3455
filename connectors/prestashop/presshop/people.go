package presshop

import (
	"net/http"
	"slices"
)

// Person is somebody who registers, or a guest who orders.
type Person struct {
	Email, First, Last string
	Newsletter, Guest  bool
	City               string // "": no address
}

// Register makes a customer or guest, with an address if a city is given.
func (s *Shop) Register(p Person) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.local()
	group, never := int64(3), "0000-00-00 00:00:00"
	if p.Guest {
		group = 2
	}
	if p.Newsletter {
		never = now
	}
	r := s.tables["customers"].add(
		"id_default_group", group, "id_lang", 1, "newsletter_date_add", never, "secure_key", "00000000000000000000000000000000", "deleted", "0",
		"passwd", "$2y$10$loopback", "lastname", p.Last, "firstname", p.First, "email", p.Email, "id_gender", 0, "birthday", "0000-00-00",
		"newsletter", bit(p.Newsletter), "optin", "0", "website", nil, "company", nil, "siret", nil, "ape", nil, "active", "1", "note", nil,
		"is_guest", bit(p.Guest), "id_shop", 1, "id_shop_group", 1, "date_add", now, "date_upd", now, "reset_password_token", nil,
		"reset_password_validity", "0000-00-00 00:00:00")
	r.link("groups", made("id", group))
	if p.City != "" {
		s.addAddress(r.number("id"), p.City)
	}
	return r.number("id")
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (s *Shop) addAddress(customer int64, city string) *row {
	now, c := s.local(), s.find("customers", customer)
	return s.tables["addresses"].add("id_customer", customer, "id_manufacturer", 0, "id_supplier", 0, "id_country", 8, "id_state", 0,
		"alias", "Domicile", "company", "", "lastname", c.text("lastname"), "firstname", c.text("firstname"), "vat_number", "", "address1", "1 rue du Lac",
		"address2", "", "postcode", "69002", "city", city, "other", "", "phone", "+33 6 00 00 00 00", "phone_mobile", "", "dni", "",
		"deleted", "0", "date_add", now, "date_upd", now)
}

// Edit changes fields of a customer through PrestaShop's own forms.
func (s *Shop) Edit(customer int64, pairs ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find("customers", customer)
	if r == nil {
		return gone("customers", customer)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		r.set(name, pairs[i+1])
	}
	r.set("date_upd", s.local())
	return nil
}

// NewsletterBlock is the footer's form: it writes the flag, and when somebody subscribes the moment by the database's
// clock (UTC). No date of the customer moves.
func (s *Shop) NewsletterBlock(customer int64, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find("customers", customer)
	if r == nil {
		return gone("customers", customer)
	}
	r.set("newsletter", bit(on))
	if on {
		r.set("newsletter_date_add", s.opts.Clock().UTC().Format(wire))
	}
	return nil
}

// Convert makes a guest a customer: the same id. Refused when a customer has the e-mail.
func (s *Shop) Convert(guest int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find("customers", guest)
	if r == nil || r.text("is_guest") != "1" || r.text("deleted") == "1" {
		return false
	}
	for _, other := range s.tables["customers"].rows {
		if other.text("email") == r.text("email") && other.text("is_guest") == "0" && other.text("deleted") == "0" {
			return false
		}
	}
	r.set("is_guest", "0")
	r.set("id_default_group", 3)
	r.linked["groups"] = []object{made("id", 3)}
	r.set("date_upd", s.local())
	return true
}

// Join puts a customer into a group, which moves no date.
func (s *Shop) Join(customer, group int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find("customers", customer)
	if r == nil {
		return gone("customers", customer)
	}
	if !slices.ContainsFunc(r.linked["groups"], func(o object) bool { return o.number("id") == group }) {
		r.link("groups", made("id", group))
	}
	return nil
}

// Block deletes a customer softly, and the addresses with it.
func (s *Shop) Block(customer int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find("customers", customer)
	if r == nil {
		return gone("customers", customer)
	}
	now := s.local()
	r.set("deleted", "1")
	r.set("active", "0")
	r.set("date_upd", now)
	for _, a := range s.tables["addresses"].where(is("id_customer", customer)) {
		a.set("deleted", "1")
		a.set("date_upd", now)
	}
	return nil
}

// Remove deletes a customer's row, its addresses and the carts that it did not order. The orders stay.
func (s *Shop) Remove(customer int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables["customers"].remove(is("id", customer)) == 0 {
		return gone("customers", customer)
	}
	s.tables["addresses"].remove(is("id_customer", customer))
	s.tables["carts"].remove(func(r *row) bool {
		return r.number("id_customer") == customer && !s.ordered(r.number("id"))
	})
	return nil
}

// Move edits a customer's address: one that an order used is replaced.
func (s *Shop) Move(customer int64, city string) (address int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find("customers", customer) == nil {
		return 0
	}
	now := s.local()
	for _, a := range slices.Backward(s.tables["addresses"].rows) {
		if a.number("id_customer") != customer || a.text("deleted") == "1" {
			continue
		}
		id := a.number("id")
		used := slices.ContainsFunc(s.tables["orders"].rows, func(o *row) bool {
			return o.number("id_address_invoice") == id || o.number("id_address_delivery") == id
		})
		if !used {
			a.set("city", city)
			a.set("date_upd", now)
			return id
		}
		a.set("deleted", "1")
		a.set("date_upd", now)
		break
	}
	return s.addAddress(customer, city).number("id")
}

// Requested calls see with every request from now on.
func (s *Shop) Requested(see func(*http.Request)) {
	s.SetFault(func(r *http.Request) *Fault { see(r); return nil })
}
