package mirror_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// secrets are what a mirror must not know of Ana any more: whatever the facts of theShop say of her.
func secrets() []string {
	return []string{"ana@", "bill@", "early@", "Ana", "Diaz", "5550199", "192.0.2.7"}
}

// theShop is Ana, with an account, orders under two addresses, and Bob.
func theShop() mirror.Batch {
	ana := customer(5, "ana@example.com")
	ana.Body.(*crm.Customer).Phone = "+33 5550199"
	ana.Body.(*crm.Customer).Attributes = map[string]string{"nick": "Ana"}
	home := crm.Fact{Ref: ana.Ref, Body: &crm.Address{Line1: "1 rue Ana", City: "Anaville", Country: "FR"}}
	money := refund(8, 1, 100)
	money.Body.(*crm.Refund).Reason = "Ana did not like it"
	b := mirror.Batch{Facts: []crm.Fact{
		ana, home, order(1, "5", "bill@example.com", 1000), order(2, "", "Ana@Example.com", 500), named(order(1, "5", "bill@example.com", 1000)), money, cart(9, "ana@example.com"),
		event(1, "5", ""), said(1, "ana@example.com", crm.ConsentGranted), optIn(crm.KindOrder, 2, "yes", "", "ana@example.com"), optIn(crm.KindCustomer, 5, "yes", "", ""),
		customer(6, "bob@example.com"), order(3, "6", "bob@example.com", 700), order(4, "6", "ana@example.com", 800), // Bob's, billed to Ana
	}}
	for _, f := range b.Facts {
		if f.Ref.Kind == crm.KindCustomer && f.Ref.ID == "6" {
			f.Body.(*crm.Customer).FirstName, f.Body.(*crm.Customer).LastName = "Bob", "Roe"
		}
		b.Raw = append(b.Raw, connectors.RawRecord{Ref: f.Ref, Body: fmt.Appendf(nil, `{"of":"%s","body":"%+v"}`, f.Ref.ID, f.Body)})
	}
	b.Rejected = []connectors.Rejected{
		{Ref: crm.Ref{Kind: crm.KindOrder, ID: "77"}, Reason: "its total is no number", Raw: []byte(`{"billing":{"email":"ANA\u0040example.com"},"name":"Ana"}`)},
		{Ref: crm.Ref{Kind: crm.KindOrder, ID: "78"}, Reason: "its total is no number", Raw: []byte(`{"billing":{"email":"bob@example.com"}}`)},
	}
	return b
}

func named(f crm.Fact) crm.Fact {
	o := f.Body.(*crm.Order)
	o.FirstName, o.LastName, o.Attribution = "Ana", "Diaz", map[string]string{"visitor": "Ana"}
	return f
}

func (p *people) send(b mirror.Batch) {
	p.tb.Helper()
	p.at += 1000
	b.ObservedAt = p.at
	for range 3 {
		res := p.apply(b)
		if len(res.Reread) == 0 {
			return
		}
		p.at += 1000
		b.ObservedAt = p.at
	}
}

func (p *people) inbox(kind crm.Kind, id, email string) {
	p.tb.Helper()
	if err := p.m.DB().Write(p.tb.Context(), "test.inbox", func(tx *store.Tx) error {
		return tx.Insert(context.Background(), "inbox", []string{"id", "shop_id", "kind", "record_id", "received_at", "body"},
			[][]any{{tx.NewID(), p.shop.ID, string(kind), id, p.at, []byte(email)}})
	}); err != nil {
		p.tb.Fatal(err)
	}
}

// knows looks for texts in every column of every table.
func (p *people) knows(texts ...string) []string {
	p.tb.Helper()
	var found []string
	for _, table := range []string{
		"contacts", "customers", "addresses", "optins", "orders", "order_lines", "refunds", "refund_lines", "carts", "cart_lines", "cart_versions", "events", "statements",
		"contact_stats", "consents", "consent_state", "source_records", "quarantine", "inbox", "hints", "contact_merges", "contact_erasures", "departures", "tombstones", "observations",
	} {
		rows, err := p.m.DB().Read().QueryxContext(p.tb.Context(), "SELECT * FROM "+table)
		if err != nil {
			p.tb.Fatal(err)
		}
		for rows.Next() {
			row := map[string]any{}
			if err := rows.MapScan(row); err != nil {
				p.tb.Fatal(err)
			}
			for col, v := range row {
				b, ok := v.([]byte)
				if !ok {
					b = fmt.Append(nil, v)
				}
				if table == "source_records" && col == "raw" {
					if b, err = mirror.Unpack(b); err != nil {
						p.tb.Fatal(err)
					}
				}
				for _, text := range texts {
					if strings.Contains(strings.ToLower(string(b)), strings.ToLower(text)) {
						found = append(found, fmt.Sprintf("%s.%s: %s", table, col, b))
					}
				}
			}
		}
		if err := rows.Err(); err != nil {
			p.tb.Fatal(err)
		}
		_ = rows.Close()
	}
	return found
}

