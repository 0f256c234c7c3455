package mirror_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

func category(id, parent, slug string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindCategory, ID: id}, Body: &crm.Category{ParentID: parent, Slug: slug, Name: slug}}
}

func product(id string, categories ...string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: id}, Body: &crm.Product{Name: "Robe", URL: "https://shop.example/robe", ImageURL: "https://shop.example/robe.jpg", Categories: categories}}
}

func TestAProfileHoldsWhatSegmentsMayKnow(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		withRegion := crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "5"}, Body: &crm.Address{Country: "BE", City: "Liège"}}
		b.read(
			category("1", "0", "femme"), category("2", "1", "robes"), category("9", "9", "ring"), product("7", "2", "9"),
			customer(5, "Ana@example.com"), withRegion, optIn(crm.KindCustomer, 5, "yes", "", ""),
			order(2, "5", "", 2000), order(1, "5", "", 1000), refund(3, 1, 500), cart(8, "ana@example.com"), order(4, "", "b@example.com", 1),
		)
		got := b.profile("ana@example.com")
		line := crm.ProfileLine{
			ProductID: "7", Name: "Robe", Quantity: 2, Total: 1000, Refunded: 1, ImageURL: "https://shop.example/robe.jpg", URL: "https://shop.example/robe",
			Categories: []string{"1", "2", "9", "femme", "ring", "robes"},
		}
		line2, cartLine := line, line
		line2.Refunded, line2.Total = 0, 2000
		cartLine.Refunded, cartLine.Quantity, cartLine.Total = 0, 1, 4200
		want := crm.Profile{
			Contact: crm.Contact{
				AudienceID: b.shop.AudienceID, Email: "Ana@example.com", EmailNorm: "ana@example.com", FirstName: "Ana", LastName: "Diaz 5", Locale: "fr",
				Country: "FR", City: "Lyon", Zone: "Europe/Paris", HomeShopID: b.shop.ID, RegisteredAt: at("2025-01-01 10:00"), CreatedAt: at("2025-01-01 10:00"),
			},
			Consents: []crm.ConsentState{{Topic: "marketing", Channel: "email", State: crm.ConsentGranted, Basis: "opt_in", SourceAt: at("2026-10-05 10:00")}},
			Orders: []crm.ProfileOrder{
				{ShopID: b.shop.ID, ID: "1", Number: "1", State: crm.StateCompleted, CountsAsSale: true, Purchase: "1", Shop: "boutique", Currency: "EUR", Total: 1000, Refunded: 500, PlacedAt: at("2026-10-01 10:00") + 1000, Lines: []crm.ProfileLine{line}},
				{ShopID: b.shop.ID, ID: "2", Number: "2", State: crm.StateCompleted, CountsAsSale: true, Purchase: "2", Shop: "boutique", Currency: "EUR", Total: 2000, PlacedAt: at("2026-10-01 10:00") + 2000, Lines: []crm.ProfileLine{line2}},
			},
			Carts: []crm.ProfileCart{{
				ShopID: b.shop.ID, ID: "8", Currency: "EUR", Total: 4200, CreatedAt: at("2026-10-30 10:00"), ActiveAt: at("2026-10-30 11:00"), RecoverURL: "https://shop.example/c", Shop: "boutique",
				Lines: []crm.ProfileLine{cartLine},
			}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(crm.Contact{}, "ID", "Lane")); diff != "" {
			t.Error(diff)
		}
		if got.Contact.Lane != crm.LaneOf(got.Contact.ID) {
			t.Error("a contact outside its lane")
		}
		other := b.profile("b@example.com").Contact.ID
		ids := []int64{other, 12345, got.Contact.ID}
		ps, err := b.m.Profiles(t.Context(), db.Read(), ids, crm.Needs{})
		if err != nil || len(ps) != 2 || ps[0].Contact.ID != other || ps[0].Orders != nil || ps[1].Consents != nil {
			t.Errorf("%+v, %v", ps, err)
		}
		pages, err := b.m.ContactIDs(t.Context(), db.Read(), min(other, got.Contact.ID), 10)
		if err != nil || len(pages) != 1 {
			t.Error(pages, err)
		}
	})
}

func TestACatalogueChangeConcernsWhoBoughtIt(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(category("1", "", "femme"), category("2", "1", "robes"), product("7", "2"), product("8", "2"), order(1, "", "a@example.com", 1), cart(2, "c@example.com"))
		b.dirty()
		for _, step := range []struct {
			name  string
			fact  crm.Fact
			marks int
		}{
			{"the product they bought moves", product("7", "1"), 2},
			{"another product moves", product("8", "1"), 0},
			{"it moves back", product("7", "2"), 2},
			{"its category moves", category("2", "", "robes"), 2},
			{"a category above is renamed", category("2", "1", "robes"), 2},
			{"only its slug", category("1", "", "dames"), 2},
			{"a stranger category", category("5", "", "x"), 0},
			{"the product is deleted: last known", gone(product("7")), 0},
		} {
			b.read(step.fact)
			if now := b.dirty(); len(now) != 0 {
				t.Errorf("%s: %d contacts marked in the page's own transaction", step.name, len(now))
			}
			b.fanOut()
			marks := b.dirty()
			if len(marks) != step.marks {
				t.Errorf("%s: %d contacts marked, want %d", step.name, len(marks), step.marks)
			}
			for _, d := range marks {
				if d.Cause != crm.CauseRedefined || d.SourceAt != b.at {
					t.Errorf("%s: %+v", step.name, d)
				}
			}
		}
		if diff := cmp.Diff([]string{"1", "2", "dames", "robes"}, b.profile("a@example.com").Orders[0].Lines[0].Categories); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAClosedCartStaysInTheProfileWithWhatClosedIt(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(cart(8, "a@example.com"))
		more := cart(8, "a@example.com")
		more.Body.(*crm.Cart).Lines[0].Quantity++
		more.Body.(*crm.Cart).ActiveAt += 60_000
		b.read(more)
		touched := cart(8, "a@example.com")
		touched.Body.(*crm.Cart).Lines[0].Quantity++
		touched.Body.(*crm.Cart).ActiveAt += 120_000
		b.read(touched)
		if n := b.number("SELECT open_carts FROM contact_stats"); n != 1 {
			t.Fatalf("%d open carts", n)
		}
		closed := gone(cart(8, ""))
		closed.Body.(*crm.Cart).ClosedBy, closed.Body.(*crm.Cart).ClosedAt = "ordered", at("2026-10-30 12:00")
		b.read(closed)
		c := b.profile("a@example.com").Carts[0]
		if c.ClosedBy != "ordered" || c.ClosedAt != at("2026-10-30 12:00") || len(c.Lines) != 1 || c.ActiveAt != at("2026-10-30 11:02") {
			t.Fatalf("%+v", c)
		}
		versions := texts(t, db, "SELECT items, first_at, last_at FROM cart_versions")
		want := []string{`first_at="1793358000000" items="1" last_at="1793358000000"`, `first_at="1793358060000" items="2" last_at="1793358120000"`}
		if diff := cmp.Diff(want, versions); diff != "" {
			t.Error(diff)
		}
		if n := b.number("SELECT COUNT(*) FROM contact_stats"); n != 0 {
			t.Fatalf("%d rows of statistics for somebody without anything", n)
		}
		b.read(cart(8, "a@example.com"))
		if c := b.profile("a@example.com").Carts[0]; c.ClosedAt != 0 || c.ClosedBy != "" {
			t.Fatalf("reopened: %+v", c)
		}
	})
}
