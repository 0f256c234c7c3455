package presshop

import (
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/internal/crm"
)

// Act lets somebody do one thing in the shop, chosen by pick. It says what, and which records a module of the shop would
// name in a webhook: nothing for what happens past PrestaShop's own classes.
func (s *Shop) Act(pick func(n int) int) (done string, named []crm.Ref) {
	acts := s.acts()
	return acts[pick(len(acts))](pick)
}

type act func(pick func(int) int) (string, []crm.Ref)

func (s *Shop) acts() []act {
	return []act{
		s.somebodyRegisters, s.somebodyOrdersAsGuest, s.somebodyEdits, s.somebodyEdits, s.somebodyMoves, s.newsletter, s.newsletter, s.guestConverts,
		s.somebodyIsBlocked, s.somebodyIsRemoved, s.joins, s.fillsCart, s.fillsCart, s.addsToCart, s.moduleChangesCart, s.emptiesCart,
		s.orders, s.orders, s.orders, s.splits, s.stateChanges, s.stateChanges, s.stateChanges, s.slip, s.orderVanishes,
		s.price, s.combinationPrice, s.stock, s.stock, s.rename, s.newProduct, s.productGoes, s.combinationGoes, s.category, s.categoryGoes,
	}
}

func ref(kind crm.Kind, id int64) []crm.Ref {
	return []crm.Ref{{Kind: kind, ID: strconv.FormatInt(id, 10)}}
}

// anyOf chooses a row of those that match; 0 when there is none.
func (s *Shop) anyOf(pick func(int) int, table string, match func(*row) bool) int64 {
	s.mu.RLock()
	rows := s.tables[table].where(match)
	s.mu.RUnlock()
	if len(rows) == 0 {
		return 0
	}
	return rows[pick(len(rows))].number("id")
}

func all(*row) bool { return true }

func living(r *row) bool { return r.text("deleted") == "0" }

func (s *Shop) openCarts(r *row) bool {
	return len(r.linked["cart_rows"]) > 0 && !s.ordered(r.number("id"))
}

// tell is the end of an act that can have found nothing to do.
func tell(what string, id int64, err error, refs []crm.Ref) (string, []crm.Ref) {
	if id == 0 || err != nil {
		return "nobody does anything", nil
	}
	return fmt.Sprintf("%s %d", what, id), refs
}

func (s *Shop) items(pick func(int) int) []Item {
	var out []Item
	for range 1 + pick(3) {
		p := s.anyOf(pick, "products", all)
		if p == 0 {
			break
		}
		out = append(out, Item{p, s.anyOf(pick, "combinations", is("id_product", p)), int64(1 + pick(3))})
	}
	return out
}

func (s *Shop) person(pick func(int) int, guest bool) Person {
	n := pick(10_000)
	return Person{
		Email: fmt.Sprintf("Visitor.%d@example.com", n%40), First: fmt.Sprintf("Zoé %d", n), Last: "Lôme", Newsletter: pick(2) == 0, Guest: guest,
		City: []string{"", "Lyon", "Nîmes"}[pick(3)],
	}
}

func (s *Shop) somebodyRegisters(pick func(int) int) (string, []crm.Ref) {
	id := s.Register(s.person(pick, false))
	return tell("registered", id, nil, ref(crm.KindCustomer, id))
}

func (s *Shop) somebodyOrdersAsGuest(pick func(int) int) (string, []crm.Ref) {
	guest := s.Register(s.person(pick, true))
	cart := s.OpenCart(guest, 1, s.items(pick)...)
	ids, err := s.Order(cart, 10, false)
	if err != nil || len(ids) == 0 {
		return tell("guest", guest, err, nil)
	}
	return tell("guest order", ids[0], nil, ref(crm.KindOrder, ids[0]))
}

func (s *Shop) somebodyEdits(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", living)
	err := s.Edit(id, "firstname", fmt.Sprintf("Ève %d", pick(1000)))
	if pick(3) == 0 {
		err = s.Edit(id, "email", fmt.Sprintf("new.%d@example.org", pick(40)))
	}
	return tell("edited customer", id, err, ref(crm.KindCustomer, id))
}

func (s *Shop) somebodyMoves(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", living)
	return tell("new address", s.Move(id, fmt.Sprintf("Ville %d", pick(100))), nil, nil)
}

func (s *Shop) newsletter(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", living)
	return tell("newsletter block", id, s.NewsletterBlock(id, pick(2) == 0), nil)
}

func (s *Shop) guestConverts(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", is("is_guest", 1))
	if !s.Convert(id) {
		id = 0
	}
	return tell("guest became customer", id, nil, ref(crm.KindCustomer, id))
}

func (s *Shop) somebodyIsBlocked(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", living)
	return tell("soft deletion of customer", id, s.Block(id), ref(crm.KindCustomer, id))
}

func (s *Shop) somebodyIsRemoved(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", all)
	return tell("removal of customer", id, s.Remove(id), ref(crm.KindCustomer, id))
}

func (s *Shop) joins(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "customers", living)
	return tell("new group of customer", id, s.Join(id, int64(4+pick(2))), nil)
}

func (s *Shop) fillsCart(pick func(int) int) (string, []crm.Ref) {
	customer := int64(0)
	if pick(4) > 0 {
		customer = s.anyOf(pick, "customers", living)
	}
	id := s.OpenCart(customer, int64(1+pick(2)), s.items(pick)...)
	return tell("opened cart", id, nil, ref(crm.KindCart, id))
}

