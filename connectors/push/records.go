package push

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
)

func customer(o *object) *crm.Customer {
	return &crm.Customer{
		Email: o.email("email"), FirstName: o.text("first_name", 255), LastName: o.text("last_name", 255), Company: o.text("company", 255),
		Phone: o.text("phone", 64), Role: o.text("role", 64), Locale: o.text("locale", 16), Birthday: o.day("birthday"),
		RegisteredAt: o.instant("registered_at", false), ModifiedAt: o.instant("modified_at", false), Attributes: o.pairs("attributes"),
	}
}

func address(o *object) *crm.Address {
	return &crm.Address{
		Line1: o.text("line1", 255), Line2: o.text("line2", 255), City: o.text("city", 255), Region: o.text("region", 128),
		Postcode: o.text("postcode", 32), Country: country(o),
	}
}

// country reads an ISO 3166 alpha-2 code.
func country(o *object) string {
	s := strings.ToUpper(o.text("country", 8))
	if s != "" && (len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z') {
		o.bad("country", "must be an ISO code of two letters such as FR")
		return ""
	}
	return s
}

// states are those of an order that a sender may name.
func states() []string {
	return []string{
		crm.StateDraft, crm.StatePending, crm.StateFailed, crm.StateOnHold, crm.StateAccepted, crm.StateShipped, crm.StateCompleted,
		crm.StateCancelled, crm.StateRefunded, crm.StateTrash, crm.StateOther,
	}
}

// counts tells whether an order of the state is a sale unless the sender says otherwise.
func counts(state string) bool {
	switch state {
	case crm.StateAccepted, crm.StateShipped, crm.StateCompleted, crm.StateRefunded:
		return true
	}
	return false
}

func order(o *object) *crm.Order {
	cur, base := o.currency("currency", true), o.currency("base_currency", false)
	r := &crm.Order{
		Number: o.text("number", 64), CustomerID: account(o), Email: o.email("email"),
		FirstName: o.text("first_name", 255), LastName: o.text("last_name", 255), Status: o.text("status", 64), State: o.oneOf("state", true, states()...),
		Currency: cur, Purchase: o.id("purchase", false), CartID: o.id("cart_id", false),
		PlacedAt: o.instant("placed_at", true), PaidAt: o.instant("paid_at", false), CompletedAt: o.instant("completed_at", false),
		CancelledAt: o.instant("cancelled_at", false), ModifiedAt: o.instant("modified_at", false),
		Country: country(o), Region: o.text("region", 128), City: o.text("city", 255), Via: o.text("via", 64),
		Coupons: o.texts("coupons", 50, 255), Attribution: o.pairs("attribution"), Lines: lines(o, cur),
	}
	r.Status = cmp.Or(r.Status, r.State)
	r.PaidBySale = r.PaidAt == 0
	r.CountsAsSale = o.flag("counts_as_sale", counts(r.State))
	if v, has := o.get("total"); !has || v == "" {
		o.bad("total", "is missing: what the customer was charged, with tax")
	}
	r.Total, r.TotalRaw = o.amount("total", cur)
	r.Goods, _ = o.amount("goods", cur)
	r.Shipping, _ = o.amount("shipping", cur)
	r.Tax, _ = o.amount("tax", cur)
	r.Discount, _ = o.amount("discount", cur)
	total, raw := o.amount("base_total", base)
	switch {
	case base == "" && raw != "":
		o.bad("base_currency", "is missing beside base_total")
	case base != "" && raw == "":
		o.bad("base_total", "is missing beside base_currency")
	case base != cur: // the same currency says nothing new
		r.BaseCurrency, r.BaseTotal = base, total
	}
	return r
}

const maxLines = 1000

func lines(o *object, currency string) []crm.Line {
	var out []crm.Line
	o.list("lines", maxLines, func(i int, v any) {
		at := pointer(o.at, "lines") + "/" + strconv.Itoa(i)
		fields, ok := v.(map[string]any)
		if !ok {
			o.ps.add(at, "a line must be an object")
			return
		}
		l := &object{at: at, fields: fields, ps: o.ps}
		total, _ := l.amount("total", currency)
		out = append(out, crm.Line{
			ID: l.id("id", false), ProductID: l.id("product_id", false), VariationID: l.id("variation_id", false), SKU: l.text("sku", 128),
			Name: l.text("name", 500), Quantity: quantity(l), Total: total, ImageURL: l.text("image_url", 1000),
		})
		l.end()
	})
	return out
}