func (p *people) erase(email string) mirror.Erased {
	p.tb.Helper()
	e, err := p.m.Erase(p.tb.Context(), p.id(email), p.tick())
	if err != nil {
		p.tb.Fatal(err)
	}
	return e
}

func TestB47_AnErasedPersonStaysErasedWhateverTheShopSends(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.send(theShop())
		p.read(order(20, "", "early@example.com", 5))
		p.read(order(20, "5", "early@example.com", 5)) // Ana's after all: early@ is a contact that nothing refers to
		p.inbox(crm.KindOrder, "1", "ana@example.com")
		p.inbox(crm.KindOrder, "3", "bob@example.com")
		if len(p.knows(secrets()...)) == 0 {
			t.Fatal("the test looks for nothing")
		}
		before := p.counts()
		ana := p.id("ana@example.com")
		p.erase("ana@example.com")
		if again, err := p.m.Erase(t.Context(), ana, p.at); err != nil || !again.Again {
			t.Errorf("erased again: %+v, %v", again, err)
		}
		p.settle()
		check := func(when string) {
			t.Helper()
			for _, found := range p.knows(secrets()...) {
				t.Errorf("%s, still known: %s", when, found)
			}
			if _, err := p.m.ContactByEmail(t.Context(), p.m.DB().Read(), p.shop.AudienceID, "ana@example.com"); !errors.Is(err, mirror.ErrNotFound) {
				t.Errorf("%s: %v", when, err)
			}
			if n := p.number("SELECT COUNT(*) FROM orders WHERE gone_at=0"); n != 5 {
				t.Errorf("%s, %d orders are left", when, n)
			}
			if n := p.number("SELECT SUM(total) FROM orders WHERE contact_id=0 AND erased_at>0"); n != 1505 {
				t.Errorf("%s, anonymous orders of %d", when, n)
			}
			if n := len(p.profile("bob@example.com").Orders); n != 2 {
				t.Errorf("%s, Bob has %d orders", when, n)
			}
			for kind, c := range p.counts() {
				if was := before[kind]; was.Mirrored+was.Quarantined != c.Mirrored+c.Quarantined+c.Erased {
					t.Errorf("%s, %s: %+v, was %+v", when, kind, c, was)
				}
			}
		}
		check("at once")
		if n := p.number("SELECT COUNT(*) FROM inbox"); n != 1 {
			t.Errorf("%d webhooks are left, want Bob's", n)
		}
		p.send(theShop()) // polled, pushed or imported again
		check("sent again")
		if n := p.number("SELECT COUNT(*) FROM source_records"); n != 2 {
			t.Errorf("%d bodies are kept, want Bob's and none that names Ana", n)
		}
		if res := p.applyAt(theShop()); res.Applied != 0 {
			t.Errorf("the same once more writes %d facets", res.Applied)
		}
		changed := theShop()
		changed.Facts = []crm.Fact{customer(5, "new-address@example.com"), order(1, "5", "third@example.com", 1001), order(30, "", "ana@example.com", 9), cart(31, "ANA@example.com")}
		changed.Raw, changed.Rejected = nil, nil
		p.send(changed) // the erased account with another address, new records of the erased address
		p.webhook(order(2, "", "ana@example.com", 501))
		for _, found := range p.knows("ana@", "new-address", "third@") {
			t.Errorf("changed by the shop, known again: %s", found)
		}
		if n := p.number("SELECT COUNT(*) FROM contacts WHERE live=1"); n != 1 {
			t.Errorf("%d people are known, want Bob alone", n)
		}
		if n := p.number("SELECT COUNT(*) FROM orders WHERE contact_id<>0 AND erased_at>0") + p.number("SELECT COUNT(*) FROM consent_state s JOIN contacts c ON c.id=s.contact_id WHERE c.erased_at>0"); n != 0 {
			t.Errorf("%d rows are both erased and somebody's", n)
		}
	})
}