func (s *Shop) addsToCart(pick func(int) int) (string, []crm.Ref) {
	id, items := s.anyOf(pick, "carts", s.openCarts), s.items(pick)
	if id == 0 || len(items) == 0 {
		return tell("", 0, nil, nil)
	}
	return tell("added to cart", id, s.AddToCart(id, items[0]), ref(crm.KindCart, id))
}

func (s *Shop) moduleChangesCart(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "carts", s.openCarts)
	if id == 0 {
		return tell("", 0, nil, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find("carts", id)
	r := c.linked["cart_rows"][0].clone()
	r.set("quantity", r.number("quantity")+1)
	c.linked["cart_rows"][0] = r
	return tell("module changed cart", id, nil, nil)
}

func (s *Shop) emptiesCart(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "carts", s.openCarts)
	return tell("emptied cart", id, s.EmptyCart(id, pick(2) == 0), nil)
}

func (s *Shop) orders(pick func(int) int) (string, []crm.Ref) { return s.ordering(pick, false) }

func (s *Shop) splits(pick func(int) int) (string, []crm.Ref) { return s.ordering(pick, true) }

func (s *Shop) ordering(pick func(int) int, split bool) (string, []crm.Ref) {
	cart := s.anyOf(pick, "carts", func(r *row) bool { return s.openCarts(r) && r.number("id_customer") > 0 })
	states := []int64{1, 2, 8, 10, 11, 13}
	ids, err := s.Order(cart, states[pick(len(states))], split)
	if err != nil || len(ids) == 0 {
		return tell("", 0, err, nil)
	}
	return tell(fmt.Sprintf("cart %d became order", cart), ids[0], nil, ref(crm.KindOrder, ids[0]))
}

func (s *Shop) stateChanges(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "orders", all)
	states := []int64{2, 3, 4, 5, 6, 7, 8, 9, 12}
	return tell("new state of order", id, s.ChangeState(id, states[pick(len(states))]), ref(crm.KindOrder, id))
}

func (s *Shop) slip(pick func(int) int) (string, []crm.Ref) {
	id, err := s.Slip(s.anyOf(pick, "orders", all), pick(2) == 0)
	return tell("credit slip", id, err, ref(crm.KindRefund, id))
}

func (s *Shop) orderVanishes(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "orders", all)
	return tell("order removed by SQL:", id, s.DeleteOrder(id, true), nil)
}

func (s *Shop) price(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "products", all)
	return tell("new price of product", id, s.EditProduct(id, "price", fmt.Sprintf("%d.500000", 1+pick(200))), ref(crm.KindProduct, id))
}

func (s *Shop) combinationPrice(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "combinations", all)
	return tell("new price of combination", id, s.SQL("combinations", id, "price", fmt.Sprintf("%d.000000", pick(20))), nil)
}

func (s *Shop) stock(pick func(int) int) (string, []crm.Ref) {
	row := s.anyOf(pick, "stock_availables", all)
	err := s.SQL("stock_availables", row, "quantity", int64(pick(4)))
	if err == nil {
		err = s.SQL("stock_availables", row, "out_of_stock", int64(pick(3)))
	}
	return tell("new stock", row, err, nil)
}

func (s *Shop) rename(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "products", all)
	return tell("renamed product", id, s.RenameProduct(id, fmt.Sprintf("Objet n° %d", pick(1000))), ref(crm.KindProduct, id))
}

func (s *Shop) newProduct(pick func(int) int) (string, []crm.Ref) {
	id := s.AddProduct(fmt.Sprintf("Nouveauté %d", pick(1000)), fmt.Sprintf("%d.250000", 1+pick(99)), 2)
	return tell("new product", id, nil, ref(crm.KindProduct, id))
}

func (s *Shop) productGoes(pick func(int) int) (string, []crm.Ref) {
	if pick(3) > 0 {
		return tell("", 0, nil, nil)
	}
	id := s.anyOf(pick, "products", all)
	return tell("removed product", id, s.DeleteProduct(id), ref(crm.KindProduct, id))
}

func (s *Shop) combinationGoes(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "combinations", all)
	return tell("removed combination", id, s.DeleteCombination(id), nil)
}

func (s *Shop) category(pick func(int) int) (string, []crm.Ref) {
	if id := s.anyOf(pick, "categories", all); pick(2) == 0 {
		return tell("renamed category", id, s.RenameCategory(id, fmt.Sprintf("Rayon %d", pick(100))), nil)
	}
	id := s.AddCategory(fmt.Sprintf("Nouveau rayon %d", pick(100)), 2)
	return tell("new category", id, nil, ref(crm.KindCategory, id))
}

func (s *Shop) categoryGoes(pick func(int) int) (string, []crm.Ref) {
	id := s.anyOf(pick, "categories", func(r *row) bool { return r.number("id") > 2 })
	return tell("removed category", id, s.Delete("categories", id), ref(crm.KindCategory, id))
}

// minor is an amount in cents, rounded half-even: every currency of the shop has two decimals.
func minor(text string) int64 {
	d, _ := decimal.NewFromString(text) // no number is no amount
	return d.Shift(2).RoundBank(0).IntPart()
}