// quantity is a number of pieces, 1 when absent. Part of a piece (1.5 metres of cloth) is rounded up: it was bought.
func quantity(o *object) int64 {
	v, has := o.get("quantity")
	if !has || v == "" {
		return 1
	}
	s, ok := number(v)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if !ok || err != nil || n < 0 || n > 1e9 || strings.HasPrefix(s, "-") {
		o.bad("quantity", "must be a number that is not negative")
		return 0
	}
	if strings.Trim(fraction, "0") != "" {
		n++
	}
	return n
}

func refund(o *object) *crm.Refund {
	cur := o.currency("currency", true)
	r := &crm.Refund{OrderID: o.id("order_id", true), Currency: cur, Reason: o.text("reason", 1000), At: o.instant("at", true), Lines: lines(o, cur)}
	if v, has := o.get("amount"); !has || v == "" {
		o.bad("amount", "is missing: what was given back, as a positive number")
	}
	r.Amount, _ = o.positive("amount", cur)
	for i, l := range r.Lines {
		if l.Total < 0 {
			o.bad("lines", fmt.Sprintf("line %d gives back a negative amount", i))
		}
	}
	return r
}

func cart(o *object) *crm.Cart {
	cur := o.currency("currency", true)
	c := &crm.Cart{
		CustomerID: account(o), Email: o.email("email"), FirstName: o.text("first_name", 255), LastName: o.text("last_name", 255),
		Currency: cur, CreatedAt: o.instant("created_at", false), ActiveAt: o.instant("active_at", true), RecoverURL: o.url("recover_url"),
		Country: country(o), Lines: lines(o, cur), ClosedBy: o.oneOf("closed_by", false, "ordered", "expired", "deleted"), ClosedAt: o.instant("closed_at", false),
	}
	c.Total, _ = o.amount("total", cur)
	if c.ClosedAt != 0 && c.ClosedBy == "" {
		o.bad("closed_by", "is missing beside closed_at: ordered, expired or deleted")
	}
	return c
}

// url reads an address that a mail may link to.
func (o *object) url(name string) string {
	s := o.text(name, 1000)
	if s != "" && !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		o.bad(name, "must be an address that begins with https://")
		return ""
	}
	return s
}

func product(o *object) *crm.Product {
	cur := o.currency("currency", false)
	p := &crm.Product{
		ParentID: o.id("parent_id", false), Name: o.need("name", 500), SKU: o.text("sku", 128), Type: o.text("type", 32), Status: o.text("status", 32),
		URL: o.url("url"), ImageURL: o.url("image_url"), Currency: cur, Brand: o.text("brand", 255), Categories: o.texts("categories", 200, maxID),
		ModifiedAt: o.instant("modified_at", false),
	}
	p.Status = cmp.Or(p.Status, "publish")
	var raw string
	if p.Price, raw = o.amount("price", cur); raw != "" && cur == "" {
		o.bad("currency", "is missing beside price")
	}
	if v, has := o.get("stock"); has && v != "" {
		n := o.integer("stock", -1e12, 1e12)
		p.Stock = &n
	}
	p.InStock = o.flag("in_stock", p.Stock == nil || *p.Stock > 0)
	return p
}

func event(o *object) *crm.Event {
	e := &crm.Event{Name: o.need("name", 64), CustomerID: account(o), Email: o.email("email"), At: o.instant("at", true), Properties: o.pairs("properties")}
	somebody(o, e.CustomerID, e.Email)
	return e
}

// somebody refuses what is said of nobody.
func somebody(o *object, customerID, email string) {
	written, _ := o.get("email")
	if customerID == "" && email == "" && (written == nil || written == "") { // a wrong address has been told of
		o.bad("email", "is missing, and so is customer_id: whose is it?")
	}
}

// account reads the id of an account; platforms write 0 for a guest.
func account(o *object) string {
	if id := o.id("customer_id", false); id != "0" {
		return id
	}
	return ""
}

func consent(o *object) *crm.Consent {
	c := &crm.Consent{
		CustomerID: account(o), Email: o.email("email"), Topic: cmp.Or(o.text("topic", 64), "marketing"),
		Channel: cmp.Or(o.text("channel", 16), "email"), State: o.oneOf("state", true, crm.ConsentGranted, crm.ConsentWithdrawn),
		Basis: cmp.Or(o.oneOf("basis", false, "opt_in", "soft_opt_in"), "opt_in"), At: o.instant("at", true),
		Text: o.text("text", 4000), Source: o.need("source", 255), IP: o.text("ip", 64),
	}
	somebody(o, c.CustomerID, c.Email)
	if c.IP != "" {
		if _, err := netip.ParseAddr(c.IP); err != nil {
			o.bad("ip", "is no IP address")
		}
	}
	if c.State == crm.ConsentGranted && c.Text == "" {
		o.bad("text", "is missing: a consent needs the text that the person agreed to")
	}
	return c
}