// webhook is a delivery whose re-read shows a fact.
func (p *people) webhook(f crm.Fact) {
	p.tb.Helper()
	p.inbox(f.Ref.Kind, f.Ref.ID, "ana@example.com")
	if err := p.m.DB().Write(p.tb.Context(), "test.hint", func(tx *store.Tx) error {
		return p.m.AddHints(p.tb.Context(), tx, p.shop.ID, []crm.Ref{f.Ref}, p.at)
	}); err != nil {
		p.tb.Fatal(err)
	}
	hints, err := p.m.DueHints(p.tb.Context(), p.shop.ID, p.at, 10)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.read(f)
	for _, h := range hints {
		if err := p.m.DB().Write(p.tb.Context(), "test.hint", func(tx *store.Tx) error { return p.m.DoneHint(p.tb.Context(), tx, h) }); err != nil {
			p.tb.Fatal(err)
		}
	}
}

func (p *people) applyAt(b mirror.Batch) mirror.Result {
	b.ObservedAt = p.tick()
	return p.apply(b)
}

func (p *people) counts() map[crm.Kind]mirror.Count {
	p.tb.Helper()
	list, err := p.m.Counts(p.tb.Context(), p.shop.ID)
	if err != nil {
		p.tb.Fatal(err)
	}
	out := map[crm.Kind]mirror.Count{}
	for _, c := range list {
		out[c.Kind] = c
	}
	return out
}

func TestErasingAMergedPersonErasesAllOfThem(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(1, "a@x.fr"), order(1, "1", "", 1), customer(2, "b@x.fr"), order(2, "2", "", 1), customer(3, "c@x.fr"))
		p.merge("a@x.fr", "b@x.fr") // not carried out yet
		ids := []int64{p.id("b@x.fr"), p.id("a@x.fr")}
		e := p.erase("a@x.fr")
		if diff := cmp.Diff(ids, e.Contacts); diff != "" || e.Addresses != 2 {
			t.Errorf("%d addresses; %s", e.Addresses, diff)
		}
		p.settle()
		for _, found := range p.knows("a@x.fr", "b@x.fr") {
			t.Errorf("still known: %s", found)
		}
		if n, _ := p.m.LiveContacts(t.Context()); n != 1 {
			t.Errorf("%d live contacts", n)
		}
		for _, act := range []func() error{
			func() error { _, err := p.m.Merge(t.Context(), ids[0], p.id("c@x.fr"), "", p.at); return err },
			func() error { _, err := p.m.Split(t.Context(), ids[1], "", p.at); return err },
		} {
			if err := act(); !errors.Is(err, mirror.ErrRefused) {
				t.Error(err)
			}
		}
	})
}

func TestAnErasureLeavesOtherPeopleAndAudiencesAlone(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(1, "a@x.fr"), order(1, "1", "mother@x.fr", 1), order(2, "", "mother@x.fr", 1)) // the mother buys, too
		other := newPeople(t, newWorld(t, p.m, "other audience").b)
		other.at = p.at
		other.read(customer(1, "a@x.fr"))
		p.erase("a@x.fr")
		p.settle()
		p.read(order(3, "", "mother@x.fr", 1))
		if n := len(p.profile("mother@x.fr").Orders); n != 2 {
			t.Errorf("the mother has %d orders", n)
		}
		if c := other.profile("a@x.fr").Contact; c.FirstName != "Ana" {
			t.Error("the other audience's person was erased")
		}
	})
}

func TestTombstonesCannotBeReadWithoutTheKey(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(1, "a@x.fr"))
		p.erase("a@x.fr")
		var key string
		if err := p.m.DB().Read().GetContext(t.Context(), &key, "SELECT value FROM meta WHERE name='erasure_key'"); err != nil {
			t.Fatal(err)
		}
		if raw, err := hex.DecodeString(key); err != nil || len(raw) != 32 {
			t.Errorf("a key of %d bytes, %v", len(raw), err)
		}
		if n := p.number("SELECT COUNT(*) FROM tombstones WHERE LENGTH(hash)=32"); n != 1 {
			t.Errorf("%d tombstones", n)
		}
	})
}
