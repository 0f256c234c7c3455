package mirror_test

import (
	"testing"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// The whole table of what a synchronised field may do to a consent (DESIGN §10).
func TestB15B16WhatAFieldOfTheShopDoesToAConsent(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		for _, c := range []struct {
			name    string
			values  []string // as seen, one after the other
			noMeans string
			person  string // an act of the person between the first and the second value
			want    string
		}{
			{"an explicit yes grants", []string{"yes"}, "silence", "", crm.ConsentGranted},
			{"an absent field says nothing", []string{""}, "withdrawn", "", crm.ConsentNone},
			{"B16: an unticked box says nothing", []string{"no"}, "silence", "", crm.ConsentNone},
			{"B16: a first no says nothing, whatever the mapping", []string{"no"}, "withdrawn", "", crm.ConsentNone},
			{"B16: a yes turned no says nothing by default", []string{"yes", "no"}, "silence", "", crm.ConsentGranted},
			{"a yes turned no withdraws where the mapping says so", []string{"yes", "no"}, "withdrawn", "", crm.ConsentWithdrawn},
			{"a field that vanishes withdraws nothing", []string{"yes", ""}, "withdrawn", "", crm.ConsentGranted},
			{"B15: a withdrawal is not lifted by the same yes", []string{"yes", "yes"}, "silence", crm.ConsentWithdrawn, crm.ConsentWithdrawn},
			{"B15: nor by a box unticked and ticked again", []string{"yes", "no", "yes"}, "withdrawn", "", crm.ConsentWithdrawn},
			{"B15: nor by a first yes that comes after", []string{"", "yes"}, "silence", crm.ConsentWithdrawn, crm.ConsentWithdrawn},
			{"what a person granted stays", []string{"", "no"}, "withdrawn", crm.ConsentGranted, crm.ConsentGranted},
			{"a person awaiting confirmation is not confirmed by a shop", []string{"", "yes"}, "silence", crm.ConsentPending, crm.ConsentPending},
		} {
			b := newWorld(t, mirror.New(db), c.name).b
			b.at = at("2026-11-01 00:00")
			b.read(customer(5, "ana@example.com"))
			for i, value := range c.values {
				b.read(optIn(crm.KindCustomer, 5, value, c.noMeans, ""))
				if i == 0 && c.person != "" {
					b.act("ana@example.com", c.person)
				}
			}
			if got := b.consent("ana@example.com"); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
	})
}

func (b *bench) act(email, state string) (changed bool) {
	b.tb.Helper()
	contact := b.profile(email).Contact.ID
	if err := b.m.DB().Write(b.tb.Context(), "test.act", func(tx *store.Tx) (err error) {
		changed, err = b.m.SetConsent(b.tb.Context(), tx, mirror.ConsentChange{
			ContactID: contact, Topic: "marketing", Channel: "email", State: state, Basis: "opt_in", Source: "one-click",
			SourceAt: b.at, SeenAt: b.at, ByPerson: true,
		})
		return err
	}); err != nil {
		b.tb.Fatal(err)
	}
	return changed
}

func TestAPersonsActsReplayToNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(customer(5, "ana@example.com"))
		b.dirty()
		for i, step := range []struct {
			state string
			want  bool
		}{
			{crm.ConsentWithdrawn, true},
			{crm.ConsentWithdrawn, false},
			{crm.ConsentPending, true},
			{crm.ConsentGranted, true},
			{crm.ConsentGranted, false},
			{crm.ConsentPending, false},
			{crm.ConsentWithdrawn, true},
		} {
			if got := b.act("ana@example.com", step.state); got != step.want {
				t.Errorf("step %d (%s): %v", i, step.state, got)
			}
			for _, d := range b.dirty() {
				if !step.want || d.Cause != crm.CauseConsent || d.SourceAt != b.at {
					t.Errorf("step %d: %+v", i, d)
				}
			}
		}
		if n := b.number("SELECT COUNT(*) FROM consents"); n != 4 {
			t.Errorf("%d rows in the ledger", n)
		}
	})
}

func TestABoxLeftUntickedMakesNobodyKnown(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(optIn(crm.KindOrder, 1, "no", "", "g@example.com"))
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 0 {
			t.Errorf("%d contacts", n)
		}
		b.read(optIn(crm.KindOrder, 1, "yes", "", "g@example.com"))
		if got := b.consent("g@example.com"); got != crm.ConsentGranted {
			t.Error(got)
		}
		if n := b.number("SELECT COUNT(*) FROM optins o JOIN contacts c ON c.id=o.contact_id"); n != 1 {
			t.Error("the opt-in lost its contact")
		}
	})
}

func TestAGuestsOptInSpeaksForTheAddressOfItsOrder(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "g@example.com", 1), optIn(crm.KindOrder, 1, "yes", "", "g@example.com"))
		b.read(customer(5, "ana@example.com"), order(2, "5", "bill@example.com", 1), optIn(crm.KindOrder, 2, "yes", "", ""))
		b.read(optIn(crm.KindOrder, 3, "yes", "", ""), optIn(crm.KindCustomer, 6, "yes", "", "")) // before anybody knows whose they are
		b.dirty()
		b.apply(mirror.Batch{Cause: crm.CauseBackfill, Facts: []crm.Fact{order(3, "", "late@example.com", 1), customer(6, "six@example.com")}})
		for _, email := range []string{"g@example.com", "ana@example.com", "late@example.com", "six@example.com"} {
			if got := b.consent(email); got != crm.ConsentGranted {
				t.Errorf("%s: %s", email, got)
			}
		}
		for _, d := range b.dirty() {
			if d.Cause != crm.CauseBackfill {
				t.Errorf("history must not trigger: %+v", d)
			}
		}
		if n := b.number("SELECT COUNT(*) FROM contacts WHERE email_norm='bill@example.com'"); n != 0 {
			t.Error("the billing address of an account's order became a contact")
		}
		if n := b.number("SELECT COUNT(*) FROM consents WHERE source='woocommerce:boutique' AND basis='opt_in'"); n != 4 {
			t.Errorf("%d rows in the ledger", n)
		}
	})
}
