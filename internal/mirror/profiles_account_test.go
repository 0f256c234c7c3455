package mirror_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

func (b *bench) needing(email string, n crm.Needs) crm.Profile {
	b.tb.Helper()
	id := b.profile(email).Contact.ID
	ps, err := b.m.Profiles(b.tb.Context(), b.m.DB().Read(), []int64{id}, n)
	if err != nil || len(ps) != 1 {
		b.tb.Fatalf("%d profiles, %v", len(ps), err)
	}
	return ps[0]
}

func member(id, email, role, modified string, attributes map[string]string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: id}, Body: &crm.Customer{
		Email: email, Role: role, RegisteredAt: at("2025-01-01 10:00"), ModifiedAt: at(modified), Attributes: attributes,
	}}
}

func brandedProduct(id, parent, brand string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindProduct, ID: id}, Body: &crm.Product{Name: "Robe", ParentID: parent, Brand: brand}}
}

func TestAProfileHoldsWhatAccountsSayOnlyWhenAsked(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		other, err := b.m.EnsureShop(t.Context(), mirror.ShopSpec{Name: "salon", Audience: "default", Basis: "soft_opt_in"})
		if err != nil {
			t.Fatal(err)
		}
		b.read(
			member("5", "ana@example.com", "pro", "2026-01-02 10:00", map[string]string{"fidelite": "or", "a": "1"}),
			member("6", "ana@example.com", "customer", "2026-01-01 10:00", map[string]string{"fidelite": "argent", "b": "2"}),
			member("7", "gone@example.com", "vip", "2026-01-01 10:00", nil),
			order(1, "7", "", 100),
		)
		b.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: "7"}, Gone: true, Body: &crm.Customer{}})
		b.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{order(9, "", "ana@example.com", 100), cart(3, "ana@example.com")}})
		b.m.TellSuppressions(func(_ context.Context, _ store.Queryer, ids []int64) (map[int64][]string, error) {
			return map[int64][]string{ids[0]: {crm.SuppressedBounced}}, nil
		})
		got := b.needing("ana@example.com", crm.Needs{Account: true}).Contact
		if d := cmp.Diff(map[string]string{"fidelite": "or", "a": "1", "b": "2"}, got.Attributes); d != "" {
			t.Error("the account modified last decides:", d)
		}
		if d := cmp.Diff([]string{"customer", "pro"}, got.Groups); d != "" {
			t.Error(d)
		}
		want := []crm.ContactShop{{Name: "boutique", Since: at("2025-01-01 10:00")}, {Name: "salon", Since: at("2026-10-01 10:00") + 9000}}
		if d := cmp.Diff(want, got.Shops); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(map[int64]string{b.shop.ID: "opt_in", other.ID: "soft_opt_in"}, got.Bases); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{crm.SuppressedBounced}, got.Suppressed); d != "" {
			t.Error(d)
		}
		if gone := b.needing("gone@example.com", crm.Needs{Account: true}).Contact; gone.Groups != nil {
			t.Errorf("an account that is gone still says %v", gone.Groups)
		}
		bare := b.needing("ana@example.com", crm.Needs{Orders: true, Carts: true}).Contact
		if bare.Attributes != nil || bare.Groups != nil || bare.Shops != nil || bare.Bases != nil || bare.Suppressed != nil {
			t.Errorf("nobody asked for %+v", bare)
		}
	})
}

func TestAnOrderSaysHowItCameInAndWhatItCostInTheShopsBooks(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: "1"}, Body: &crm.Order{
			Email: "a@example.com", State: crm.StateCompleted, CountsAsSale: true, Currency: "USD", Total: 1100, BaseCurrency: "EUR", BaseTotal: 1000,
			PlacedAt: at("2026-10-01 10:00"), Via: "checkout", Coupons: []string{"NOEL", "10%"}, Attribution: map[string]string{"source_type": "utm", "utm_source": "google"},
		}})
		for _, asked := range []bool{true, false} {
			got := b.needing("a@example.com", crm.Needs{Orders: true, Source: asked, Coupons: asked}).Orders[0]
			want := crm.ProfileOrder{
				ShopID: b.shop.ID, ID: "1", State: crm.StateCompleted, CountsAsSale: true, Purchase: "1", Currency: "USD", Total: 1100, BaseCurrency: "EUR", BaseTotal: 1000,
				PlacedAt: at("2026-10-01 10:00"), Shop: "boutique",
			}
			if asked {
				want.Via, want.Source, want.Coupons = "checkout", "google", []string{"NOEL", "10%"}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("asked %v: %s", asked, d)
			}
		}
	})
}

