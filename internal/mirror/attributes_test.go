package mirror_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func (p *people) set(email string, values map[string]string) {
	p.tb.Helper()
	id := p.id(email)
	p.write(func(tx *store.Tx) error {
		return p.m.SetAttributes(p.tb.Context(), tx, mirror.Attributes{ContactID: id, Values: values, By: "test", At: p.tick()})
	})
}

func TestAttributesAreNotedAndSeen(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		account := customer(5, "a@example.com")
		body, ok := account.Body.(*crm.Customer)
		if !ok {
			t.Fatal("no customer")
		}
		body.Attributes = map[string]string{"fidelite": "7", "relance.vip": "forged"}
		body.Birthday = "1980-01-02"
		p.read(account, customer(6, "b@example.com"))
		p.dirty()
		p.set("a@example.com", map[string]string{"stage": "one", "locale": "en-GB", "birthday": "1985-04-23", "long": strings.Repeat("é", 600)})
		got := p.needing("a@example.com", crm.Needs{Account: true}).Contact
		want := map[string]string{
			"fidelite": "7", "relance.stage": "one", "relance.locale": "en-GB", "relance.birthday": "1985-04-23", "relance.long": strings.Repeat("é", 500),
		}
		if diff := cmp.Diff(want, got.Attributes); diff != "" || got.Locale != "en-GB" || got.Birthday != "1985-04-23" {
			t.Error(diff, got.Locale, got.Birthday)
		}
		if bare := p.needing("a@example.com", crm.Needs{}).Contact; bare.Locale != "en-GB" || bare.Attributes["relance.stage"] != "one" || bare.Attributes["fidelite"] != "" {
			t.Errorf("%+v", bare)
		}
		if marks := p.dirty(); len(marks) != 1 || marks[p.id("a@example.com")].Cause != crm.CauseChange {
			t.Errorf("%+v", marks)
		}
		p.set("a@example.com", map[string]string{"stage": "one"})
		p.set("a@example.com", map[string]string{"nothing": ""})
		if marks := p.dirty(); len(marks) != 0 {
			t.Errorf("what stays as it was marks: %+v", marks)
		}
		p.set("a@example.com", map[string]string{"stage": "", "locale": "", "birthday": "", "long": ""})
		got = p.needing("a@example.com", crm.Needs{}).Contact
		if len(got.Attributes) != 0 || got.Birthday != "1980-01-02" || len(p.dirty()) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAttributesOfAMergedContactCountForTheOther(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(5, "a@example.com"), customer(6, "b@example.com"))
		p.set("b@example.com", map[string]string{"stage": "b first", "b": "1"})
		p.set("a@example.com", map[string]string{"stage": "a later", "a": "1"})
		p.merge("a@example.com", "b@example.com")
		p.settle()
		seen := func(email string, want map[string]string) {
			t.Helper()
			if diff := cmp.Diff(want, p.needing(email, crm.Needs{}).Contact.Attributes); diff != "" {
				t.Error(diff)
			}
		}
		seen("b@example.com", map[string]string{"relance.stage": "a later", "relance.a": "1", "relance.b": "1"})
		p.dirty()
		p.set("a@example.com", map[string]string{"late": "1"}) // by an old link
		if marks := p.dirty(); len(marks) != 2 {
			t.Errorf("the person is not marked: %+v", marks)
		}
		p.set("b@example.com", map[string]string{"stage": ""})
		seen("b@example.com", map[string]string{"relance.a": "1", "relance.b": "1", "relance.late": "1"})
		p.split("a@example.com")
		p.settle()
		seen("b@example.com", map[string]string{"relance.b": "1"})
		seen("a@example.com", map[string]string{"relance.a": "1", "relance.late": "1"})
	})
}

func TestAnErasureTakesTheAttributes(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(5, "a@example.com"))
		p.set("a@example.com", map[string]string{"birthday": "1985-04-23"})
		id := p.id("a@example.com")
		if _, err := p.m.Erase(t.Context(), id, p.tick()); err != nil {
			t.Fatal(err)
		}
		p.settle()
		p.write(func(tx *store.Tx) error { // by a campaign that was a moment too late
			return p.m.SetAttributes(t.Context(), tx, mirror.Attributes{ContactID: id, Values: map[string]string{"stage": "1"}, By: "test", At: p.tick()})
		})
		if n := p.number("SELECT COUNT(*) FROM contact_attributes"); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}
