package yeartest

import (
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

// person is somebody with an account of a shop.
type person struct {
	no       int
	shop     *shop
	id       string // of the account
	email    string
	birthday string
	optin    string // as the shop's box is: yes, no
	since    crm.Instant
	carts    []*crm.Cart
	cartIDs  []string
	orders   []*crm.Order
	gone     bool // erased: they do nothing any more
}

func (w *world) movePeopleIn() {
	n := 3 + w.pick(7)
	for range n {
		back := time.Duration(w.pick(200*24)) * time.Hour
		p := w.newPerson(w.now.Add(-back))
		if w.percent(70) {
			w.order(p, w.now.Add(-w.span(back+time.Hour)), crm.StateCompleted)
		}
		if w.percent(20) {
			w.cart(p, w.now.Add(-w.span(40*time.Hour)))
		}
	}
	for _, s := range w.shops {
		w.backfill(s)
	}
}

func (w *world) newPerson(at time.Time) *person {
	p := &person{no: len(w.people), shop: w.shops[w.pick(len(w.shops))], since: crm.At(at), optin: "yes"}
	p.id = fmt.Sprintf("c%d", p.no)
	p.email = fmt.Sprintf("person%d@example.com", p.no)
	if w.percent(15) {
		p.optin = "no"
	}
	if w.percent(60) {
		p.birthday = fmt.Sprintf("19%02d-%02d-%02d", 50+w.pick(49), 1+w.pick(12), 1+w.pick(28))
	}
	w.people = append(w.people, p)
	w.account(p)
	return p
}

// account shows the account and its box as they are.
func (w *world) account(p *person) {
	at := w.at()
	w.put(p.shop, crm.KindCustomer, p.id,
		&crm.Customer{Email: p.email, FirstName: "Zoé", Birthday: p.birthday, RegisteredAt: p.since, ModifiedAt: at},
		&crm.OptIn{Topic: "marketing", Channel: "email", Value: p.optin, SourceAt: at, NoMeans: p.shop.noMeans})
}

func (w *world) lines() []crm.Line {
	return []crm.Line{{ID: "1", ProductID: fmt.Sprintf("p%d", w.pick(products)), Name: "Robe", Quantity: 1, Total: 4990}}
}

func (w *world) cart(p *person, at time.Time) {
	c := &crm.Cart{CustomerID: p.id, Email: p.email, Currency: "EUR", Total: 4990, CreatedAt: crm.At(at), ActiveAt: crm.At(at), RecoverURL: "https://shop.example/cart", Lines: w.lines()}
	id := w.no("k")
	p.carts, p.cartIDs = append(p.carts, c), append(p.cartIDs, id)
	w.tell("person %d begins cart %s", p.no, id)
	w.put(p.shop, crm.KindCart, id, c)
}

func (w *world) order(p *person, at time.Time, state string) {
	o := &crm.Order{
		Number: w.no("o"), CustomerID: p.id, Email: p.email, FirstName: "Zoé", Status: state, State: state, CountsAsSale: crm.CountsAsSale(state),
		Currency: "EUR", Goods: 4990, Total: 4990, TotalRaw: "49.90", PlacedAt: crm.At(at), ModifiedAt: crm.At(at), Lines: w.lines(),
	}
	if o.CountsAsSale {
		o.PaidAt = o.PlacedAt
	}
	if n := len(p.carts); n > 0 && p.carts[n-1].ClosedBy == "" && w.percent(70) {
		o.CartID = p.cartIDs[n-1]
		closed := *p.carts[n-1]
		closed.ClosedBy, closed.ClosedAt = "ordered", o.PlacedAt
		p.carts[n-1] = &closed
		w.put(p.shop, crm.KindCart, p.cartIDs[n-1], &closed)
	}
	p.orders = append(p.orders, o)
	w.tell("person %d orders %s (%s)", p.no, o.Number, state)
	w.put(p.shop, crm.KindOrder, o.Number, o)
}

// turn moves an order on.
func (w *world) turn(p *person, i int, state string) {
	o := *p.orders[i]
	o.State, o.Status, o.CountsAsSale, o.ModifiedAt = state, state, crm.CountsAsSale(state), w.at()
	switch state {
	case crm.StateCancelled:
		o.CancelledAt = w.at()
	case crm.StateCompleted:
		o.CompletedAt = w.at()
	}
	if o.CountsAsSale && o.PaidAt == 0 {
		o.PaidAt = w.at()
	}
	p.orders[i] = &o
	w.tell("order %s is %s", o.Number, state)
	w.put(p.shop, crm.KindOrder, o.Number, &o)
}

// planAhead fills the agenda: what shops, buyers, machines and the provider do.
func (w *world) planAhead(days int) {
	all := w.end.Sub(w.start)
	busy := max(100, 3000/days)
	often := func(perHundredDays int, do func()) {
		n := perHundredDays * days * busy / 10000
		for range n + w.pick(2) {
			w.agenda.plan(w.start.Add(w.span(all)), do)
		}
	}
	often(45, w.somebodyActs)
	often(12, func() { w.newPerson(w.now) })
	often(6, w.stockTurns)
	often(5, w.boxChanges)
	often(5, w.unsubscribes)
	often(3, w.houseMoves)
	often(2, w.merges)
	often(1, w.erases)
	often(1, w.movesAddress)
	often(8, func() { w.stale(w.shops[w.pick(len(w.shops))]) })
	often(5, w.shopGoesAway)
	often(1, w.clockGoesWrong)
	often(2, w.everythingStops)
	often(6, w.provider.changesMood)
	often(1, w.clone)
}

func (w *world) somebody() *person {
	p := w.people[w.pick(len(w.people))]
	if p.gone {
		return w.people[0]
	}
	return p
}

func (w *world) somebodyActs() {
	p := w.somebody()
	if p.gone {
		return
	}
	switch w.pick(6) {
	case 0, 1:
		w.cart(p, w.now)
		if w.percent(35) {
			w.agenda.plan(w.now.Add(w.span(30*time.Hour)), func() { w.buys(p) })
		}
	case 2, 3:
		w.buys(p)
	case 4:
		w.agenda.plan(w.now, func() {
			id := w.no("e")
			w.tell("person %d asks to be told", p.no)
			w.put(p.shop, crm.KindEvent, id, &crm.Event{Name: "stock_alert", CustomerID: p.id, Email: p.email, At: w.at(), Properties: map[string]string{"product_id": fmt.Sprintf("p%d", w.pick(products))}})
		})
	default:
		if n := len(p.orders); n > 0 {
			w.turn(p, n-1, []string{crm.StateShipped, crm.StateCompleted, crm.StateCancelled, crm.StateRefunded, crm.StateAccepted}[w.pick(5)])
		}
	}
}

func (w *world) buys(p *person) {
	if p.gone {
		return
	}
	at := w.now
	if w.percent(10) { // the shop shows it hours later
		at = at.Add(-w.span(5 * time.Hour))
	}
	w.order(p, at, []string{crm.StateAccepted, crm.StateAccepted, crm.StatePending}[w.pick(3)])
	i := len(p.orders) - 1
	w.agenda.plan(w.now.Add(time.Minute+w.span(5*24*time.Hour)), func() {
		if !p.gone && p.orders[i].State != crm.StateCancelled {
			w.turn(p, i, crm.StateShipped)
		}
	})
}

func (w *world) stockTurns() {
	s := w.shops[w.pick(len(w.shops))]
	id := fmt.Sprintf("p%d", w.pick(products))
	old, _ := s.records[crm.Ref{Kind: crm.KindProduct, ID: id}][0].(*crm.Product)
	now := *old
	now.InStock = !now.InStock
	w.tell("product %s in stock: %v", id, now.InStock)
	w.put(s, crm.KindProduct, id, &now)
}

func (w *world) boxChanges() {
	p := w.somebody()
	if p.gone {
		return
	}
	p.optin = map[string]string{"yes": "no", "no": "yes"}[p.optin]
	w.tell("person %d: box %s", p.no, p.optin)
	w.account(p)
}

// unsubscribes: the link of a mail that was sent, however long ago.
func (w *world) unsubscribes() {
	mails := w.provider.marketing()
	if len(mails) == 0 {
		return
	}
	m := mails[w.pick(len(mails))]
	token := tokenOf(m.mail.Headers["List-Unsubscribe"])
	done, err := mailer.Unsubscribe(w.ctx, w.m, w.house.keys, token, "one-click", w.at())
	w.must(err)
	w.tell("%s unsubscribes, again: %v", m.mail.ToEmail, done.Again)
	w.judge.stopped(m.mail.ToEmail, marketing)
}

func (w *world) contactOf(email string) (id int64) {
	w.must(w.db.Read().GetContext(w.ctx, &id, "SELECT COALESCE(MAX(id),0) FROM contacts WHERE email_norm=? AND erased_at=0", email))
	return id
}

func (w *world) merges() {
	a, b := w.somebody(), w.somebody()
	from, to := w.contactOf(a.email), w.contactOf(b.email)
	if a == b || a.gone || b.gone || from == 0 || to == 0 {
		return
	}
	if _, err := w.m.Merge(w.ctx, from, to, "year", w.at()); err != nil {
		return // as it says
	}
	w.tell("person %d is person %d", a.no, b.no)
	w.judge.merged(a.email, b.email)
	if w.percent(30) {
		w.agenda.plan(w.now.Add(24*time.Hour+w.span(20*24*time.Hour)), func() {
			if _, err := w.m.Split(w.ctx, from, "year", w.at()); err == nil {
				w.tell("person %d is not person %d", a.no, b.no)
				w.judge.split(a.email)
			}
		})
	}
}

func (w *world) erases() {
	p := w.somebody()
	id := w.contactOf(p.email)
	if p.gone || id == 0 || len(w.people) < 4 {
		return
	}
	if _, err := w.m.Erase(w.ctx, id, w.at()); err != nil {
		return
	}
	w.tell("person %d is erased", p.no)
	for _, email := range w.judge.group(p.email) {
		w.judge.stopped(email, everything)
		w.judge.erased(email)
		for _, other := range w.people {
			if other.email == email {
				other.gone = true
			}
		}
	}
}

func (w *world) movesAddress() {
	p := w.somebody()
	if p.gone {
		return
	}
	w.judge.odd(p.email)
	p.email = w.no("moved") + "@example.com"
	w.judge.odd(p.email)
	w.tell("person %d has another address", p.no)
	w.account(p)
}

func (w *world) shopGoesAway() {
	s := w.shops[w.pick(len(w.shops))]
	s.awayUntil = w.now.Add(w.span([]time.Duration{time.Hour, 6 * time.Hour, 40 * time.Hour}[w.pick(3)]))
	w.tell("shop %d cannot be read until %s", s.no, s.awayUntil.Format("01-02 15:04"))
	w.agenda.plan(s.awayUntil, func() {})
}

func (w *world) clockGoesWrong() {
	s := w.shops[w.pick(len(w.shops))]
	was := s.skew
	s.skew = was + []time.Duration{-20 * time.Minute, 17 * time.Minute}[w.pick(2)]
	w.setSkew(s)
	w.tell("the clock of shop %d is off by %v", s.no, s.skew)
	w.agenda.plan(w.now.Add(w.span(20*time.Hour)), func() { s.skew = was; w.setSkew(s) })
}

func (w *world) everythingStops() {
	w.house.awayUntil = w.now.Add(w.span([]time.Duration{2 * time.Hour, 30 * time.Hour, 5 * 24 * time.Hour}[w.pick(3)]))
	w.outages = append(w.outages, w.now)
	w.tell("nothing runs until %s", w.house.awayUntil.Format("01-02 15:04"))
	for _, p := range w.house.processes {
		p.dead = true
	}
}

func (w *world) houseMoves() {
	if w.percent(60) {
		w.house.swap()
		return
	}
	p := w.house.processes[w.pick(len(w.house.processes))]
	w.tell("%s is killed", p.name)
	p.dead = true
}
