package presshop

import (
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/internal/crm"
)

// Combinations share their ids with products; Relance knows combination 7 as 1000000000007.
const combinationBase = 1_000_000_000_000

// Facts is what the shop holds, from its tables and not from its webservice, for tests to put into their own words.
type Facts struct {
	Customers  map[string]CustomerFact
	Orders     map[string]OrderFact
	Refunds    map[string]RefundFact
	Carts      map[string]CartFact // open ones with something in them
	Products   map[string]ProductFact
	Categories map[string]CategoryFact
}

// CustomerFact is a customer or guest who is not deleted.
type CustomerFact struct {
	Email, First, Last string
	Newsletter         bool
}

// OrderFact is an order.
type OrderFact struct {
	State, Currency, Customer string
	Total                     int64
	Lines                     int
}

// RefundFact is a credit slip.
type RefundFact struct {
	Order, Currency string
	Amount          int64
}

// CartFact is an open cart.
type CartFact struct {
	Customer string
	Items    int64
}

// ProductFact is a product or combination.
type ProductFact struct {
	Name    string
	Price   int64
	InStock bool
}

// CategoryFact is a category.
type CategoryFact struct{ Name, Parent string }

// Facts reads the tables.
func (s *Shop) Facts() Facts {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := Facts{
		map[string]CustomerFact{}, map[string]OrderFact{}, map[string]RefundFact{}, map[string]CartFact{}, map[string]ProductFact{}, map[string]CategoryFact{},
	}
	for _, r := range s.tables["customers"].where(living) {
		f.Customers[r.text("id")] = CustomerFact{r.text("email"), r.text("firstname"), r.text("lastname"), r.text("newsletter") == "1"}
	}
	for _, r := range s.tables["orders"].rows {
		f.Orders[r.text("id")] = OrderFact{
			meaning(r.number("current_state")), s.currency(r.number("id_currency")), some(r.text("id_customer")),
			minor(r.text("total_paid_tax_incl")), len(r.linked["order_rows"]),
		}
	}
	for _, r := range s.tables["order_slip"].rows {
		goods, _ := decimal.NewFromString(r.text("total_products_tax_incl")) // recorded, or ours
		post, _ := decimal.NewFromString(r.text("total_shipping_tax_incl"))
		f.Refunds[r.text("id")] = RefundFact{r.text("id_order"), s.slips[r.number("id")], minor(goods.Add(post).String())}
	}
	for _, r := range s.tables["carts"].where(s.openCarts) {
		c := CartFact{Customer: some(r.text("id_customer"))}
		for _, row := range r.linked["cart_rows"] {
			c.Items += row.number("quantity")
		}
		f.Carts[r.text("id")] = c
	}
	s.catalogue(f)
	return f
}

func (s *Shop) catalogue(f Facts) {
	for _, p := range s.tables["products"].rows {
		f.Products[p.text("id")] = ProductFact{p.translation("name"), minor(s.final(p, nil).String()), s.inStock(p.number("id"), 0)}
	}
	for _, c := range s.tables["combinations"].rows {
		p := s.find("products", c.number("id_product"))
		if p == nil {
			continue
		}
		name := p.translation("name")
		if chosen := nameOf(s, c); chosen != "" {
			name += " (" + chosen + ")"
		}
		f.Products[strconv.FormatInt(combinationBase+c.number("id"), 10)] = ProductFact{
			name, minor(s.final(p, c).String()), s.inStock(p.number("id"), c.number("id")),
		}
	}
	for _, r := range s.tables["categories"].rows {
		f.Categories[r.text("id")] = CategoryFact{r.translation("name"), some(r.text("id_parent"))}
	}
}

func (s *Shop) inStock(product, combination int64) bool {
	for _, r := range s.tables["stock_availables"].rows {
		if r.number("id_product") == product && r.number("id_product_attribute") == combination {
			return r.number("quantity") > 0 || r.text("out_of_stock") == "1"
		}
	}
	return true
}

func some(id string) string {
	if id == "0" {
		return ""
	}
	return id
}

// meaning is what the recorded states mean.
func meaning(state int64) string {
	switch state {
	case 2, 3, 9, 11:
		return crm.StateAccepted
	case 4:
		return crm.StateShipped
	case 5:
		return crm.StateCompleted
	case 6:
		return crm.StateCancelled
	case 7:
		return crm.StateRefunded
	case 8:
		return crm.StateFailed
	case 1, 10, 13:
		return crm.StateOnHold
	case 12:
		return crm.StatePending
	}
	return crm.StateOther
}