func TestEventsAreLoadedByName(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		event := func(id, name, when string, properties map[string]string) crm.Fact {
			return crm.Fact{Ref: crm.Ref{Kind: crm.KindEvent, ID: id}, Body: &crm.Event{Name: name, Email: "a@example.com", At: at(when), Properties: properties}}
		}
		b.read(
			event("1", "searched", "2026-10-03 10:00", nil), event("2", "viewed_product", "2026-10-02 10:00", map[string]string{"category": "shoes"}),
			event("3", "viewed_product", "2026-10-01 10:00", nil),
		)
		if n := len(b.dirty()); n != 1 {
			t.Errorf("%d contacts marked by events", n)
		}
		b.read(order(1, "", "a@example.com", 1))
		names := func(asked ...string) (out []string) {
			for _, e := range b.needing("a@example.com", crm.Needs{Events: asked}).Events {
				out = append(out, e.Name+e.Properties["category"])
			}
			return out
		}
		for _, c := range []struct{ asked, want []string }{
			{nil, nil},
			{[]string{"opened"}, nil},
			{[]string{"viewed_product", "opened"}, []string{"viewed_product", "viewed_productshoes"}},
			{[]string{crm.AllEvents}, []string{"viewed_product", "viewed_productshoes", "searched"}},
		} {
			if d := cmp.Diff(c.want, names(c.asked...)); d != "" {
				t.Errorf("%v: %s", c.asked, d)
			}
		}
	})
}

// What somebody's account says, and where it is from, marks them.
func TestAttributesGroupsAndPlacesMark(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(member("5", "ana@example.com", "pro", "2026-01-02 10:00", nil))
		for what, fact := range map[string]crm.Fact{
			"attribute": member("5", "ana@example.com", "pro", "2026-01-02 10:00", map[string]string{"a": "1"}),
			"group":     member("5", "ana@example.com", "vip", "2026-01-02 10:00", map[string]string{"a": "1"}),
			"region":    {Ref: crm.Ref{Kind: crm.KindCustomer, ID: "5"}, Body: &crm.Address{Country: "FR", Region: "Bretagne"}},
		} {
			b.dirty()
			b.read(fact)
			if n := len(b.dirty()); n != 1 {
				t.Errorf("%s: %d marks", what, n)
			}
		}
	})
}

func TestALinesBrandIsTheCatalogues(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.read(order(1, "", "a@example.com", 1)) // of product 7
		brand := func() string {
			t.Helper()
			b.fanOut()
			if n := len(b.dirty()); n != 1 {
				t.Errorf("%d marks", n)
			}
			return b.profile("a@example.com").Orders[0].Lines[0].Brand
		}
		for _, c := range []struct {
			fact crm.Fact
			want string
		}{
			{brandedProduct("7", "", "Aigle"), "Aigle"},
			{brandedProduct("7", "", "Bensimon"), "Bensimon"},
			{brandedProduct("7", "70", ""), ""},
			{brandedProduct("70", "", "Camper"), "Camper"}, // its parent's
			{brandedProduct("70", "", "Dior"), "Dior"},
			{brandedProduct("7", "71", ""), ""}, // of a parent that is not here
		} {
			b.read(c.fact)
			if got := brand(); got != c.want {
				t.Errorf("brand %q, want %q", got, c.want)
			}
		}
		b.read(brandedProduct("7", "71", ""), brandedProduct("72", "", "Other"))
		if b.fanOut(); len(b.dirty()) != 0 {
			t.Error("nothing changed for the buyer")
		}
	})
}

// A shop's new basis of consent concerns who ordered there, also those who are at home elsewhere.
func TestABasisThatChangesConcernsTheBuyers(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		other := b.ensure("second", "")
		b.read(order(1, "", "both@example.com", 1), order(2, "", "here@example.com", 1))
		later := order(3, "", "both@example.com", 1)
		later.Body.(*crm.Order).PlacedAt += 100 * day
		b.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{later, order(4, "", "there@example.com", 1)}})
		b.dirty()
		if _, err := b.m.EnsureShop(t.Context(), mirror.ShopSpec{
			Name: "boutique", Audience: "default", Platform: "woocommerce", Title: "boutique", Zone: "Europe/Paris", Locale: "fr", Basis: "soft_opt_in",
		}); err != nil {
			t.Fatal(err)
		}
		b.fanOut()
		if marks := b.dirty(); len(marks) != 2 || marks[b.profile("both@example.com").Contact.ID].Cause != crm.CauseRedefined {
			t.Errorf("%v", marks)
		}
	})
}
