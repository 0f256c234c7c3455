package mirror_test

import (
	"errors"
	"testing"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func TestAnAccountTakesOverItsGuestOrdersWhenItArrives(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "5", "guest@example.com", 1000), cart(9, "guest@example.com"))
		if n := len(b.profile("guest@example.com").Orders); n != 1 {
			t.Fatalf("the guest has %d orders", n)
		}
		b.dirty()
		b.read(customer(5, "Ana@Example.com"))
		p := b.profile("ana@example.com")
		if len(p.Orders) != 1 || p.Contact.FirstName != "Ana" || p.Contact.Email != "Ana@Example.com" {
			t.Fatalf("the account has %d orders, contact %+v", len(p.Orders), p.Contact)
		}
		if p := b.profile("guest@example.com"); len(p.Orders) != 0 || len(p.Carts) != 1 {
			t.Fatalf("the guest keeps %d orders and %d carts", len(p.Orders), len(p.Carts))
		}
		if marks := b.dirty(); len(marks) != 2 {
			t.Fatalf("%d contacts marked, both sides of the move are wanted", len(marks))
		}
	})
}

func TestAnEmailChangeMovesTheAccountNotTheConsent(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(customer(5, "old@example.com"), optIn(crm.KindCustomer, 5, "yes", "withdrawn", ""), order(1, "5", "bill@example.com", 1000))
		if got := b.consent("old@example.com"); got != crm.ConsentGranted {
			t.Fatal(got)
		}
		later := optIn(crm.KindCustomer, 5, "yes", "withdrawn", "")
		later.Body.(*crm.OptIn).SourceAt += day
		b.read(customer(5, "new@example.com"), later)
		if n := len(b.profile("new@example.com").Orders); n != 1 {
			t.Fatalf("%d orders moved", n)
		}
		if a, z := b.consent("old@example.com"), b.consent("new@example.com"); a != crm.ConsentGranted || z != crm.ConsentNone {
			t.Fatalf("old address %s, new address %s", a, z)
		}
		if n, _ := b.m.LiveContacts(t.Context()); n != 1 {
			t.Fatalf("%d live contacts", n)
		}
		b.read(optIn(crm.KindCustomer, 5, "no", "withdrawn", ""))
		if a := b.consent("old@example.com"); a != crm.ConsentWithdrawn {
			t.Fatalf("after the box was unticked the former address is %s", a)
		}
	})
}

func TestACustomerWhoIsDeletedLeavesOrdersToTheBillingEmail(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(customer(5, "ana@example.com"), order(1, "5", "bill@example.com", 1000), order(2, "5", "", 500))
		b.read(gone(customer(5, "")))
		if p := b.profile("bill@example.com"); len(p.Orders) != 1 || p.Contact.RegisteredAt != 0 {
			t.Fatalf("%+v", p)
		}
		if p := b.profile("ana@example.com"); len(p.Orders) != 0 {
			t.Fatalf("the deleted account keeps %d orders", len(p.Orders))
		}
		if n := b.number("SELECT COUNT(*) FROM orders WHERE contact_id=0"); n != 1 {
			t.Fatalf("%d orders of nobody, want the one without any address", n)
		}
		if n, _ := b.m.LiveContacts(t.Context()); n != 1 {
			t.Fatalf("%d live contacts", n)
		}
		b.read(customer(5, "ana@example.com"))
		if p := b.profile("ana@example.com"); len(p.Orders) != 2 {
			t.Fatalf("restored, the account has %d orders", len(p.Orders))
		}
	})
}

func TestB49AGuestAndAnAccountAreOnePersonOverAllShopsOfAnAudience(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		other := b.ensure("second", "America/New_York")
		b.read(customer(5, "ANA@example.com "), order(1, "", "ana@EXAMPLE.com", 1000))
		b.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{order(1, "", "ana@example.com", 700), order(99, "", "ana@example.com", 800)}})
		p := b.profile("ana@example.com")
		if len(p.Orders) != 3 || p.Contact.HomeShopID != other.ID || p.Contact.Zone != "America/New_York" {
			t.Fatalf("%d orders, home %d (of %d, %d), zone %s", len(p.Orders), p.Contact.HomeShopID, b.shop.ID, other.ID, p.Contact.Zone)
		}
		if p.Contact.CreatedAt != at("2025-01-01 10:00") || p.Contact.RegisteredAt != p.Contact.CreatedAt || p.Contact.Country != "FR" || p.Contact.City != "Lyon" {
			t.Fatalf("%+v", p.Contact)
		}
		if n := b.number("SELECT COUNT(*) FROM contacts"); n != 1 {
			t.Fatalf("%d contacts", n)
		}
		if n := b.number("SELECT SUM(sales) FROM contact_stats"); n != 3 {
			t.Fatalf("%d sales in the statistics", n)
		}
	})
}

func TestUnknownPeopleAreNotFound(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		for _, email := range []string{"nobody@example.com", "", "no address"} {
			if _, err := b.m.ContactByEmail(t.Context(), db.Read(), b.shop.AudienceID, email); !errors.Is(err, mirror.ErrNotFound) {
				t.Errorf("%q: %v", email, err)
			}
		}
		if _, err := b.m.ShopByName(t.Context(), "none"); !errors.Is(err, mirror.ErrNotFound) {
			t.Error(err)
		}
	})
}
