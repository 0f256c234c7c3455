package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
)

// deliver hands a webhook of the shop to Relance's public listener, as WooCommerce does: one attempt, no retry.
func (m *demo) deliver(h http.Header, body []byte) {
	ctx, cancel := context.WithTimeout(m.d.ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.hooks, bytes.NewReader(body))
	if err != nil {
		m.say.line("delivering a webhook: %v", err)
		return
	}
	r.Header = h.Clone()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		if m.d.ctx.Err() == nil {
			m.say.line("delivering a webhook: %v", err)
		}
		return
	}
	_ = answer.Body.Close()
}

// traffic is invented customers at work in the shop.
type traffic struct {
	*demo
	goods  []wooshop.Good
	people []person
	rnd    *rand.Rand
	drafts []int64 // carts that may still be bought
	paid   []int64 // orders that may still be shipped
	next   int
}

func newTraffic(m *demo) (*traffic, error) {
	people, err := subscribers(m.shop)
	return &traffic{demo: m, goods: m.shop.Goods(), people: people, rnd: rand.New(rand.NewPCG(60, 70))}, err
}

// person is a customer; ID is 0 for a guest.
type person struct {
	ID    int64  `json:"id"`
	First string `json:"first_name"`
	Last  string `json:"last_name"`
	Email string `json:"email"`
}

// order is what a person puts into an order or a cart, with the newsletter's box ticked.
func (p person) order(items ...wooshop.Item) wooshop.OrderSpec {
	return wooshop.OrderSpec{
		CustomerID: p.ID, FirstName: p.First, LastName: p.Last, Email: p.Email, Items: items, Meta: map[string]string{"newsletter_optin": "1"},
	}
}

// subscribers lists the shop's customers who asked for the newsletter.
func subscribers(shop *wooshop.Shop) ([]person, error) {
	var out []person
	for _, id := range shop.CustomerIDs() {
		var c struct {
			person
			Meta []struct {
				Key   string `json:"key"`
				Value any    `json:"value"`
			} `json:"meta_data"`
		}
		if err := json.Unmarshal(shop.Body("customers", id), &c); err != nil {
			return nil, fmt.Errorf("reading customer %d of the demo's shop: %w", id, err)
		}
		for _, m := range c.Meta {
			if m.Key == "newsletter_optin" && (m.Value == "1" || m.Value == "yes") {
				out = append(out, c.person)
				break
			}
		}
	}
	return out, nil
}

// run lets somebody do something every second or two, until ctx ends. The first thing is a cart that is left.
func (t *traffic) run(ctx context.Context) {
	for act := t.leave; ; act = t.pick() {
		if err := act(); err != nil {
			t.say.line("in the shop: %v", err)
		}
		wait := time.NewTimer(800*time.Millisecond + time.Duration(t.rnd.Int64N(int64(1500*time.Millisecond))))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

func (t *traffic) pick() func() error {
	switch n := t.rnd.IntN(10); {
	case n < 3:
		return t.leave
	case n < 5:
		return t.buy
	case n < 6:
		return t.order
	case n < 7:
		return t.ship
	case n < 9:
		return t.register
	}
	return t.refund
}

// someone is an invented person who never was here.
func (t *traffic) someone() person {
	firsts := []string{"Camille", "Noémie", "Basile", "Inès", "Hugo", "Maëlle", "Oscar", "Zoé", "Léon", "Agathe", "Émile", "Jade"}
	lasts := []string{"Martin", "Petit", "Roux", "Garnier", "Lambert", "Faure", "Chevalier", "Meunier", "Perrin", "Marchand"}
	t.next++
	p := person{First: firsts[t.rnd.IntN(len(firsts))], Last: lasts[t.rnd.IntN(len(lasts))]}
	plain := strings.NewReplacer("é", "e", "è", "e", "ë", "e", "É", "e").Replace(p.First)
	p.Email = fmt.Sprintf("%s.%s.%d@example.com", strings.ToLower(plain), strings.ToLower(p.Last), t.next)
	return p
}

// somebody is mostly one of the recorded customers who asked for the newsletter.
func (t *traffic) somebody() person {
	if t.rnd.IntN(4) == 0 {
		return t.someone()
	}
	return t.people[t.rnd.IntN(len(t.people))]
}

func (t *traffic) spec() wooshop.OrderSpec {
	items := make([]wooshop.Item, 1+t.rnd.IntN(3))
	for i := range items {
		items[i] = t.goods[t.rnd.IntN(len(t.goods))].Item
		items[i].Quantity = 1 + t.rnd.Int64N(2)
	}
	return t.somebody().order(items...)
}

// leave opens a checkout and goes away.
func (t *traffic) leave() error {
	s := t.spec()
	id, err := t.shop.CreateDraft(s)
	if err == nil {
		t.drafts = append(t.drafts, id)
		t.say.event(t.clock.Now(), "🛒 %s opens the checkout (%d) and leaves", s.FirstName, id)
	}
	return err
}

// buy comes back to a cart: no mail about it may leave from now on.
func (t *traffic) buy() error {
	if len(t.drafts) == 0 {
		return t.order()
	}
	id := t.drafts[len(t.drafts)-1]
	t.drafts = t.drafts[:len(t.drafts)-1]
	err := t.shop.PlaceDraft(id, "")
	if err == nil {
		t.paid = append(t.paid, id)
		t.say.event(t.clock.Now(), "✔ cart %d is bought", id)
	}
	return err
}

func (t *traffic) order() error {
	s := t.spec()
	id, err := t.shop.CreateOrder(s)
	if err == nil {
		t.paid = append(t.paid, id)
		t.say.event(t.clock.Now(), "✔ %s orders (%d)", s.FirstName, id)
	}
	return err
}

// ship sends the oldest order that waits on its way.
func (t *traffic) ship() error {
	if len(t.paid) == 0 {
		return t.order()
	}
	id := t.paid[0]
	t.paid = t.paid[1:]
	err := t.shop.UpdateOrder(id, wooshop.OrderChange{Status: "completed"})
	if err == nil {
		t.say.event(t.clock.Now(), "→ order %d is shipped", id)
	}
	return err
}

func (t *traffic) register() error {
	p := t.someone()
	_, err := t.shop.CreateCustomer(wooshop.CustomerSpec{Email: p.Email, FirstName: p.First, LastName: p.Last, Meta: map[string]string{"newsletter_optin": "1"}})
	if err == nil {
		t.say.event(t.clock.Now(), "☺ %s registers", p.First)
	}
	return err
}

func (t *traffic) refund() error {
	ids := t.shop.OrderIDs("completed")
	id := ids[t.rnd.IntN(len(ids))]
	_, err := t.shop.Refund(id, "1.00", "Geste commercial")
	if err == nil {
		t.say.event(t.clock.Now(), "↩ 1.00 of order %d is given back", id)
	}
	return err
}
